"""Conditions of a Kamailio script as matchers of a rule: each form that is understood, and some that must not be."""

from __future__ import annotations

import pytest

from capture_agent.convert.conditions import Matcher, matcher, narrowed
from capture_agent.convert.reading import Line, Place
from capture_agent.convert.tokens import tokens

pytestmark = pytest.mark.once


def read(text: str) -> tuple[str, list[str], bool] | None:
    found = matcher(tuple(tokens([Line(text, Place("k.cfg", 1))])))
    return None if found is None else (found[0].option, list(found[0].values), found[1])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('is_method("INVITE")', ("method", ["INVITE"], True)),
        ("is_method('INVITE|ACK')", ("method", ["INVITE", "ACK"], True)),
        ('method=="INVITE"', ("method", ["INVITE"], True)),
        ("method == INVITE", ("method", ["INVITE"], True)),
        ('$rm != "BYE"', ("method", ["BYE"], False)),
        ('$rm =~ "^(INVITE|BYE)$"', ("method", ["INVITE", "BYE"], True)),
        ("has_totag()", ("kind", ["in-dialog"], True)),
        ("loose_route()", ("kind", ["in-dialog"], True)),
        ("is_reply()", ("kind", ["response"], True)),
        ('$rU=="bob"', ("request_user", ["bob"], True)),
        ('$fU != "bob"', ("from_user", ["bob"], False)),
        ('$tu == "sip:a@b"', ("to_uri", ["sip:a@b"], True)),
        ('from_uri =~ "^sip:alice@"', ("from_uri", ["sip:alice@*"], True)),
        ('$rU =~ "^49"', ("request_user", ["49*"], True)),
        ('$rU =~ "99$"', ("request_user", ["*99"], True)),
        ('$ru =~ "example"', ("request_uri", ["*example*"], True)),
        (r'$ru =~ "^sip:.*@a\\.example$"', ("request_uri", ["sip:*@a.example"], True)),
        ('uri !~ "^sip:x$"', ("request_uri", ["sip:x"], False)),
        ("src_ip == 10.0.0.1", ("source", ["10.0.0.1"], True)),
        ("src_ip == 10.0.0.0/8", ("source", ["10.0.0.0/8"], True)),
        ('$si == "fd00::1"', ("source", ["fd00::1"], True)),
        ("dst_ip != 10.0.0.2", ("destination", ["10.0.0.2"], False)),
        ("src_port == 5060", ("source_port", ["5060"], True)),
        ("$Rp == 5062", ("destination_port", ["5062"], True)),
        ("proto == UDP", ("transport", ["udp"], True)),
        ('$proto=="tls"', ("transport", ["tls"], True)),
        ('status == "486"', ("status", ["486"], True)),
        ("$rs == 200", ("status", ["200"], True)),
        ('status =~ "4.."', ("status", ["4xx"], True)),
        ('$rs =~ "^4[0-9][0-9]$"', ("status", ["4xx"], True)),
        ('t_check_status("408|486")', ("status", ["408", "486"], True)),
        ('is_present_hf("X-Trace")', ("header", ["X-Trace"], True)),
        ('$hdr(X-Trace) == "yes"', ("header", ["X-Trace: yes"], True)),
        ('$hdr(User-Agent) =~ "^Foo"', ("header", ["User-Agent: Foo*"], True)),
        ('$siptrace(direction)=="out"', ("direction", ["out"], True)),
        ('$siptrace(src_hostip)=="10.0.0.1"', ("source", ["10.0.0.1"], True)),
        ('$siptrace(dst_port)=="5060"', ("destination_port", ["5060"], True)),
    ],
)  # fmt: skip
def test_understood(text: str, wanted: tuple[str, list[str], bool]) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "allow_trusted()", 'sip_trace("a")', "$rU == $null", "uri == myself", "from_uri != myself", "$var(x) == 1",
        '$rU == "a*b"', '$rU == "/a/"', '$rU == ""', '$rU =~ "a|b"', '$rU =~ "[0-9]+"', '$rU =~ "^(a"', "$rU == $fU",
        'is_method("INVITE", "x")', 'is_method("IN VITE")', 'src_ip == "host.example"', "$sp == 0", '$sp == "x"',
        '$proto == "x"', 'status == "x"', 'status == "7xx"', '$rs =~ "4.*"', '$siptrace(direction) == "up"', "$rU ==",
        "$(ru{uri.host}) == 'x'", "has_totag(", 'is_present_hf("a b")',
    ],
)  # fmt: skip
def test_not_understood(text: str) -> None:
    assert read(text) is None


REQUEST, IN_DIALOG, INITIAL = (Matcher("kind", (kind,)) for kind in ("request", "in-dialog", "initial"))


@pytest.mark.parametrize(
    ("before", "more", "wanted"),
    [
        ([], IN_DIALOG, [IN_DIALOG]),
        ([REQUEST], IN_DIALOG, [IN_DIALOG]),
        ([IN_DIALOG], REQUEST, [IN_DIALOG]),
        ([INITIAL], IN_DIALOG, None),
        ([REQUEST], Matcher("kind", ("response",)), None),
        ([Matcher("method", ("A", "B"))], Matcher("method", ("B", "C")), [Matcher("method", ("B",))]),
        ([Matcher("method", ("A",))], Matcher("method", ("B",)), None),
        ([REQUEST], Matcher("method", ("B",)), [REQUEST, Matcher("method", ("B",))]),
        ([Matcher("to_user", ("a",))], Matcher("to_user", ("b",)), None),
        ([Matcher("to_user", ("a*",))], Matcher("to_user", ("ab",)), [Matcher("to_user", ("ab",))]),
        ([Matcher("source_port", ("1",))], Matcher("source_port", ("2",)), None),
    ],
)  # fmt: skip
def test_two_that_must_both_hold(before: list[Matcher], more: Matcher, wanted: list[Matcher] | None) -> None:
    found = narrowed(tuple(before), more)
    assert (None if found is None else list(found)) == wanted
