"""Conditions of a Kamailio script as matchers of a rule: each supported form, and some that must not be understood."""

from __future__ import annotations

import pytest

from capture_agent.convert.outcomes import BothOutcomes, Formula, Negation
from capture_agent.convert.reading import Line, ScriptPlace
from capture_agent.convert.rule_matchers import Inexpressible, Matcher, narrowed
from capture_agent.convert.script_conditions import formula
from capture_agent.convert.tokens import tokens
from capture_agent.convert.values import Scope
from capture_agent.convert.variables import EVENT, REPLY, REQUEST, SENDING

pytestmark = pytest.mark.once


def read(text: str, packet: str = REQUEST) -> str:
    return told(formula(tuple(tokens([Line(text, ScriptPlace("k.cfg", 1))])), Scope(packet=packet)))


def told(found: Formula | None) -> str:
    if isinstance(found, Matcher):
        return f"{found.option}={'|'.join(found.values)}"
    if isinstance(found, Negation):
        return f"not {told(found.inner)}"
    if isinstance(found, BothOutcomes):
        return f"({told(found.left)} {'and' if found.is_and else 'or'} {told(found.right)})"
    return str(found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('is_method("INVITE")', "method=INVITE"),
        ("is_method('INVITE|ACK')", "method=INVITE|ACK"),
        ('is_method("invite")', "method=INVITE"),
        ('method=="INVITE"', "method=INVITE"),
        ("method == INVITE", "method=INVITE"),
        ('method == "invite"', "method=INVITE"),
        ('$rm == "invite"', "False"),
        ('$rm != "BYE"', "not method=BYE"),
        ('$rm =~ "^(INVITE|BYE)$"', "method=INVITE|BYE"),
        ('$rm =~ "sub"', "method=SUBSCRIBE"),
        ("has_totag()", "kind=in-dialog"),
        ("loose_route()", "kind=in-dialog"),
        ("is_reply()", "kind=response"),
        ('$rU=="bob"', "request_user=bob"),
        ('"bob" == $rU', "request_user=bob"),
        ('$rU eq "bob"', "request_user=bob"),
        ('$fU != "bob"', "not from_user=bob"),
        ('$rU == "a*b"', r"request_user=/^a\*b$/"),
        ('$rU == "/a/"', "request_user=/^/a/$/"),
        ('$tu == "sip:a@b"', "to_uri=/^sip:a@b$/"),
        ('to_uri == "sip:a@b"', "to_uri=sip:a@b"),
        ('from_uri =~ "^sip:alice@"', "from_uri=sip:alice@*"),
        ('$rU =~ "^49"', "request_user=49*"),
        ('$rU =~ "99$"', "request_user=*99"),
        ('$fU =~ "^VI"', "from_user=/(?is)^VI/"),
        ('$rU =~ "a|b"', "request_user=/(?is)a|b/"),
        ('$rU =~ "[0-9]+"', "request_user=/(?is)[0-9]+/"),
        (r'$rU =~ "^(\+|00)[1-9][0-9]{3,20}$"', r"request_user=/(?is)^(?:\+|00)[1-9][0-9]{3,20}$/"),
        (r'$rU =~ "[[:digit:]\d]"', r"request_user=/(?is)[0-9\\d]/"),
        ('$ru =~ "example"', "request_uri=*example*"),
        (r'$ru =~ "^sip:.*@a\.example$"', "request_uri=sip:*@a.example"),
        ('$ru =~ "a.b"', "request_uri=/(?is)a.b/"),
        ('$rd == "example.com"', r"request_host=/^example\.com$/"),
        ('$rd == "10.0.0.1"', "request_host=10.0.0.1"),
        (r'$fd =~ "\.example$"', "from_host=*.example"),
        ('$td == "x"', "to_host=/^x$/"),
        ("$(ru{uri.host}) == 'x'", "request_host=/^x$/"),
        ('$rU == ""', "not request_user=*"),
        ("$rU == $null", "not request_user=*"),
        ("$hdr(X-A) == $null", "not header=X-A"),
        ("defined $hdr(X-A)", "header=X-A"),
        ('$hdr(X-A) == ""', "not header=X-A: /./"),
        ('$hdr(X-A) =~ "^(yes|)$"', "(header=X-A: /(?is)^(?:yes|)$/ or not header=X-A: /./)"),
        ('$hdr(X-A) =~ "x*"', "True"),
        ("src_ip == 10.0.0.1", "source=10.0.0.1"),
        ("src_ip == 10.0.0.0/8", "source=10.0.0.0/8"),
        ('$si == "fd00::1"', "source=fd00::1"),
        (r'$si =~ "^10\.9\."', r"source=/(?is)^10\.9\./"),
        ('is_in_subnet("$si", "10.0.0.0/8")', "source=10.0.0.0/8"),
        ("dst_ip != 10.0.0.2", "not destination=10.0.0.2"),
        ("af == INET6", "source=::/0"),
        ("src_port == 5060", "source_port=5060"),
        ("$Rp == 5062", "destination_port=5062"),
        ("$sp > 1024", "source_port=1025-65535"),
        ("$sp == 0", "False"),
        ("proto == UDP", "transport=udp"),
        ('proto == "udp"', "None"),
        ('$proto=="tls"', "transport=tls"),
        ('$proto == "UDP"', "False"),
        ('$rP == "UDP"', "transport=udp"),
        ('$proto =~ "^T"', "transport=tcp|tls"),
        ("$rs == 200", "status=200"),
        ('status =~ "4.."', "status=4xx"),
        ('$rs =~ "^4[0-9][0-9]$"', "status=4xx"),
        ("$rs >= 300", "status=3xx|4xx|5xx|6xx"),
        ("$rs == $null", "not kind=response"),
        ('is_present_hf("X-Trace")', "header=X-Trace"),
        ('$hdr(X-Trace) == "yes"', "header=X-Trace: /^yes$/"),
        ('$hdr(X-Trace) == "1"', "header=X-Trace: 1"),
        ('$hdr(User-Agent) =~ "^Foo"', "header=User-Agent: Foo*"),
        ('$ua =~ "scanner"', "header=User-Agent: *scanner*"),
        ('$ct =~ "127"', "header=Contact: *127*"),
        ('$ci =~ "^abc"', "header=Call-ID: abc*"),
        ('starts_with("$rU", "Bo")', "request_user=/^Bo/"),
        ('strempty("$rU")', "not request_user=*"),
        ("$tt == $null", "not kind=in-dialog"),
        ("$var(x)", "None"), ("true", "True"), ("0", "False"), ("5", "True"),
    ],
)  # fmt: skip
def test_understood(text: str, wanted: str) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    ("packet", "text", "wanted"),
    [
        (EVENT, '$siptrace(direction)=="out"', "direction=out"),
        (EVENT, '$siptrace(src_hostip)=="10.0.0.1"', "source=10.0.0.1"),
        (EVENT, '$siptrace(dst_port)=="5060"', "destination_port=5060"),
        (EVENT, '$si == "10.0.0.1"', "None"),
        (EVENT, "has_totag()", "None"),
        (SENDING, '$sndto(ip) == "10.0.0.1"', "destination=10.0.0.1"),
        (SENDING, "to_port == 5061", "destination_port=5061"),
        (SENDING, "src_ip == 10.0.0.1", "None"),
        (REPLY, 't_check_status("408|486")', "status=408|486"),
        (REPLY, "has_totag()", "None"),
        (REPLY, '$si == "10.0.0.1"', "source=10.0.0.1"),
        (REQUEST, 't_check_status("408|486")', "None"),
    ],
)
def test_where(packet: str, text: str, wanted: str) -> None:
    """A variable refers to the route's current message."""
    assert read(text, packet) == wanted


