"""The worst that can be sent costs in proportion to its bytes: twice as much takes less than three times as long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from stream_samples import request, segment, syn

from capture_agent.records.datagram import Datagram
from capture_agent.streams.streams import Streams

UNIT = 3000


def one_byte(stream: bytes) -> list[Datagram]:
    return [syn(), *(segment(stream[n : n + 1], 1001 + n, frame=n) for n in range(len(stream)))]


def header_in_bytes(n: int) -> list[Datagram]:
    return one_byte(b"INVITE sip:a SIP/2.0\r\n" + b"X: y\r\n" * n + b"\r\n")


def body_in_bytes(n: int) -> list[Datagram]:
    return one_byte(b"INVITE sip:a SIP/2.0\r\nl: %d\r\n\r\n" % (5 * n) + b"x" * 5 * n)


def one_endless_line(n: int) -> list[Datagram]:
    return one_byte(b"INVITE sip:" + b"a" * 5 * n)


def endless_folded_line(n: int) -> list[Datagram]:
    return one_byte(b"INVITE sip:a SIP/2.0\r\nl:" + b"\r\n 1" * n)


def many_headers(n: int) -> list[Datagram]:
    chunk = b"A: b\r\n" * 200
    return [syn(), segment(b"INVITE sip:a SIP/2.0\r\n"), *(segment(chunk, 1023 + 1200 * i) for i in range(n // 5))]


def start_lines(n: int) -> list[Datagram]:
    chunk = b"A b SIP/2.0\r\nA: b\r\n" * 70
    return [syn(), *(segment(chunk, 1001 + len(chunk) * i) for i in range(n // 5))]


def out_of_order(n: int) -> list[Datagram]:
    return [syn(), *(segment(b"x", 1003 + 2 * i) for i in range(5 * n))]


def backwards(n: int) -> list[Datagram]:
    return [syn(), *(segment(b"x", 100_000 + 40 * n - 2 * i) for i in range(5 * n))]


def overlapping(n: int) -> list[Datagram]:
    return [syn(), *(segment(b"x" * 1000, 1003 + i % 7000) for i in range(n))]


def new_streams(n: int) -> list[Datagram]:
    return [segment(b"INV", 1, ports=(i % 60_000, i // 60_000), frame=i) for i in range(2 * n)]


def same(n: int) -> list[Datagram]:
    return [syn(), *(segment(request(), 1001) for _ in range(2 * n))]


def cost(make: Callable[[int], list[Datagram]], n: int) -> float:
    best = 1e9
    for _ in range(3):
        segments, streams = make(n), Streams(max_streams=2000)
        begun = time.process_time()
        for first in range(0, len(segments), 100):
            streams.messages(segments[first : first + 100])
        streams.close()
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize(
    "make",
    [
        header_in_bytes, body_in_bytes, one_endless_line, endless_folded_line, many_headers, start_lines, out_of_order,
        backwards, overlapping, new_streams, same,
    ],
)  # fmt: skip
def test_twice_the_bytes_take_less_than_three_times_as_long(make: Callable[[int], list[Datagram]]) -> None:
    for _ in range(3):  # a busy machine may disturb one
        ratio = cost(make, 2 * UNIT) / cost(make, UNIT)
        if ratio < 3:
            return
    pytest.fail(f"{ratio:.1f} times as long")
