"""Start lines, header sections and Content-Length: tables of in and want."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_samples import request, response

from capture_agent.streams.framing import after_blank, find_start, measure, start_line, trail_of
from capture_agent.streams.limits import MAX_HEADERS, NO, NOT_SIP, PERHAPS, REFUSED, TOO_LONG, UNKNOWN, YES

LINES = [
    (b"INVITE sip:a@b SIP/2.0\r\n", YES),
    (b"invite sip:a@b sip/2.0\n", YES),
    (b"!interesting-Method0123456789_*+`.%indeed'~ sip:a SIP/2.0\r\n", YES),
    (b"INVITE sip:a; lr SIP/2.0  \r\n", YES),
    (b"SIP/2.0 200 OK\r\n", YES),
    (b"SIP/2.0  2", YES),
    (b"SIP/2.0 ", PERHAPS),
    (b"SIP/2.", PERHAPS),
    (b"", PERHAPS),
    (b"INV", PERHAPS),
    (b"INVITE sip:a@b SIP/2.0", PERHAPS),
    (b"SIP/2.0 OK\r\n", NO),
    (b"SIP/2.0/UDP 192.0.2.1\r\n", NO),
    (b"SIP/3.0 200 OK\r\n", NO),
    (b"GET / HTTP/1.1\r\n", NO),
    (b"HTTP/1.1 200 OK\r\n", NO),
    (b"\x16\x03\x01\x02\x00\x01", NO),
    (b"SSH-2.0-OpenSSH_9.2\r\n", NO),
    (b"Via: SIP/2.0/TCP a\r\n", NO),
    (b"{", NO),
    (b"M" * 65, NO),
    (b"INVITE " + b"a" * 9000, NO),
]


@pytest.mark.parametrize(("line", "verdict"), LINES, ids=lambda value: str(value)[:30])
def test_start_line(line: bytes, verdict: int) -> None:
    assert start_line(b"zz" + line + b"\r\n", 2, 2 + len(line)) == verdict


@given(st.sampled_from([line for line, _ in LINES]) | st.binary(max_size=90), st.integers(0, 100))
def test_an_early_answer_holds(line: bytes, size: int) -> None:
    early, late = start_line(line[:size], 0, len(line[:size])), start_line(line, 0, len(line))
    assert early in (PERHAPS, late)


def refused(headers: bytes) -> int:
    return REFUSED - len(headers)


HEAD = b"OPTIONS sip:a SIP/2.0\r\n"
MESSAGES = [
    pytest.param(request(), len(request()), id="request"),
    pytest.param(response(3, b"body"), len(response(3, b"body")), id="compact length"),
    pytest.param(
        HEAD + b"CONTENT-LENGTH \t: 5\r\n\r\n", len(HEAD) + 23 + 5, id="blanks, upper case, reaching beyond the end"
    ),
    pytest.param(HEAD + b"L:\r\n  7\r\n\r\n", len(HEAD) + 11 + 7, id="folded value"),
    pytest.param(HEAD + b"l:\r\n5: x\r\n\r\n", refused(HEAD + b"l:\r\n5: x\r\n\r\n"), id="empty value before a name"),
    pytest.param(HEAD + b"X: a\r\n l: 9\r\n\r\n", len(HEAD) + 15, id="folded line that looks like a length"),
    pytest.param(HEAD + b"l: 3\r\nl: 9\r\n\r\n", len(HEAD) + 14 + 3, id="the first wins"),
    pytest.param(HEAD + b"\r\n", len(HEAD) + 2, id="no length"),
    pytest.param(HEAD + b"\n", len(HEAD) + 1, id="bare line end"),
    pytest.param(HEAD + b"l: 1048576\r\n\r\n", len(HEAD) + 14 + 1_048_576, id="one mebibyte"),
    pytest.param(HEAD + b"l: 1048577\r\n\r\n", refused(HEAD + b"l: 1048577\r\n\r\n"), id="more"),
    pytest.param(HEAD + b"l: -1\r\n\r\n", refused(HEAD + b"l: -1\r\n\r\n"), id="negative"),
    pytest.param(HEAD + b"l: 1 2\r\n\r\n", refused(HEAD + b"l: 1 2\r\n\r\n"), id="two numbers"),
    pytest.param(HEAD + b"l: " + b"9" * 5000 + b"\r\n\r\n", refused(bytes(len(HEAD) + 5007)), id="a long number"),
    pytest.param(HEAD + b"Via: x\r\n", UNKNOWN, id="not yet"),
    pytest.param(HEAD + b"Via: x\r\n\r", UNKNOWN, id="nearly"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", NOT_SIP, id="HTTP"),
    pytest.param(HEAD + b"a: b\r\n" * 12_000, TOO_LONG, id="too many headers"),
]


@pytest.mark.parametrize(("message", "size"), MESSAGES)
def test_measure(message: bytes, size: int) -> None:
    assert measure(b"zz" + message, 2, 2 + len(message)) == size


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n"]), max_size=12), st.integers(0, 24))
def test_an_empty_line_is_found_over_any_cut(texts: list[bytes], cut: int) -> None:
    data = b"".join(texts)
    whole = after_blank(data, 0, len(data), 0)
    one, other = data[:cut], data[cut:]
    found = after_blank(one, 0, len(one), 0)
    if found < 0:
        found = after_blank(other, 0, len(other), trail_of(one, 0, len(one), 0))
        found = found + len(one) if found >= 0 else -1
    assert found == whole


@pytest.mark.parametrize(
    ("data", "at"),
    [
        pytest.param(b"tail of a body\r\n" + request(), 16, id="after a line"),
        pytest.param(b"SIP/2.0 100 Trying\r\n\r\n" + request(), 22, id="not one without headers: a sipfrag"),
        pytest.param(b"SIP/2.0 100 Trying\r\n" + request(), 20, id="a sipfrag without an empty line"),
        pytest.param(b"a=x\r\nINV", 5, id="what may become one"),
        pytest.param(b"a=x\r\nb=y", -1, id="none"),
    ],
)
def test_find_start(data: bytes, at: int) -> None:
    assert find_start(data, 0, len(data)) == at


def test_the_limit_is_of_the_header_section() -> None:
    padding = b"X: " + b"a" * (MAX_HEADERS - len(HEAD) - 3 - 4) + b"\r\n\r\n"
    assert measure(HEAD + padding, 0, MAX_HEADERS) == MAX_HEADERS
    assert measure(HEAD + b"Y" + padding, 0, MAX_HEADERS + 1) == TOO_LONG
