"""siptrace's x-headers: read strictly, as its newer versions do, and never by guessing."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capture_agent.sip.scan import scan
from capture_agent.sip.x_headers import XHeaders, find_x_headers

pytestmark = pytest.mark.once

HEAD = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: x\r\nContent-Length: 4"
GOOD = [
    b"X-Siptrace-Fromip: udp:10.9.9.1:5060",
    b"X-Siptrace-Toip: udp:10.9.9.2:5070",
    b"X-Siptrace-Time: 1500000000 123456",
    b"X-Siptrace-Method: OPTIONS",
    b"X-Siptrace-Dir: out",
]


def message(lines: list[bytes], behind: bytes = b"\r\n\r\nbody") -> bytes:
    return HEAD + b"".join(b"\r\n" + line for line in lines) + behind


def found(data: bytes) -> XHeaders | None:
    sip = scan(data, 0, len(data))
    assert sip is not None
    return find_x_headers(data, max(0, sip.headers_start - 2), sip.body_start)


def changed(n: int, line: bytes) -> list[bytes]:
    return [*GOOD[:n], line, *GOOD[n + 1 :]]


def told(headers: XHeaders | None) -> tuple[object, ...]:
    assert headers is not None
    source, destination = ip_address(headers.source), ip_address(headers.destination)
    ends = f"{source} {headers.source_port} {destination} {headers.destination_port} {headers.transport}"
    return ends, headers.time_ns, headers.direction


ENDS = "10.9.9.1 5060 10.9.9.2 5070"
NS = 1500000000_123456000


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (GOOD, (f"{ENDS} udp", NS, "out")),
        (changed(4, b"X-Siptrace-Dir: in"), (f"{ENDS} udp", NS, "in")),
        (changed(2, b"X-Siptrace-Time: 1795386683 5"), (f"{ENDS} udp", 1795386683_000005000, "out")),
        (changed(2, b"X-Siptrace-Time: 0 0"), (f"{ENDS} udp", 0, "out")),
        (changed(1, b"X-Siptrace-Toip: tls:10.9.9.2:5070"), (f"{ENDS} tls", NS, "out")),
        (changed(1, b"X-Siptrace-Toip: any:10.9.9.2:5070"), (f"{ENDS} udp", NS, "out")),
        ([b"X-Siptrace-Fromip: tcp:10.9.9.1:5060", *changed(1, b"X-Siptrace-Toip: any:10.9.9.2:5070")[1:]], (f"{ENDS} tcp", NS, "out")),
        ([b"X-Siptrace-Fromip: any:10.9.9.1:5060", *changed(1, b"X-Siptrace-Toip: any:10.9.9.2:5070")[1:]], (f"{ENDS} udp", NS, "out")),
        ([b"X-Siptrace-Fromip: wss:[2001:db8::1]:443", *changed(1, b"X-Siptrace-Toip: wss:[2001:db8::2]:5061")[1:]],
         ("2001:db8::1 443 2001:db8::2 5061 wss", NS, "out")),
        # siptrace's script functions write IPv6 without brackets.
        ([b"X-Siptrace-Fromip: udp:2001:db8::1:5060", *changed(1, b"X-Siptrace-Toip: udp:2001:db8::2:5062")[1:]],
         ("2001:db8::1 5060 2001:db8::2 5062 udp", NS, "out")),
        (changed(3, b"X-Siptrace-Method: X-Y.z"), (f"{ENDS} udp", NS, "out")),
    ],
)  # fmt: skip
def test_what_they_tell(lines: list[bytes], wanted: tuple[object, ...]) -> None:
    assert told(found(message(lines))) == wanted


@pytest.mark.parametrize("place", ["last", "first", "between"])
def test_where_they_stand(place: str) -> None:
    block = b"".join(b"\r\n" + line for line in GOOD)
    start, *headers = HEAD.split(b"\r\n")
    at = {"last": 2, "first": 0, "between": 1}[place]
    data = (
        b"\r\n".join([start, *headers[:at]])
        + block
        + b"".join(b"\r\n" + each for each in headers[at:])
        + b"\r\n\r\nbody"
    )
    headers_found = found(data)
    assert headers_found is not None
    assert data[headers_found.start : headers_found.end] == block
    assert data[: headers_found.start] + data[headers_found.end :] == HEAD + b"\r\n\r\nbody"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"X-Siptrace-Toip: udp:10.9.9.2:5070"],
        GOOD[1:],
        [line.lower() for line in GOOD],
        [b"X-Siptrace-Fromip:udp:10.9.9.1:5060", *GOOD[1:]],
        [b"X-Y: X-Siptrace-Fromip: udp:10.9.9.1:5060"],
    ],
)
def test_without(lines: list[bytes]) -> None:
    assert found(message(lines)) is None


def test_in_the_body_they_are_nothing() -> None:
    block = b"".join(b"\r\n" + line for line in GOOD)
    assert found(HEAD + b"\r\n\r\n" + block + b"\r\n\r\n") is None


@pytest.mark.parametrize(
    "lines",
    [
        *(GOOD[:n] for n in range(1, 5)),
        *([*GOOD[:n], *GOOD[n + 1 :]] for n in range(1, 5)),
        [GOOD[0], GOOD[2], GOOD[1], *GOOD[3:]],
        [*GOOD[:2], b"Via: x", *GOOD[2:]],
        changed(0, b"X-Siptrace-Fromip: "),
        changed(0, b"X-Siptrace-Fromip: 10.9.9.1:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:10.9.9.1"),
        changed(0, b"X-Siptrace-Fromip: udp:10.9.9:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:10.9.9.1:65536"),
        changed(0, b"X-Siptrace-Fromip: icmp:10.9.9.1:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:host.example:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:[10.9.9.1:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:[2001:db8::1]:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:\xd9\xa1\xd9\xa0.9.9.1:5060"),
        changed(0, b"X-Siptrace-Fromip: udp:" + b"1" * 65 + b":5060"),
        changed(2, b"X-Siptrace-Time: 1500000000"),
        changed(2, b"X-Siptrace-Time: 1500000000 1000000"),
        changed(2, b"X-Siptrace-Time: 140178262876160 5"),
        changed(2, b"X-Siptrace-Time: -5 5"),
        changed(2, b"X-Siptrace-Time: now"),
        changed(3, b"X-Siptrace-Method: "),
        changed(3, b"X-Siptrace-Method: \xf0\xf0"),
        changed(3, b"X-Siptrace-Method: INVITE x"),
        changed(4, b"X-Siptrace-Dir: "),
        changed(4, b"X-Siptrace-Dir: into"),
        changed(4, b"X-Siptrace-Dir: 127.0.0.9"),
        changed(4, b"X-Siptrace-Dir: In"),
    ],
)
def test_malformed(lines: list[bytes]) -> None:
    with pytest.raises(ValueError):
        found(message(lines))


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_message_that_is_cut_within_them(cut: int) -> None:
    with pytest.raises(ValueError):
        found(message(GOOD, b"\r\n")[:-cut])


@given(st.binary(max_size=200), st.integers(0, 250), st.integers(0, 300))
@example(message(GOOD), 0, 1000)
@example(b"\r\nX-Siptrace-Fromip: udp:" + b":" * 90, 0, 200)
def test_anything(data: bytes, at: int, end: int) -> None:
    """Found within the bounds, refused, or not found."""
    block = b"\r\nX-Siptrace-Fromip: " + data
    try:
        headers = find_x_headers(block, at, end)
    except ValueError:
        return
    assert headers is None or at <= headers.start < headers.end <= end
