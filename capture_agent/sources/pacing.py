"""A capture's times in replays: kept or shifted to the present, without jumps of a wrong clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, Frames

SECOND_NS = 1_000_000_000
DAY = 86_400.0
MOST_LINES = 5  # a capture may jump with every packet

_log = logging.getLogger(__name__)


class Timeline:
    """Packet times without jumps of more than `longest_gap` seconds between packets."""

    def __init__(self, longest_gap: float) -> None:
        self._longest_ns = int(longest_gap * SECOND_NS)
        self._last_ns: int | None = None
        self._left_out_ns = 0
        self._jumps = 0

    def time_ns(self, time_ns: int) -> int:
        """This packet's time without the jumps before it."""
        gap = 0 if self._last_ns is None else time_ns - self._last_ns
        if abs(gap) > self._longest_ns:
            self._left_out_ns += gap
            self._report(gap)
        self._last_ns = time_ns
        return time_ns - self._left_out_ns

    def _report(self, gap_ns: int) -> None:
        self._jumps += 1
        if self._jumps <= MOST_LINES:
            way = "forward" if gap_ns > 0 else "back"
            _log.warning("the packets' times jump %s by %s: skipping this gap", way, in_words(abs(gap_ns)))
        if self._jumps == MOST_LINES:
            _log.warning("further jumps are skipped without a log line")


def in_words(span_ns: int) -> str:
    """`2.5 hours`: in the largest unit of which there are two."""
    seconds = span_ns / SECOND_NS
    for size, unit in ((365.25 * DAY, "years"), (DAY, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


class Pace:
    """Replays at the capture's pace times `factor`, but without gaps of over `longest_gap` seconds."""

    def __init__(self, factor: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._factor = factor
        self._longest_gap = longest_gap
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """The capture begins once more."""
        self._timeline = Timeline(self._longest_gap)
        self._began: tuple[float, int] | None = None  # our clock and the packet time at the first message

    def delay(self, time_ns: int) -> float:
        """Seconds until a message of this time is due."""
        now = self._clock()
        time_ns = self._timeline.time_ns(time_ns)
        if self._began is None:
            self._began = (now, time_ns)
        began, first_ns = self._began
        return began + (time_ns - first_ns) / SECOND_NS / self._factor - now


class Shift:
    """Shifts a capture's times so that its first packet is seen now. Differences up to a day are kept."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self.restart()

    def restart(self) -> None:
        """The capture begins once more."""
        self._timeline = Timeline(DAY)
        self._offset_ns: int | None = None

    def move(self, frames: Frames) -> None:
        """Give these frames their new times."""
        rows = frames.index
        for at in range(FRAME_TIME_NS, frames.count * FRAME_ROW, FRAME_ROW):
            time_ns = self._timeline.time_ns(rows[at])
            if self._offset_ns is None:
                self._offset_ns = self._clock_ns() - time_ns
            rows[at] = time_ns + self._offset_ns
