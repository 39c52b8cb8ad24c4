"""HEP3 packets are found in the bytes of a connection or a file, wherever these are cut."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.records.frames import FRAME_ROW, Frames
from capture_agent.sources.containers import Stop
from capture_agent.sources.hep_listener import HepBatches
from capture_agent.sources.hep_walker import HepWalker

SHORT = b"HEP3\0\6"
OLD = b"EEP1\0\x08ab"
LONG = b"HEP3\xff\xff" + bytes(65529)


@pytest.mark.parametrize(
    ("data", "limit", "want"),
    [
        (b"", 9, (0, 0, Stop.MORE, 6)),
        (SHORT, 9, (1, 6, Stop.MORE, 6)),
        (SHORT + OLD, 9, (2, 14, Stop.MORE, 6)),
        (SHORT + OLD, 2, (2, 14, Stop.FULL, 0)),
        (SHORT + OLD, 1, (1, 6, Stop.FULL, 0)),
        (OLD[:7], 9, (0, 0, Stop.MORE, 8)),
        (SHORT + b"HEP", 9, (1, 6, Stop.MORE, 6)),
        (SHORT + b"HEX", 9, (1, 6, Stop.HEP, 0)),
        (b"HEP1\0\6", 9, (0, 0, Stop.HEP, 0)),
        (b"EEP3\0\6", 9, (0, 0, Stop.HEP, 0)),
        (b"INVITE", 9, (0, 0, Stop.HEP, 0)),
        (b"HEP3\0\5", 9, (0, 0, Stop.HEP, 5)),
        (LONG, 9, (1, 65535, Stop.MORE, 6)),
        (LONG[:-1], 9, (0, 0, Stop.MORE, 65535)),
    ],
)
def test_where_it_stops(data: bytes, limit: int, want: tuple[int, int, Stop, int]) -> None:
    walker, index = HepWalker(), array("q", bytes(8 * FRAME_ROW * 9))
    count = walker.walk(data, 0, index, limit)
    assert (count, walker.at, walker.stopped, walker.value) == want


def test_rows_of_a_part() -> None:
    walker, index = HepWalker(), array("q", bytes(8 * FRAME_ROW * 3))
    data = bytearray(b"??" + SHORT + OLD + SHORT)
    assert walker.walk_part(data, 2, 18, index, 1, 3, 7) == 2
    assert index.tolist() == [0] * FRAME_ROW + [2, 6, 6, 7, 0] + [8, 8, 8, 7, 0]
    assert (walker.at, walker.stopped) == (16, Stop.FULL)


def test_too_small_an_index_is_an_error() -> None:
    with pytest.raises(IndexError):
        HepWalker().walk(SHORT + SHORT, 0, array("q", bytes(8 * FRAME_ROW)), 2)


@given(
    st.lists(st.sampled_from([SHORT, OLD, b"HEP3\0\x09abc"]), max_size=30), st.lists(st.integers(0, 200), max_size=9)
)
def test_two_connections_in_any_pieces(packets: list[bytes], places: list[int]) -> None:
    stream = b"".join(packets)
    cuts = [0, *sorted(place for place in places if place < len(stream)), len(stream)]
    batches, pending = HepBatches(""), [b"", b""]
    for start, end in pairwise(cuts):
        for mine in range(2):
            piece = stream[start:end]
            size, pending[mine], broken = batches.read(lambda room, piece=piece: copied(room, piece), pending[mine])
            assert (size, broken) == (len(piece), False)
    frames = batches.take()
    assert pending == [b"", b""]
    assert sorted(texts(frames)) == sorted(packets * 2)


def test_more_packets_than_rows() -> None:
    batches = HepBatches("")
    batches.read(lambda room: copied(room, SHORT * 3000), b"")
    first = batches.take()
    batches.read(lambda room: copied(room, SHORT), b"")
    assert texts(first) == [SHORT] * 3000
    assert (batches.take().first_number, first.first_number) == (3001, 1)


def copied(room: memoryview, data: bytes) -> int:
    room[: len(data)] = data
    return len(data)


def texts(frames: Frames) -> list[bytes]:
    return [frames.frame(n) for n in range(frames.count)]
