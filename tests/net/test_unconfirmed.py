"""Unacknowledged data of a connection: whole packets, in order, none forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.net.unconfirmed import OVERHEAD, Unconfirmed

pytestmark = pytest.mark.once

PACKETS = st.lists(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=4), max_size=5)


def filled(pieces: list[list[bytes]]) -> Unconfirmed:
    kept = Unconfirmed()
    position = 100
    for packets in pieces:
        ends = [sum(map(len, packets[: n + 1])) for n in range(len(packets))]
        kept.add(memoryview(b"".join(packets)), ends, position)
        position += ends[-1]
    return kept


def rest(kept: Unconfirmed) -> bytes:
    kept.rewind()
    return b"".join(kept.beyond(0))


@given(PACKETS, st.lists(st.integers(90, 170), max_size=4))
def test_whole_packets_are_left(pieces: list[list[bytes]], positions: list[int]) -> None:
    kept = filled(pieces)
    packets = [packet for piece in pieces for packet in piece]
    ends = [100 + sum(map(len, packets[: n + 1])) for n in range(len(packets))]
    known = kept.arrived(max(positions, default=0))
    confirmed = sum(kept.confirm(position) for position in positions)
    assert (known, kept.arrived(max(positions, default=0))) == (confirmed, 0)
    arrived = sum(end <= max(positions, default=0) for end in ends)
    assert (confirmed, kept.packets) == (arrived, len(packets) - arrived)
    assert rest(kept) == b"".join(packets[arrived:])
    assert kept.clear() == len(packets) - arrived
    assert (kept.packets, kept.held, rest(kept)) == (0, 0, b"")


@given(PACKETS, st.integers(0, 20), st.integers(1, 4))
def test_some_at_a_time(pieces: list[list[bytes]], arrived: int, most: int) -> None:
    packets = [packet for piece in pieces for packet in piece]
    kept = filled(pieces)
    kept.confirm(100 + sum(map(len, packets[:arrived])))
    kept.rewind()
    position, got = 0, b""
    while kept.packets:
        view = kept.some(position, most)
        assert view
        got += view
        position += len(view)
        kept.confirm(position)
    assert got == b"".join(packets[arrived:])


def test_what_it_takes_is_counted() -> None:
    kept = filled([[b"ab", b"c"], [b"d"]])
    assert kept.held == 3 + 2 * 8 + 1 + 8 + 2 * OVERHEAD
    kept.confirm(102)
    assert kept.held == 3 + 2 * 8 + 1 + 8 + 2 * OVERHEAD  # of a piece that is not done yet all is kept
    kept.rewind()
    assert kept.held == 3 + 8 + 1 + 8 + 2 * OVERHEAD  # and of a buffer always


def test_a_buffer_counts_once_and_as_a_whole() -> None:
    kept = Unconfirmed()
    room, other = bytearray(1000), bytearray(500)
    for n, view in enumerate((memoryview(room)[:10], memoryview(room)[10:20], memoryview(other)[100:110])):
        kept.add(view, [10], 10 * n)
    assert kept.held == 1500 + 3 * (8 + OVERHEAD)
    assert kept.oldest is not None
    assert kept.oldest.obj is room
    kept.confirm(10)
    assert kept.held == 1500 + 2 * (8 + OVERHEAD)
    kept.confirm(20)
    assert kept.held == 500 + 8 + OVERHEAD
    assert kept.oldest.obj is other
    kept.confirm(30)
    assert (kept.held, kept.oldest) == (0, None)
