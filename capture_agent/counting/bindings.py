"""Who is registered now. Hot: compiled with bindings.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.counting.due_times import Deadlines, Timed
from capture_agent.counting.ordered_table import OrderedTable
from capture_agent.counting.side_counts import SideCounts

SECOND = cython.declare(cython.longlong, 1_000_000_000)
LIMIT = 131_072


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Binding(Timed):
    """`key` is a number for the address-of-record, `side` that of the registration that was accepted last."""

    __slots__ = ("side",)

    def begin(self, key: cython.ulonglong, side: cython.int) -> cython.bint:
        self.start(key)
        self.side = side
        return True


@cython.final
@cython.cclass
class Bindings:
    """Bounded: `limit` addresses-of-record; the one that was registered longest ago is evicted.

    by_side  how many are registered now
    """

    __slots__ = ("_deadlines", "_held", "begun", "by_side", "evicted", "limit", "over")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.by_side = SideCounts(1)
        self.begun = self.over = self.evicted = 0
        self._held = OrderedTable()
        self._deadlines = Deadlines()

    @property
    def held(self) -> int:
        return self._held.count

    def put(
        self, aor: cython.ulonglong, side: cython.int, seconds: cython.longlong, now_ns: cython.longlong
    ) -> cython.bint:
        """The bindings of this address-of-record last for so many seconds from now; 0: it has none any more."""
        found = self._held.find(aor)
        one: Binding | None = None if found is None else cython.cast(Binding, found)
        if not seconds:
            if one is not None:
                self._remove(one)
            return True
        if one is None:
            if self._held.count >= self.limit:
                self._evict()
            one = Binding.__new__(Binding)
            one.begin(aor, side)
            self._held.add(one, 0)
            self.begun += 1
            self.by_side.add(side, 0, 1)
            self._deadlines.add(one, now_ns + seconds * SECOND)
            return True
        self.by_side.add(one.side, 0, -1)
        self.by_side.add(side, 0, 1)
        one.side = side
        self._held.shift(one, 0)
        self._deadlines.move(one, now_ns + seconds * SECOND)
        return True

    def pass_time(self, now_ns: cython.longlong) -> None:
        """What has expired by now is registered no more."""
        for one in self._deadlines.over(now_ns):
            self._remove(cython.cast(Binding, one))

    def close(self) -> None:
        """The capture has ended."""
        for one in self._deadlines.all():
            self._remove(cython.cast(Binding, one))

    def _remove(self, one: Binding) -> cython.bint:
        self._held.remove(one)
        self._deadlines.remove(one)
        self.by_side.add(one.side, 0, -1)
        self.over += 1
        return True

    def _evict(self) -> cython.bint:
        one: Binding = cython.cast(Binding, self._held.first(0))
        self._held.remove(one)
        self._deadlines.remove(one)
        self.by_side.add(one.side, 0, -1)
        self.evicted += 1
        return True
