"""Calls by Call-ID, and when each is due. Hot: compiled with call_table.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.counting.call_counts import CallCounts
from capture_agent.counting.call_record import CallRecord
from capture_agent.counting.due_times import Deadlines, Timed
from capture_agent.counting.ids import call_of
from capture_agent.counting.ordered_table import OrderedTable
from capture_agent.sip.message import SipMessage

LIMIT = 100_000

# The queues: of calls that are not answered yet, or over; and of answered ones.
PASSING = cython.declare(cython.int, 0)
ACTIVE = cython.declare(cython.int, 1)


@cython.final
@cython.cclass
class CallTable:
    """Bounded: `limit` calls. When it is full, the oldest goes of those in progress or of the answered ones, whichever
    are more: a flood of INVITEs evicts itself.
    """

    __slots__ = ("_calls", "_counts", "_deadlines", "begun", "evicted", "limit", "over")

    def __init__(self, counts: CallCounts, limit: int = LIMIT) -> None:
        self.limit = limit
        self.begun = self.over = self.evicted = 0
        self._counts = counts
        self._calls = OrderedTable()
        self._deadlines = Deadlines()

    @property
    def held(self) -> int:
        return self._calls.count

    def find(self, sip: SipMessage) -> CallRecord | None:
        if sip.call_id_start < 0:
            return None
        found = self._calls.find(call_of(sip, 0))
        return None if found is None else cython.cast(CallRecord, found)

    def add(self, call: CallRecord, due_ns: cython.longlong) -> cython.bint:
        """A call whose Call-ID is not in the table."""
        if self._calls.count >= self.limit:
            self._evict()
        self._calls.add(call, PASSING)
        self._deadlines.add(call, due_ns)
        self.begun += 1
        return True

    def due(self, call: CallRecord, due_ns: cython.longlong) -> cython.bint:
        """It is due at another time."""
        self._deadlines.move(call, due_ns)
        return True

    def activate(self, call: CallRecord, active: cython.bint) -> cython.bint:
        """It is among the answered calls from now on, or among the others."""
        return self._calls.shift(call, ACTIVE if active else PASSING)

    def remove(self, call: CallRecord) -> cython.bint:
        self._calls.remove(call)
        self._deadlines.remove(call)
        self.over += 1
        return True

    def past(self, now_ns: cython.longlong) -> list[Timed]:
        """The calls that are due by now: each must be given another time, or removed."""
        return self._deadlines.over(now_ns)

    def all(self) -> list[Timed]:
        """All of them, in the same way."""
        return self._deadlines.all()

    def _evict(self) -> cython.bint:
        fuller: cython.int = PASSING if self._calls.length(PASSING) >= self._calls.length(ACTIVE) else ACTIVE
        call: CallRecord = cython.cast(CallRecord, self._calls.first(fuller))
        self._counts.evicted(call)
        self._calls.remove(call)
        self._deadlines.remove(call)
        self.evicted += 1
        return True