@pytest.mark.parametrize("text", ['t_check_status("(408|486)")', '$T_reply_code =~ "408|486"'])
def test_the_status_of_a_transaction(text: str) -> None:
    found = formula(tuple(tokens([Line(text, ScriptPlace("k.cfg", 1))])), Scope(failed=True))
    assert told(found) == "status=408|486"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "allow_trusted()", 'sip_trace("a")', "uri == myself", "from_uri != myself", "$var(x) == 1",
        '$rU =~ "^(a"', r'$rU =~ "(a)\1"', '$rU =~ "*a"', '$rU =~ "a{2,1}"', "$rU == $fU", "$cs == 7", "$rb =~ 'x'",
        'is_method("INVITE", "x")', 'is_method("IN VITE")', 'src_ip == "host.example"', '$sp == "x"',
        'status == "x"', "$rU ==", "$(hdr(X-A)[1]) == '1'",
        "has_totag(", 'is_present_hf("a b")', '$rU == "\\x01"',
    ],
)  # fmt: skip
def test_not_understood(text: str) -> None:
    assert read(text) == "None"


REQUESTS, IN_DIALOG, INITIAL = (Matcher("kind", (kind,)) for kind in ("request", "in-dialog", "initial"))
RESPONSES, STATUS = Matcher("kind", ("response",)), Matcher("status", ("4xx",))


