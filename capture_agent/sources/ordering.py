"""Sorts the frames of several live sources by timestamp.

Each interface delivers its frames in blocks, up to 50 ms late: a server's answer on one interface may arrive here
before the request that it received on another. Correlation and rules need the real order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, Frames, Interface
from capture_agent.sources.frame_rows import merge_rows

MILLISECOND = 1_000_000
LATE_NS = 150 * MILLISECOND  # after this a quiet source has handed over everything
QUIET_NS = 50 * MILLISECOND  # a read that takes this long found nothing
LONGEST_NS = 500 * MILLISECOND  # no frame is held longer, whatever its time: clocks may be set
MOST = 64  # batches held
MOST_BYTES = 64 << 20  # bytes of held frames: media can fill batches of 32 MiB


@dataclass(slots=True)
class HeldFrames:
    frames: Frames
    came_ns: int
    taken: int = 0  # how many of them have been passed on


class FrameOrder:
    """Holds frames of several sources until no older ones can come. Times are the host's clock, in ns."""

    def __init__(self) -> None:
        self._held: dict[int, deque[HeldFrames]] = {}  # by the number of the source
        self._last_ns: dict[int, int] = {}  # of those that have not ended
        self._bytes = 0
        self.given: dict[int, int] = {}  # frames of each source that have been passed on

    def begin(self) -> int:
        """The number of another source."""
        number = next(number for number in range(len(self._held) + 1) if number not in self._held)
        self._held[number] = deque()
        self._last_ns[number] = self.given[number] = 0
        return number

    def __bool__(self) -> bool:
        return any(self._held.values())

    def add(self, source: int, frames: Frames, now_ns: int) -> None:
        self._held[source].append(HeldFrames(frames, now_ns))
        self._bytes += size(frames)
        self._last_ns[source] = frames.index[(frames.count - 1) * FRAME_ROW + FRAME_TIME_NS]

    def end(self, source: int) -> None:
        """The source has ended."""
        self._last_ns.pop(source, None)

    def holds(self, source: int) -> bool:
        return bool(self._held[source])

    def release(self, source: int) -> None:
        """Its number may be given to another."""
        del self._held[source], self.given[source]

    def due(self, now_ns: int, reading_since: Mapping[int, int]) -> Iterator[tuple[int, Frames]]:
        """Batches that can be passed on, in order, with their source. `reading_since`: when each began to wait."""
        known = []
        for source, last in self._last_ns.items():
            since = reading_since[source]
            known.append(max(last, now_ns - LATE_NS) if since and now_ns - since >= QUIET_NS else last)
        yield from self._upto(min(known, default=None), now_ns)

    def rest(self) -> Iterator[tuple[int, Frames]]:
        yield from self._upto(None, 0)

    def _upto(self, time_ns: int | None, now_ns: int) -> Iterator[tuple[int, Frames]]:
        """All frames up to this time; None means all."""
        crowded = sum(map(len, self._held.values())) > MOST or self._bytes > MOST_BYTES
        found: list[tuple[int, Frames]] = []
        for source, held in self._held.items():
            while held:
                first = held[0]
                all_of_it = time_ns is None or crowded or now_ns - first.came_ns >= LONGEST_NS
                end = first.frames.count if all_of_it else position(first.frames, time_ns or 0, first.taken)
                if end > first.taken:
                    found.append((source, part(first.frames, first.taken, end)))
                first.taken = end
                if end < first.frames.count:
                    break
                held.popleft()
                self._bytes -= size(first.frames)
        if len({source for source, _ in found}) > 1:
            for source, frames in found:
                self.given[source] += frames.count
            yield found[0][0], joined([frames for _, frames in found])
        else:
            for source, frames in found:
                self.given[source] += frames.count
                yield source, frames


def size(frames: Frames) -> int:
    """Bytes of a batch: its buffer and its index."""
    return len(frames.data) + len(frames.index) * frames.index.itemsize


def position(frames: Frames, time_ns: int, start: int) -> int:
    """How many of these frames are not later."""
    times = frames.index[FRAME_TIME_NS : frames.count * FRAME_ROW : FRAME_ROW]
    return bisect_right(times, time_ns, start)


def part(frames: Frames, start: int, end: int) -> Frames:
    if (start, end) == (0, frames.count):
        return frames
    index = frames.index[start * FRAME_ROW : end * FRAME_ROW]
    return Frames(frames.data, index, end - start, frames.interfaces, frames.first_number + start)


def joined(batches: Sequence[Frames]) -> Frames:
    """One batch sorted by time; frames with the same time keep the order of the batches."""
    rows, pieces = array("q"), array("q")
    interfaces: list[Interface] = []
    length = count = 0
    for frames in batches:
        rows.extend(frames.index[: frames.count * FRAME_ROW])
        pieces.extend((count, count + frames.count, length, len(interfaces)))
        count += frames.count
        interfaces += frames.interfaces
        length += len(frames.data)
    index = array("q", bytes(8 * len(rows)))
    merge_rows(rows, pieces, index)
    return Frames(b"".join([frames.data for frames in batches]), index, count, interfaces, batches[0].first_number)
