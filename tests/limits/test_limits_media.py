"""What is kept of announced media, under its worst input."""

from __future__ import annotations

from functools import partial

import pytest
from measuring import documented, held_mib, main

from capture_agent.clock import SECOND_NS, Clock
from capture_agent.media.media_table import MediaCall, MediaTable
from capture_agent.media.rtp_stream import RtpStream
from capture_agent.media.rtp_table import RtpTable
from capture_agent.records.datagram import Datagram
from capture_agent.records.traced import Trace

MOST = 100_000


def small_calls() -> MediaTable:
    """One place each."""
    table, traces = MediaTable(MOST, 1 << 60), ((Trace(), 1),)
    for n in range(MOST + 1000):
        place = (bytes((10, n >> 16 & 255, n >> 8 & 255, n & 255)), 4000)
        table.announce(b"call-%d@192.0.2.1" % n, [(place, None)], traces, False, 10**18 + n)
    assert table.evicted == 1000
    return table


def long_names() -> MediaTable:
    table, traces = MediaTable(MOST, 1 << 60), ((Trace(), 1),)
    for n in range(MOST):
        place = (n.to_bytes(16, "big"), 4000)
        table.announce(b"%d" % n + b"x" * 2000, [(place, None)], traces, False, 10**18 + n)
    assert table.evicted
    assert table.bytes <= 512 * MOST
    return table


class Nothing:
    """Who is told of calls and streams."""

    def begins(self, stream: RtpStream, now_ns: int) -> None:
        pass

    def goes_on(self, call: MediaCall, now_ns: int) -> None:
        pass

    def report(self, stream: RtpStream, final: bool) -> None:
        pass


def streams(most: int, report_seconds: int) -> object:
    """Of few calls, between addresses of IPv6, at their third packet."""
    calls = [MediaCall(b"call-%d" % n, 0) for n in range(most // 64 + 20)]
    table = RtpTable({}, Clock(), Nothing(), most, report_seconds * SECOND_NS, None)
    for n, call in enumerate(calls):
        call.places, call.formats, call.measured = (n.to_bytes(16, "big") + b"\x13\x88",), (b"",), True
        table.places[call.places[0]] = call
    for at in range(3):
        for n in range(most if at < 2 else most + 1000):
            ends = n.to_bytes(16, "big") + (n // 64).to_bytes(16, "big")
            data = ends + b"\x80\x00" + at.to_bytes(2, "big") + bytes(20)
            table.count([Datagram(data, 32, len(data), 0, 16, 4000, 5000, 10**18 + at * 20 * SECOND_NS)], 0, 1 << 62)
    assert (table.held, table.evicted) == (most, 1000)
    return table, calls


CASES = {
    "announced media": small_calls,
    "announced media of long Call-IDs": long_names,
    "RTP streams": partial(streams, MOST, 0),
    "RTP streams with `report_seconds`": partial(streams, MOST * 4 // 5, 15),
}


@pytest.mark.parametrize("case", CASES)
def test_it_holds_no_more_than_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
