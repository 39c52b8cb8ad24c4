"""Fragments in, datagrams out: tables, properties, attacks, and fragments from real networks."""

from __future__ import annotations

import gc
import hashlib
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.packet.defrag import LONGEST, REMEMBER_NS, TIMEOUT_NS, Defragmenter
from capture_agent.sources.capture_file import CaptureFile

pytestmark = pytest.mark.once

SECOND = 10**9
KEY = b"source, destination, protocol, identification"
DATA = bytes(random.Random(1).randbytes(44))
Fragment = tuple[int, bool, bytes]


def balanced(defragmenter: Defragmenter) -> None:
    counts = dict(defragmenter.accounts())
    assert sum(counts.values()) == defragmenter.seen, counts
    assert min(counts.values()) >= 0
    assert 0 <= defragmenter.held_bytes <= defragmenter.limit_bytes
    assert defragmenter.incomplete <= defragmenter.limit_datagrams
    assert defragmenter.incomplete <= counts["waiting"]


def counts(defragmenter: Defragmenter) -> dict[str, int]:
    balanced(defragmenter)
    return {name: count for name, count in defragmenter.accounts() if count}


def part(start: int, end: int, data: bytes = DATA) -> Fragment:
    return start, end < len(data), data[start:end]


def fed(fragments: list[Fragment]) -> tuple[list[bytes], Defragmenter]:
    defragmenter = Defragmenter()
    whole = []
    for offset, more, payload in fragments:
        if (datagram := defragmenter.add(KEY, offset, more, payload, SECOND)) is not None:
            whole.append(datagram)
        balanced(defragmenter)
    return whole, defragmenter


A, B, C = part(0, 16), part(16, 32), part(32, 44)
X = b"x" * 16

TABLE = [
    pytest.param([A, B, C], [DATA], {"completed": 1, "joined": 2}, id="in order"),
    pytest.param([C, B, A], [DATA], {"completed": 1, "joined": 2}, id="backwards"),
    pytest.param([B, C, A], [DATA], {"completed": 1, "joined": 2}, id="the first one last"),
    pytest.param([A, C], [], {"waiting": 2}, id="one is lost"),
    pytest.param([A, B], [], {"waiting": 2}, id="the last is lost"),
    pytest.param([A, A, B, B, C], [DATA], {"completed": 1, "joined": 2, "duplicate": 2}, id="twice each"),
    pytest.param([A, B, C, A, B, C], [DATA], {"completed": 1, "joined": 2, "duplicate": 3}, id="all of it twice"),
    pytest.param([C, C, A, A, B, B, C], [DATA], {"completed": 1, "joined": 2, "duplicate": 4}, id="twice, any order"),
    pytest.param([part(0, 44)], [DATA], {"completed": 1}, id="an atomic fragment (RFC 6946)"),
    pytest.param([A, part(8, 32), C], [DATA], {"completed": 1, "joined": 2}, id="overlap at the front"),
    pytest.param([B, part(0, 24), C], [DATA], {"completed": 1, "joined": 2}, id="overlap at the back"),
    pytest.param([B, part(8, 40), A, C], [DATA], {"completed": 1, "joined": 3}, id="overlap on both sides"),
    pytest.param([A, (0, True, X), B, C], [DATA], {"completed": 1, "joined": 2, "duplicate": 1}, id="first wins"),
    pytest.param([(0, True, X), A, B, C], [X + DATA[16:]], {"completed": 1, "joined": 2, "duplicate": 1}, id="first wins, whoever it is"),
    pytest.param([A, (8, True, X), part(24, 32), C], [DATA[:16] + X[8:] + DATA[24:]], {"completed": 1, "joined": 3}, id="first wins, in part"),
    pytest.param([part(0, 32), (24, False, DATA[24:32])], [DATA[:32]], {"completed": 1, "joined": 1}, id="the last brings no byte but the end"),
    pytest.param([A, B, (32, True, b""), C], [DATA], {"completed": 1, "joined": 2, "refused_empty": 1}, id="empty"),
    pytest.param([A, B, (44, False, b""), C], [DATA], {"completed": 1, "joined": 2, "refused_empty": 1}, id="an empty last one"),
    pytest.param([(0, False, b"")], [], {"refused_empty": 1}, id="nothing at all"),
    pytest.param([A, (16, True, X[:9]), B, C], [DATA], {"completed": 1, "joined": 2, "refused_uneven": 1}, id="no multiple of 8"),
    pytest.param([(4, True, X), *[A, B, C]], [DATA], {"completed": 1, "joined": 2, "refused_uneven": 1}, id="an offset that no header has"),
    pytest.param([(65528, True, X[:8])], [], {"refused_too_long": 1}, id="ping of death"),
    pytest.param([(65528, False, X)], [], {"refused_too_long": 1}, id="ping of death, last one"),
    pytest.param([(65528, False, X[:7])], [], {"waiting": 1}, id="ends at byte 65535"),
    pytest.param([(-8, True, X)], [], {"refused_too_long": 1}, id="a negative offset"),
    pytest.param([C, (40, False, X), A, B], [DATA], {"completed": 1, "joined": 2, "refused_contradiction": 1}, id="another last, longer"),
    pytest.param([C, (16, False, X[:8]), A, B], [DATA], {"completed": 1, "joined": 2, "refused_contradiction": 1}, id="another last, shorter"),
    pytest.param([C, (40, True, X), A, B], [DATA], {"completed": 1, "joined": 2, "refused_contradiction": 1}, id="behind the last"),
    pytest.param([A, B, (8, False, X[:8]), C], [DATA], {"completed": 1, "joined": 2, "refused_contradiction": 1}, id="a last one before others"),
    pytest.param([A, B, C, (0, True, X)], [DATA], {"completed": 1, "joined": 2, "waiting": 1}, id="identification used again"),
    pytest.param([A, B, C, (0, True, X), (16, False, X)], [DATA, X + X], {"completed": 2, "joined": 3}, id="and completed"),
]  # fmt: skip


