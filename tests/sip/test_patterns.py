"""The plain build's patterns, if the loop that they replace is easy to write."""

import pytest

from capture_agent.sip import patterns


@pytest.mark.parametrize(
    ("headers", "stop", "body"),
    [
        pytest.param(b"A: b\r\n\r\nbody", 5, 8, id="CRLF"),
        pytest.param(b"A: b\n\nbody", 4, 6, id="LF"),
        pytest.param(b"A: b\n\n\r\n", 4, 6, id="LF before CRLF"),
        pytest.param(b"\r\nbody", -1, 2, id="no header"),
        pytest.param(b"A: b\r\n", 5, -1, id="nothing ends them"),
        pytest.param(b"A: b", 4, -1, id="nor the line"),
        pytest.param(b"A: b\n \n\nbody", 6, 8, id="a folded line of blanks"),
    ],
)
def test_headers_end(headers: bytes, stop: int, body: int) -> None:
    data = b"X\n" + headers
    assert patterns.headers_end(data, 2, len(data)) == (stop + 2, body + 2 if body >= 0 else -1)


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        (b"A: b\nC: d", False),
        (b"A: b\n folded", False),
        (b"A\n : b", False),
        (b"A: b\nC", True),
        (b"C\nA: b", True),
        (b": b", True),
        (b"A: b\n: c", True),
        (b"A: b\n\tc\nd", True),
        (b" a", True),
    ],
)
def test_lines_without_name(headers: bytes, want: bool) -> None:
    data = b"X\n" + headers
    assert patterns.has_line_without_name(data, 2, len(data)) is want


@pytest.mark.parametrize(
    ("text", "limit", "want"),
    [
        (b"0", 10, 0),
        (b"9", 10, 9),
        (b"10", 10, -2),
        (b"", 10, -2),
        (b"1a", 99, -2),
        (b"+1", 99, -2),
        (b"0" * 5000 + b"7", 10, 7),
        (b"0" * 5000, 10, 0),
        (b"9" * 5000, 1 << 32, -2),
    ],
)
def test_numbers(text: bytes, limit: int, want: int) -> None:
    assert patterns.number(b"x" + text + b"1", 1, 1 + len(text), limit) == want


@pytest.mark.parametrize(("text", "want"), [(b"200", 200), (b"2000", 0), (b"20", 0), (b"20x", 0), (b"486 B", 486)])
def test_status(text: bytes, want: int) -> None:
    assert patterns.status(b"1" + text, 1, 1 + len(text)) == want