@pytest.mark.parametrize(
    ("before", "more", "wanted"),
    [
        ([], IN_DIALOG, [IN_DIALOG]),
        ([REQUESTS], IN_DIALOG, [IN_DIALOG]),
        ([IN_DIALOG], REQUESTS, [IN_DIALOG]),
        ([INITIAL], IN_DIALOG, None),
        ([REQUESTS], RESPONSES, None),
        ([REQUESTS], STATUS, None),
        ([STATUS], Matcher("status", ("486", "5xx")), [Matcher("status", ("486",))]),
        ([STATUS], Matcher("status", ("380-410",)), [Matcher("status", ("400-410",))]),
        ([RESPONSES], Matcher("request_user", ("a",)), None),
        ([Matcher("method", ("A", "B"))], Matcher("method", ("B", "C")), [Matcher("method", ("B",))]),
        ([Matcher("method", ("A",))], Matcher("method", ("B",)), None),
        ([REQUESTS], Matcher("method", ("B",)), [REQUESTS, Matcher("method", ("B",))]),
        ([Matcher("to_user", ("a",))], Matcher("to_user", ("b",)), None),
        ([Matcher("to_user", ("a*",))], Matcher("to_user", ("ab", "b")), [Matcher("to_user", ("ab",))]),
        ([Matcher("to_user", ("ab", "b"))], Matcher("to_user", ("/(?is)^A/",)), [Matcher("to_user", ("ab",))]),
        ([Matcher("to_user", ("*",))], Matcher("to_user", ("b*",)), [Matcher("to_user", ("b*",))]),
        ([Matcher("source_port", ("1",))], Matcher("source_port", ("2",)), None),
        ([Matcher("source_port", ("1-100",))], Matcher("source_port", ("50-200",)), [Matcher("source_port", ("50-100",))]),
        ([Matcher("source", ("10.0.0.0/8",))], Matcher("source", ("10.1.0.0/16",)), [Matcher("source", ("10.1.0.0/16",))]),
        ([Matcher("header", ("A: x",))], Matcher("header", ("B",)), [Matcher("header", ("A: x",)), Matcher("header", ("B",))]),
        ([Matcher("header", ("A",))], Matcher("header", ("a: x",)), [Matcher("header", ("a: x",))]),
    ],
)  # fmt: skip
def test_two_that_must_both_hold(before: list[Matcher], more: Matcher, wanted: list[Matcher] | None) -> None:
    found = narrowed(tuple(before), more)
    assert (None if found is None else list(found)) == wanted


@pytest.mark.parametrize(("one", "other"), [("a*", "*b"), ("/a/", "/b/"), ("/a/", "ab")])
def test_two_that_no_rule_can_ask_for(one: str, other: str) -> None:
    with pytest.raises(Inexpressible):
        narrowed((Matcher("to_user", (one,)),), Matcher("to_user", (other,)))
