"""Who is registered now. Hot: compiled with bindings.pxd, or plain Python."""

from __future__ import annotations

from collections import Counter, OrderedDict

import cython

from capture_agent.counting.due_times import Deadlines, Timed

SECOND = cython.declare(cython.longlong, 1_000_000_000)
LIMIT = 131_072


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Binding(Timed):
    """`key` is a number for the address-of-record, `side` that of the registration that was accepted last."""

    __slots__ = ("key", "side")

    def __init__(self, key: cython.ulonglong, side: cython.int) -> None:
        Timed.__init__(self)
        self.key = key
        self.side = side


@cython.final
@cython.cclass
class Bindings:
    """Bounded: `limit` addresses-of-record; the one that was registered longest ago is evicted.

    by_side  how many are registered now
    """

    __slots__ = ("_deadlines", "_held", "begun", "by_side", "evicted", "limit", "over")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.by_side: Counter[int] = Counter()
        self.begun = self.over = self.evicted = 0
        self._held: OrderedDict[int, Binding] = OrderedDict()
        self._deadlines = Deadlines()

    @property
    def held(self) -> int:
        return len(self._held)

    def put(
        self, aor: cython.ulonglong, side: cython.int, seconds: cython.longlong, now_ns: cython.longlong
    ) -> cython.bint:
        """The bindings of this address-of-record last for so many seconds from now; 0: it has none any more."""
        one: Binding | None = self._held.get(aor)
        if not seconds:
            if one is not None:
                self._remove(one)
            return True
        if one is None:
            if len(self._held) >= self.limit:
                self._evict()
            one = Binding(aor, side)
            self._held[aor] = one
            self.begun += 1
            self.by_side[side] += 1
            self._deadlines.add(one, now_ns + seconds * SECOND)
            return True
        self.by_side[one.side] -= 1
        self.by_side[side] += 1
        one.side = side
        self._held.move_to_end(aor)
        self._deadlines.move(one, now_ns + seconds * SECOND)
        return True

    def pass_time(self, now_ns: cython.longlong) -> None:
        """What has expired by now is registered no more."""
        for one in self._deadlines.over(now_ns):
            self._remove(cython.cast(Binding, one))

    def close(self) -> None:
        """The capture has ended."""
        for one in list(self._held.values()):
            self._remove(one)

    def _remove(self, one: Binding) -> cython.bint:
        del self._held[one.key]
        self._deadlines.remove(one)
        self.by_side[one.side] -= 1
        self.over += 1
        return True

    def _evict(self) -> cython.bint:
        one: Binding
        _, one = self._held.popitem(last=False)
        self._deadlines.remove(one)
        self.by_side[one.side] -= 1
        self.evicted += 1
        return True
