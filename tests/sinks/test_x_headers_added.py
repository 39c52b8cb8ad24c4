"""siptrace's five lines: their recorded form, their place, and the rest unchanged."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import INVITE, RINGING, TIME_NS, traced

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sip.x_headers_added import with_x_headers
from capture_agent.sip.scan import scan

INVITE_LINES = (
    b"X-Siptrace-Fromip: udp:192.0.2.1:5060\r\n"
    b"X-Siptrace-Toip: udp:192.0.2.2:5070\r\n"
    b"X-Siptrace-Time: 1795386683 255621\r\n"
    b"X-Siptrace-Method: INVITE\r\n"
    b"X-Siptrace-Dir: in\r\n"
)
# What siptrace's reader takes: scanf with tokens of 50, 50, 50 and 3 characters.
READER = re.compile(
    rb"\r?\nX-Siptrace-Fromip: (\S{1,63})\r\nX-Siptrace-Toip: (\S{1,63})\r\nX-Siptrace-Time: (\d+) (\d{1,6})\r\n"
    rb"X-Siptrace-Method: (\S{1,50})\r\nX-Siptrace-Dir: (in|out)\r\n"
)


def with_lines(one: TracedMessage) -> bytes | None:
    assert isinstance(one.message, CapturedMessage)
    return with_x_headers(one.message, one.direction)


def test_after_the_last_header() -> None:
    assert with_lines(traced(INVITE)) == INVITE[:-2] + INVITE_LINES + b"\r\n"


def test_the_body_stays() -> None:
    with_body = INVITE.replace(b"Length: 0", b"Length: 8") + b"a\r\n\r\nb\r\n"
    head, _, body = with_body.partition(b"\r\n\r\n")
    assert with_lines(traced(with_body)) == head + b"\r\n" + INVITE_LINES + b"\r\n" + body


def test_a_response_has_the_method_of_its_cseq() -> None:
    sent = traced(
        RINGING, "2001:db8::2", "2001:db8::1", time_ns=TIME_NS - 255_621_000, transport="tcp", direction=Direction.OUT
    )
    assert with_lines(sent) == RINGING[:-2] + (
        b"X-Siptrace-Fromip: tcp:[2001:db8::2]:5060\r\n"
        b"X-Siptrace-Toip: tcp:[2001:db8::1]:5070\r\n"
        b"X-Siptrace-Time: 1795386683 0\r\n"
        b"X-Siptrace-Method: INVITE\r\n"
        b"X-Siptrace-Dir: out\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("message", "before", "method"),
    [
        pytest.param(b"OPTIONS sip:x SIP/2.0\nf: a\n\nbody\r\n\r\n", b"f: a\n", b"OPTIONS", id="LF alone"),
        pytest.param(b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"SIP/2.0\r\n", b"OPTIONS", id="no header at all"),
        pytest.param(b"SIP/2.0 200 OK\r\nf: a\r\n\r\n", b"f: a\r\n", b"-", id="no CSeq"),
        pytest.param(b"SIP/2.0 200 OK\r\nCSeq: 1 A\r\n B: c\r\n\r\n", b" B: c\r\n", b"A", id="a folded CSeq"),
        pytest.param(b"SIP/2.0 200 OK\r\nCSeq: 1 " + b"M" * 60 + b"\r\n\r\n", b"M\r\n", b"M" * 50, id="a long method"),
        pytest.param(b"OPTIONS sip:x SIP/2.0\r\nf: \0a\r\n\r\n", b"a\r\n", b"OPTIONS", id="a NUL before"),
    ],
)
def test_odd_messages(message: bytes, before: bytes, method: bytes) -> None:
    sent = with_lines(traced(message))
    assert sent is not None
    found = READER.search(sent)
    assert found is not None
    assert (found[5], sent[: found.start()] + b"\n") == (method, sent[: found.start()] + b"\n")
    assert sent[: found.end() - len(found[0]) + 1 + (found[0][:1] == b"\r")].endswith(before)


@pytest.mark.parametrize("message", [b"OPTIONS sip:x SIP/2.0\r\nf: a\r\n", b"OPTIONS sip:x SIP/2.0"])
def test_no_place_for_them(message: bytes) -> None:
    assert with_lines(traced(message)) is None


LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r\n\r\n", b"\n\n"])
PIECES = st.lists(st.sampled_from([b"a: b", b"CSeq: 1 BYE", b"", b" fold", b"\0", b"X-Siptrace-Dir: in"]) | LINE_ENDS)


@given(st.sampled_from([b"BYE sip:x SIP/2.0", b"SIP/2.0 200 OK"]), LINE_ENDS, PIECES, st.binary(max_size=40))
def test_what_the_lines_are_taken_out_of_is_the_message(
    first: bytes, end: bytes, pieces: list[bytes], body: bytes
) -> None:
    message = first + end + b"".join(pieces) + body
    sip = scan(message, 0, len(message))
    assert sip is not None
    sent = with_lines(traced(message))
    if sent is None:
        assert sip.body_start == len(message)
        return
    lines = re.search(rb"X-Siptrace-Fromip: udp.*?\r\nX-Siptrace-Dir: in\r\n(?=\r?\n)", sent, re.DOTALL)
    assert lines is not None
    assert sent[: lines.start()] + sent[lines.end() :] == message
    again = scan(sent, 0, len(sent))
    assert again is not None
    assert (again.body, again.content_length, again.problems) == (sip.body, sip.content_length, sip.problems)
