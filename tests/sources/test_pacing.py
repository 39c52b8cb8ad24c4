"""Times of captures, kept or shifted to now."""

from __future__ import annotations

import logging

import pytest

from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, Frames
from capture_agent.sources.pacing import MOST_LINES, Pace, Shift, Timeline, in_words

pytestmark = pytest.mark.once

SECOND = 10**9
YEAR = 365 * 86400
NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("seconds", "want"),
    [
        pytest.param([100, 101, 103], [100, 101, 103], id="nothing to leave out"),
        pytest.param([100, 160, 221], [100, 160, 160], id="longest gap, and a longer one"),
        pytest.param([0, 56 * YEAR, 56 * YEAR + 5], [0, 0, 5], id="first packet of 1970"),
        pytest.param([100, 136 * YEAR, 102, 104], [100, 100, 100, 102], id="one packet of 2106"),
        pytest.param([100, 70, 39], [100, 70, 39], id="a little back"),
        pytest.param([1000, 100, 101], [1000, 1000, 1001], id="the clock was set back"),
    ],
)
def test_timeline(seconds: list[int], want: list[int]) -> None:
    timeline = Timeline(60)
    assert [timeline.time_ns(one * SECOND) // SECOND for one in seconds] == want


def test_jumps_are_reported_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    timeline = Timeline(60)
    for n in range(100):
        timeline.time_ns(n % 2 * 56 * YEAR * SECOND)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "the packets' times jump forward by 56.0 years: skipping this gap"
    assert lines[1] == "the packets' times jump back by 56.0 years: skipping this gap"
    assert len(lines) == MOST_LINES + 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 seconds"), (90, "90.0 seconds"), (180, "3.0 minutes"), (9000, "2.5 hours"), (3e5, "3.5 days")],
)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(int(seconds * SECOND)) == words


def test_pace_waits_for_due_messages_but_not_for_jumps() -> None:
    clock = [0.0]
    pace = Pace(2.0, 60, lambda: clock[0])
    assert pace.delay(0) == 0
    assert pace.delay(10 * SECOND) == 5.0
    clock[0] = 5.0
    assert pace.delay(56 * YEAR * SECOND) == 0
    assert pace.delay(56 * YEAR * SECOND + 4 * SECOND) == 2.0
    pace.restart()
    assert pace.delay(0) == 0


def frames_at(*seconds: int) -> Frames:
    return Frames.of([b"x"] * len(seconds), times_ns=[one * SECOND for one in seconds])


def times_of(frames: Frames) -> list[int]:
    return [frames.index[at] // SECOND for at in range(FRAME_TIME_NS, len(frames) * FRAME_ROW, FRAME_ROW)]


def test_shift_moves_the_first_packet_to_now_and_keeps_differences() -> None:
    shift = Shift(lambda: NOW * SECOND)
    first, second = frames_at(1_000_000, 1_000_005), frames_at(1_010_000)
    shift.move(first)
    shift.move(second)
    assert times_of(first) == [NOW, NOW + 5]
    assert times_of(second) == [NOW + 10_000]
    shift.restart()
    again = frames_at(1_000_000)
    shift.move(again)
    assert times_of(again) == [NOW]


def test_shift_leaves_out_a_first_packet_of_1970() -> None:
    shift = Shift(lambda: NOW * SECOND)
    frames = frames_at(0, NOW - YEAR, NOW - YEAR + 3)
    shift.move(frames)
    assert times_of(frames) == [NOW, NOW, NOW + 3]