@pytest.mark.parametrize(("fragments", "want", "outcomes"), TABLE)
def test_fragments(fragments: list[Fragment], want: list[bytes], outcomes: dict[str, int]) -> None:
    whole, defragmenter = fed(fragments)
    assert whole == want
    assert counts(defragmenter) == outcomes


@pytest.mark.parametrize(
    ("fragments", "overlapping"),
    [
        ([A, B, C], 0),
        ([A, A, B, C], 0),
        ([A, part(8, 32), C], 1),
        ([B, part(0, 24), C], 1),
        ([part(0, 8), part(16, 24), part(0, 32), C], 1),
    ],
)
def test_overlaps_are_counted(fragments: list[Fragment], overlapping: int) -> None:
    whole, defragmenter = fed(fragments)
    assert whole == [DATA]
    assert defragmenter.overlapping == overlapping


def test_keys_do_not_mix() -> None:
    defragmenter = Defragmenter()
    other = DATA[::-1]
    got = [
        defragmenter.add(key, *part(start, end, data), SECOND)
        for start, end in ((0, 16), (16, 32), (32, 44))
        for key, data in ((b"1", DATA), (b"2", other))
    ]
    assert got == [None, None, None, None, DATA, other]


NOW = 1_700_000_000 * SECOND

TIMES = [
    pytest.param([0, TIMEOUT_NS - 1, TIMEOUT_NS - 1], True, {"completed": 1, "joined": 2}, id="just in time"),
    pytest.param([0, 1, TIMEOUT_NS], False, {"timed_out": 2, "waiting": 1}, id="too late"),
    pytest.param([0, -SECOND, -SECOND], True, {"completed": 1, "joined": 2}, id="a little backwards"),
    pytest.param([NOW, 0, NOW], True, {"completed": 1, "joined": 2}, id="one of 1970"),
    pytest.param([NOW, 4_102_444_800 * SECOND, NOW], True, {"completed": 1, "joined": 2}, id="one of 2100"),
    pytest.param([NOW, 4_294_967_295 * SECOND, NOW], True, {"completed": 1, "joined": 2}, id="one of 2106"),
    pytest.param([4_102_444_800 * SECOND, NOW, NOW], True, {"completed": 1, "joined": 2}, id="the first is of 2100"),
    pytest.param([0, 2**62, -(2**62)], True, {"completed": 1, "joined": 2}, id="absurd times"),
    pytest.param([-(2**62), -(2**62), -(2**62)], True, {"completed": 1, "joined": 2}, id="before the epoch"),
]


@pytest.mark.parametrize(("times", "completes", "outcomes"), TIMES)
def test_time_is_the_packets(times: list[int], completes: bool, outcomes: dict[str, int]) -> None:
    defragmenter = Defragmenter()
    got = [defragmenter.add(KEY, *fragment, time) for fragment, time in zip([A, B, C], times, strict=True)]
    assert got == [None, None, DATA if completes else None]
    assert counts(defragmenter) == outcomes


def test_one_from_the_future_keeps_no_other_alive() -> None:
    defragmenter = Defragmenter()
    defragmenter.add(b"1", *A, 20 * SECOND)
    defragmenter.add(b"2", *A, 0)
    assert defragmenter.add(b"2", *B, TIMEOUT_NS) is None
    assert counts(defragmenter) == {"timed_out": 1, "waiting": 2}


