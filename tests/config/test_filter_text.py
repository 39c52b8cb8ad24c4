"""The filter language: what matches, and what is wrong with a text, to the column."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from cli_samples import sip
from sink_samples import traced

from capture_agent.config.filter_names import HEADER_FIELD, MESSAGE_FIELDS
from capture_agent.config.filter_text import FilterError
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.message_filter import MessageFilter
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_filter import CALL_FIELDS, HOST, CallFilter

DOCUMENT = Path(__file__).parents[2] / "docs" / "filters.md"


def message(raw: bytes, source: str = "192.0.2.1", destination: str = "192.0.2.2") -> CapturedMessage:
    found = traced(raw, source, destination).message
    assert isinstance(found, CapturedMessage)
    return found


INVITE = message(
    sip("INVITE sip:+4930@b.example SIP/2.0", sdp=True, sender="+4989").replace(
        b"CSeq", b"X-Foo: a\r\nX-Foo: Bcd\r\nCSeq"
    )
)
BUSY = message(sip("SIP/2.0 486 Busy Here"))
OPTIONS6 = message(sip("OPTIONS sip:b SIP/2.0", cseq="9 OPTIONS"), "2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("method = INVITE", "IB"),
        ("method = invite and kind = request", "I"),
        ("method in (OPTIONS, BYE)", "O"),
        ("not method in (OPTIONS, BYE)", "IB"),
        ("method not in (OPTIONS, BYE)", "IB"),
        ('from_user ~ "^49" or from_user ~ "^.49" and status >= 400', ""),
        (r'from_user ~ "^\+49"', "I"),
        ("from_user !~ 49", "BO"),
        ("status", "B"),
        ("not status", "IO"),
        ("status = 4xx", "B"),
        ("status = 400-486", "B"),
        ("status in (1xx, 200, 486)", "B"),
        ("status != 486", "IO"),
        ("status > 486 or status < 487 and reason = 'busy here'", "B"),
        ('reason ~ "BUSY"', "B"),
        ("header:x-foo = Bcd", "I"),
        ("header:X-Foo", "I"),
        ("header:X-Foo = B*", "I"),
        ("request_user = +49*0", "I"),
        ("request_user = *3*", "I"),
        ("request_user = +4930", "I"),
        ("request_uri = *@B.EXAMPLE", "I"),
        ("source = 192.0.2.0/24", "IB"),
        ("address = 2001:db8::2", "O"),
        ("address = 2001:db8::/32 && !status", "O"),
        ("port = 5060", "IBO"),
        ("cseq = 9", "O"),
        ("user = bob", "IBO"),
        ("body ~ '^v=0'", "I"),
        ("(method = INVITE)and(status=486)", "B"),
        ("size > 100000", ""),
        ("call_id = a@b", "IBO"),
        ("from_user = '+4989' || vlan = 7", "I"),
    ],
)
def test_messages(text: str, want: str) -> None:
    matches = MessageFilter(text).matches
    assert "".join(name for name, one in zip("IBO", (INVITE, BUSY, OPTIONS6), strict=True) if matches(one)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("state = busy", True),
        ('state = "in call"', False),
        ("failed and retransmissions = 1 and messages > 2", True),
        ("setup < 1", True),
        ("duration", False),
        ("user = bob and to_user = bob", True),
        ("host = 192.0.2.1", True),
        ("address = 192.0.2.2", True),
        ("codec = PCMU", False),
        ("status >= 400 and not method in (OPTIONS, REGISTER)", True),
    ],
)
def test_calls(text: str, want: bool) -> None:
    book = CallBook()
    book.add([INVITE, INVITE, BUSY])
    [call] = book
    assert CallFilter(text).matches(call) is want


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("status >=", 10, "got the end, expected"),
        ("statu = 3", 1, "unknown field 'statu', did you mean status?"),
        ("method = BYE and codec = x", 18, "unknown field 'codec'"),
        ("status = abc", 10, "'abc' is no number"),
        ("from_user ~ '('", 13, "invalid regular expression"),
        ("a and", 6, "got the end"),
        ("method = INVITE )", 17, "got ')'"),
        ("status > 3 $", 12, "'$' is not expected"),
        ("method = '", 10, "is not expected"),
        ("", 1, "got the end"),
        ("not " * 60 + "status", 1, "more than 50"),
        ("(" * 60 + "status" + ")" * 60, 1, "more than 50"),
        ("x" * 5000, 4001, "5000 characters"),
        ("source = 300.1.1.1", 10, "neither an address nor a network"),
        ("reason < 4", 10, "< compares numbers"),
        ("status ~ 4", 10, "this field is a number"),
        ("method in ()", 12, "got ')'"),
        ("__import__('os')", 1, "got '__import__'"),
    ],
)
def test_what_is_wrong(text: str, column: int, problem: str) -> None:
    with pytest.raises(FilterError) as caught:
        MessageFilter(text)
    assert caught.value.column == column
    assert problem in str(caught.value)
    assert str(caught.value).isprintable()


def test_no_expression_and_no_value_takes_long() -> None:
    """Twice the text takes about twice the time: with a backtracking engine each letter would double it."""
    matches = MessageFilter("header:X-Foo ~ '(a+)+$' or header:X-Foo = '*a*a*a*a*b'").matches

    def seconds(letters: int) -> float:
        one = message(sip("INVITE sip:b SIP/2.0").replace(b"CSeq", b"X-Foo: " + b"a" * letters + b"!\r\nCSeq"))
        begun = time.process_time()
        for _ in range(200):
            assert not matches(one)
        return time.process_time() - begun

    assert seconds(4000) < 50 * seconds(400)


def test_every_field_is_documented() -> None:
    of_messages, of_calls = DOCUMENT.read_text().partition("## Fields of calls")[::2]
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", re.MULTILINE)
    assert {found[0]: found[1:] for found in row.findall(of_messages)} == MESSAGE_FIELDS
    assert {found[0]: found[1:] for found in row.findall(of_calls)} == {
        **{name: field[:2] for name, field in CALL_FIELDS.items()},
        "host": HOST,
    }
    assert HEADER_FIELD[1].split(": ")[1] in of_messages
