"""Numbered parts of messages, marked as first and last: SCTP's chunks.

Neighbours are joined into runs as they arrive: a fragment costs two lookups, in any order of arrival.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

from capture_agent.clock import Clock

FIRST, LAST = 2, 1  # the B and E bits of RFC 9260 3.3.1

# From the oldest fragment of a run. A lost one is sent anew within RTO.Max, 60 s (RFC 9260 16).
TIMEOUT_NS = 60 * 10**9

# What CPython needs in addition to the payload bytes.
RUN_COST = 2048
FRAGMENT_COST = 128

Place = tuple[Hashable, int]


class _Run:
    """Fragments that follow one another without a gap."""

    __slots__ = ("first", "flags", "last", "pieces", "serial", "since_ns", "size")

    def __init__(self, serial: int, first: Place, flags: int, piece: bytes, since_ns: int) -> None:
        self.serial = serial
        self.first = self.last = first
        self.flags = flags & (FIRST | LAST)
        self.pieces = deque([piece])
        self.size = RUN_COST + FRAGMENT_COST + len(piece)
        self.since_ns = since_ns


class FragmentTable:
    """Counts what waits, and what was dropped: timed_out, evicted. The caller counts the rest."""

    def __init__(self, limit_bytes: int, timeout_ns: int = TIMEOUT_NS) -> None:
        self.limit_bytes = limit_bytes
        self.timeout_ns = timeout_ns
        self.waiting = 0
        self.timed_out = 0
        self.evicted = 0  # as the oldest run
        self.held_bytes = 0
        self._serial = 0
        self._runs: OrderedDict[int, _Run] = OrderedDict()  # the oldest first
        self._by_first: dict[Place, _Run] = {}
        self._by_last: dict[Place, _Run] = {}

    def is_free(self, group: Hashable, position: int) -> bool:
        """Whether no run starts or ends there. The inside of a run is not checked: such a fragment joins nothing."""
        return (group, position) not in self._by_first and (group, position) not in self._by_last

    def add(self, group: Hashable, position: int, flags: int, piece: bytes, time_ns: int) -> deque[bytes] | None:
        """The pieces of the message that this one completes, in their order. Positions wrap at 32 bits."""
        self._serial += 1
        run = _Run(self._serial, (group, position), flags, piece, time_ns)
        self._enter(run)
        if not run.flags & FIRST:
            before = self._by_last.get((group, position - 1 & 0xFFFFFFFF))
            if before is not None and not before.flags & LAST:
                run = self._join(before, run)
        if not run.flags & LAST:
            after = self._by_first.get((group, position + 1 & 0xFFFFFFFF))
            if after is not None and not after.flags & FIRST:
                run = self._join(run, after)
        if run.flags == FIRST | LAST:
            self._leave(run)
            return run.pieces
        while self.held_bytes > self.limit_bytes:
            self.evicted += self._drop_oldest()
        return None

    def _enter(self, run: _Run) -> None:
        self._runs[run.serial] = run
        self._by_first[run.first] = self._by_last[run.last] = run
        self.waiting += 1
        self.held_bytes += run.size

    def _join(self, left: _Run, right: _Run) -> _Run:
        """The older run absorbs the other; the pieces of the shorter one move, so that each moves seldom."""
        keep, gone = (left, right) if left.serial < right.serial else (right, left)
        del self._runs[gone.serial], self._by_last[left.last], self._by_first[right.first]
        if len(left.pieces) >= len(right.pieces):
            left.pieces.extend(right.pieces)
            keep.pieces = left.pieces
        else:
            right.pieces.extendleft(reversed(left.pieces))
            keep.pieces = right.pieces
        keep.first, keep.last = left.first, right.last
        keep.flags = left.flags | right.flags
        keep.size += gone.size - RUN_COST
        self.held_bytes -= RUN_COST
        self._by_first[keep.first] = self._by_last[keep.last] = keep
        return keep

    def _leave(self, run: _Run) -> int:
        del self._runs[run.serial], self._by_first[run.first], self._by_last[run.last]
        self.held_bytes -= run.size
        self.waiting -= len(run.pieces)
        return len(run.pieces)

    def _drop_oldest(self) -> int:
        return self._leave(next(iter(self._runs.values())))

    def expire(self, clock: Clock) -> None:
        """Drop what has waited for too long by this clock."""
        while self._runs:
            oldest = next(iter(self._runs.values()))
            if clock.is_ahead(oldest.since_ns, self.timeout_ns):
                oldest.since_ns = clock.now_ns
                self._runs.move_to_end(oldest.serial)
                continue
            if clock.now_ns - oldest.since_ns < self.timeout_ns:
                break
            self.timed_out += self._drop_oldest()

    def forget(self) -> None:
        """All that waits has timed out."""
        while self._runs:
            self.timed_out += self._drop_oldest()