@pytest.mark.parametrize("odd_ns", [0, 4_102_444_800 * SECOND, 4_294_967_295 * SECOND, NOW + 1800 * SECOND])
def test_what_waits_still_times_out(odd_ns: int) -> None:
    """One wrong time expires nothing, and keeps nothing for ever."""
    defragmenter = Defragmenter()
    for key, time_ns in ((b"1", NOW), (b"2", odd_ns), (b"3", NOW)):
        assert defragmenter.add(key, *A, time_ns) is None
    for second in range(3 * TIMEOUT_NS // SECOND):
        defragmenter.add(b"other", 0, False, b"whole", NOW + second * SECOND)
        if second < TIMEOUT_NS // SECOND:
            assert counts(defragmenter)["waiting"] == 3
    assert (counts(defragmenter).get("waiting"), counts(defragmenter)["timed_out"]) == (None, 3)
    assert defragmenter.held_bytes == 0


def test_completed_datagrams_are_forgotten_soon() -> None:
    """A retransmission of SIP may come from a sender that never changes its identification."""
    defragmenter = Defragmenter()
    got = [defragmenter.add(KEY, *fragment, time) for time in (0, REMEMBER_NS) for fragment in (A, B, C)]
    assert got == [None, None, DATA] * 2
    assert counts(defragmenter) == {"completed": 2, "joined": 4}


def test_the_oldest_datagram_gives_way() -> None:
    defragmenter = Defragmenter(limit_datagrams=2)
    for key in (b"1", b"2", b"3"):
        defragmenter.add(key, *A, 0)
        defragmenter.add(key, *B, 0)
    assert counts(defragmenter) == {"evicted": 2, "waiting": 4}
    assert defragmenter.add(b"2", *C, 0) == DATA
    assert defragmenter.add(b"1", *C, 0) is None


def test_bytes_are_bounded() -> None:
    defragmenter = Defragmenter(limit_bytes=10_000)
    for n in range(20):
        defragmenter.add(b"%d" % n, 0, True, bytes(1480), 0)
        balanced(defragmenter)
    assert counts(defragmenter) == {"evicted": 17, "waiting": 3}


def test_one_that_is_larger_than_the_bound_leaves_nothing() -> None:
    defragmenter = Defragmenter(limit_bytes=3000)
    assert defragmenter.add(KEY, 0, True, bytes(8000), 0) is None
    assert counts(defragmenter) == {"evicted": 1}
    assert defragmenter.held_bytes == 0


def test_completed_datagrams_give_way_first() -> None:
    defragmenter = Defragmenter(limit_bytes=8000)
    defragmenter.add(b"waits", *A, 0)
    for n in range(20):
        for fragment in (A, B, C):
            defragmenter.add(b"%d" % n, *fragment, 0)
    assert counts(defragmenter) == {"completed": 20, "joined": 40, "waiting": 1}


def test_fragments_per_datagram_are_bounded() -> None:
    defragmenter = Defragmenter(limit_fragments=3)
    for offset in range(0, 64, 16):
        defragmenter.add(KEY, offset, True, bytes(8), 0)
    assert counts(defragmenter) == {"waiting": 3, "refused_too_many": 1}


@st.composite
def shuffled_fragments(draw: st.DrawFn) -> tuple[bytes, list[Fragment]]:
    """A datagram, and fragments that cover it, some twice, some overlapping, in any order."""
    data = draw(st.binary(min_size=9, max_size=400))
    blocks = -(-len(data) // 8)
    cuts = [0, *sorted(draw(st.sets(st.integers(1, blocks - 1), min_size=1, max_size=20))), blocks]
    bounds = list(pairwise(cuts))
    extra = draw(st.lists(st.tuples(st.integers(0, blocks - 1), st.integers(1, blocks)), max_size=10))
    # A fragment that is the whole datagram is not a fragment (RFC 6946).
    bounds += [(start, end) for start, end in extra if start < end and end - start < blocks]
    parts = [part(start * 8, min(end * 8, len(data)), data) for start, end in bounds]
    return data, draw(st.permutations(parts))


@given(shuffled_fragments())
def test_any_split_in_any_order(given_: tuple[bytes, list[Fragment]]) -> None:
    data, fragments = given_
    whole, defragmenter = fed(fragments)
    assert whole == [data]
    assert set(counts(defragmenter)) <= {"completed", "joined", "duplicate"}


GARBAGE = st.tuples(
    st.sampled_from([b"", b"1", b"2", b"3"]),
    st.one_of(st.sampled_from(range(0, 80, 8)), st.integers(-10, 70_000)),
    st.booleans(),
    st.one_of(st.sampled_from([b"", b"a" * 8, b"b" * 8, b"c" * 16, b"d" * 24, b"e" * 5]), st.binary(max_size=40)),
    st.one_of(st.integers(0, 5).map(lambda seconds: seconds * 10 * SECOND), st.integers(-(2**63), 2**63 - 1)),
)


@given(st.lists(GARBAGE, max_size=60), st.integers(1, 4), st.integers(2000, 6000), st.integers(1, 6))
def test_garbage_is_accounted_for(
    garbage: list[tuple[bytes, int, bool, bytes, int]], datagrams: int, size: int, fragments: int
) -> None:
    defragmenter = Defragmenter(datagrams, size, fragments)
    for arguments in garbage:
        whole = defragmenter.add(*arguments)
        assert whole is None or 0 < len(whole) <= LONGEST
        balanced(defragmenter)


def test_a_hundred_thousand_incomplete_fragments() -> None:
    """`limit_bytes` is the process's actual memory."""
    defragmenter = Defragmenter()
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(75_000):  # a third of them as large as Ethernet has them, then only tiny ones
            defragmenter.add(n.to_bytes(13, "big"), 0, True, bytes(1480 if n < 25_000 else 8), 0)
        for n in range(25_000):  # and many for each of a few
            defragmenter.add(b"%d" % (n % 25), n // 25 * 16, True, bytes(8), 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    balanced(defragmenter)
    assert defragmenter.seen == 100_000
    assert defragmenter.evicted > 0
    assert peak < defragmenter.limit_bytes * 1.02


def tiny_with_holes(count: int) -> Iterator[Fragment]:
    offsets = list(range(0, count * 16, 16))
    random.Random(2).shuffle(offsets)
    for offset in offsets:
        yield offset, True, b"12345678"


def same_wide_one(count: int) -> Iterator[Fragment]:
    yield from tiny_with_holes(count)
    wide = bytes(count * 16)
    for _ in range(count):
        yield 8, True, wide


@pytest.mark.parametrize("attack", [tiny_with_holes, same_wide_one])
def test_effort_grows_with_the_input_only(attack: Callable[[int], Iterator[Fragment]]) -> None:
    def seconds(count: int) -> float:
        best = 1e9
        fragments = list(attack(count))
        for _ in range(5):
            defragmenter = Defragmenter(limit_fragments=10**6, limit_bytes=2**30)
            start = process_time()
            for n in range(8):
                for fragment in fragments:
                    defragmenter.add(b"%d" % n, *fragment, 0)
            best = min(best, process_time() - start)
        return best

    # Quadratic would be 16: a noisy machine does not get there, and a linear one not far from 4.
    assert seconds(2000) / seconds(500) < 9


def real_fragments(capture: Path) -> Iterator[tuple[int, bytes, int, bool, bytes, int]]:
    """Frame, key, offset, more, payload, time of each IPv4 fragment directly in Ethernet."""
    with CaptureFile(capture) as source:
        for batch in source.batches():
            for n in range(len(batch)):
                frame = batch.frame(n)
                if frame[12:14] != b"\x08\x00" or not int.from_bytes(frame[20:22]) & 0x3FFF:
                    continue
                packet = frame[14 : 14 + int.from_bytes(frame[16:18])]
                field = int.from_bytes(packet[6:8])
                payload = packet[(packet[0] & 15) * 4 :]
                key = packet[12:20] + packet[9:10] + packet[4:6]
                yield (
                    batch.first_number + n,
                    key,
                    (field & 0x1FFF) * 8,
                    bool(field & 0x2000),
                    payload,
                    batch.index[n * 5 + 3],
                )


@pytest.mark.parametrize(
    ("name", "messages", "incomplete"),
    [
        ("gprshome__sip.pcap", 16, 0),
        ("goffinet__private-test-sip.pcapng", 1, 0),
        ("pkts__fragmented_udp_sip.pcap", 0, 1),
    ],
)
def test_real_captures(shared: Path, name: str, messages: int, incomplete: int) -> None:
    truth = [json.loads(line) for line in (shared / "captures" / "truth" / f"{name}.jsonl").read_text().splitlines()]
    theirs = {message["frame"]: message["sha256"] for message in truth if message.get("ip_fragments")}
    assert len(theirs) == messages
    defragmenter = Defragmenter()
    ours = {}
    for frame, *fragment in real_fragments(shared / "captures" / "files" / name):
        if (datagram := defragmenter.add(*fragment)) is not None:
            ours[frame] = hashlib.sha256(datagram[8:]).hexdigest()
    balanced(defragmenter)
    assert {frame: digest for frame, digest in ours.items() if frame in theirs} == theirs
    assert defragmenter.incomplete == incomplete
