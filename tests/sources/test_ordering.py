"""Frames of several sources sorted by time: none lost, none held for ever."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.records.frames import FRAME_TIME_NS, Frames, Interface
from capture_agent.sources import ordering
from capture_agent.sources.ordering import LATE_NS, LONGEST_NS, MILLISECOND, MOST, QUIET_NS, FrameOrder, joined, part

pytestmark = pytest.mark.once

START = 1_800_000_000_000 * MILLISECOND


def batch(*times: int, name: str = "a") -> Frames:
    """Frames at these milliseconds, each containing its name and time."""
    frames = Frames.of([f"{name}{time}".encode() for time in times], times_ns=[START + t * MILLISECOND for t in times])
    return Frames(frames.data, frames.index, frames.count, [Interface(name, 1)])


def told(found: Iterable[tuple[int, Frames]]) -> list[str]:
    return [frames.frame(n).decode() for _, frames in found for n in range(frames.count)]


def at(milliseconds: int) -> int:
    return START + milliseconds * MILLISECOND


BUSY = {0: 0, 1: 0}  # neither waits for a frame


def of_two() -> FrameOrder:
    order = FrameOrder()
    assert [order.begin(), order.begin()] == [0, 1]
    return order


def test_what_came_later_may_be_older() -> None:
    """The core's block arrives first, and the request that it answers is in the other's."""
    order = of_two()
    order.add(0, batch(12, 40, name="core"), at(50))
    assert told(order.due(at(50), BUSY)) == []
    order.add(1, batch(10, 45, name="access"), at(60))
    assert told(order.due(at(60), BUSY)) == ["access10", "core12", "core40"]
    assert told(order.rest()) == ["access45"]
    assert not order


@pytest.mark.parametrize(
    ("now", "reading_since", "wanted"),
    [
        pytest.param(LATE_NS + at(9), at(0), [], id="it may still have older ones"),
        pytest.param(LATE_NS + at(10), at(0), ["a10"], id="it would have handed them over"),
        pytest.param(LATE_NS + at(10), 0, [], id="it has something in its hand"),
        pytest.param(LATE_NS + at(10), LATE_NS + at(10) - QUIET_NS + 1, [], id="it has only begun to read"),
    ],
)
def test_a_quiet_source(now: int, reading_since: int, wanted: list[str]) -> None:
    order = of_two()
    order.add(0, batch(10), at(20))
    assert told(order.due(now, {0: 0, 1: reading_since})) == wanted


def test_a_source_that_has_ended_is_not_waited_for() -> None:
    order = of_two()
    order.add(0, batch(10), at(20))
    order.end(1)
    assert told(order.due(at(20), BUSY)) == ["a10"]
    order.add(0, batch(30), at(40))
    order.end(0)
    assert told(order.due(at(40), BUSY)) == ["a30"]


def test_a_clock_that_was_set_holds_nothing_for_long() -> None:
    order = of_two()
    order.add(0, batch(3_600_000), at(0))
    assert told(order.due(at(0) + LONGEST_NS - 1, {0: at(0), 1: at(0)})) == []
    assert told(order.due(at(0) + LONGEST_NS, {0: at(0), 1: at(0)})) == ["a3600000"]


def test_a_source_that_is_stuck_does_not_fill_the_memory() -> None:
    order = of_two()
    for n in range(MOST):
        order.add(0, batch(n), at(100))
    assert told(order.due(at(100), BUSY)) == []
    order.add(0, batch(MOST), at(100))
    assert len(told(order.due(at(100), BUSY))) == MOST + 1
    assert not order


def test_large_batches_do_not_wait_when_they_are_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MOST_BYTES", 100)
    order = of_two()
    for time in (10, 20):
        order.add(0, batch(time), at(20))
        assert told(order.due(at(20), BUSY)) == []  # 43 bytes each, with the index
    order.add(0, batch(30), at(20))
    assert told(order.due(at(20), BUSY)) == ["a10", "a20", "a30"]
    order.add(0, batch(40), at(20))
    assert told(order.due(at(20), BUSY)) == []


def test_one_source_alone_is_not_copied() -> None:
    order = of_two()
    frames = batch(1, 2)
    order.add(0, frames, at(3))
    ((source, found),) = order.rest()
    assert (source, found) == (0, frames)


def test_joined_frames_keep_their_data() -> None:
    one, other = batch(1, 4, name="one"), batch(2, 3, name="other")
    found = joined([one, part(other, 1, 2), part(other, 0, 1)])
    assert told([(0, found)]) == ["one1", "other2", "other3", "one4"]
    names = [found.interfaces[row].name for row in found.index[4::5]]
    assert names == ["one", "other", "other", "one"]
    assert found.index[FRAME_TIME_NS::5] == array("q", [at(1), at(2), at(3), at(4)])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(1, 5)), max_size=40), st.data())
def test_nothing_is_lost_and_what_came_in_time_is_in_order(
    blocks: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Three sources, each block delivered up to 100 ms after its last frame; the clock advances in small steps."""
    sent: list[tuple[int, int, Frames]] = []
    latest = [0, 0, 0]
    for number, (source, after, count) in enumerate(blocks):
        times = [latest[source] + after + n for n in range(count)]
        latest[source] = times[-1]
        sent.append((times[-1] + data.draw(st.integers(0, 100)), source, batch(*times, name=f"{source}:{number}:")))
    in_order: list[tuple[int, int, Frames]] = []
    for source in range(3):  # each hands its blocks over in their order
        came = 0
        for when, _, frames in [one for one in sent if one[1] == source]:
            came = max(came, when)
            in_order.append((came, source, frames))
    order = FrameOrder()
    assert [order.begin() for _ in range(3)] == [0, 1, 2]
    found: list[str] = []
    for now in range(0, max(latest) + 700, 10):
        for _, source, frames in [one for one in in_order if now - 10 < one[0] <= now]:
            order.add(source, frames, at(now))
        found += told(order.due(at(now), dict.fromkeys(range(3), 1)))
    assert not order
    times = [int(name.rpartition(":")[2]) for name in found]
    assert sorted(found) == sorted(told((0, frames) for _, _, frames in sent))
    if sum(1 for _ in in_order) <= MOST:
        assert times == sorted(times)


def test_the_number_of_a_source_that_has_ended_is_given_out_again() -> None:
    order = of_two()
    order.add(0, batch(10), at(20))
    order.end(0)
    assert order.holds(0)
    assert told(order.rest()) == ["a10"]
    assert not order.holds(0)
    order.release(0)
    assert order.begin() == 0
    assert order.given[0] == 0
    order.add(1, batch(30), at(40))
    assert told(order.due(at(40), BUSY)) == []  # the new one may have older ones
