"""Calls, and their queues. Hot: compiled with queues.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from array import array

import cython

from capture_agent import clock
from capture_agent.records.dialog import Dialog, Transaction

ODD_NS = cython.declare(cython.longlong, clock.ODD_NS)
LEAST = cython.declare(cython.Py_ssize_t, 1024)  # places


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Call:
    """All that has one Call-ID, the newest first. 48 bytes."""

    __slots__ = ("dialogs", "key", "place", "resting", "transactions", "units")

    def __init__(self, key: int = 0) -> None:
        self.key = key  # reading.call_key of its messages
        self.transactions: Transaction | None = None
        self.dialogs: Dialog | None = None
        self.place = 0  # in its ring
        self.units = 0  # of memory: its own and those of its parts
        self.resting = False


@cython.final
@cython.cclass
class Queue:
    """Holds calls, in the order in which they came.

    A ring of places: so whoever stands further behind is known, and can be asked of memory ahead of its turn. One
    that leaves out of turn leaves its place empty. The first place of those in use is never empty.
    """

    __slots__ = ("_head", "_ring", "_since", "_used", "count", "units")

    def __init__(self) -> None:
        self.count = 0
        self.units = 0  # those of its calls
        self._head = 0
        self._used = 0  # places, from the head on
        self._ring: list[Call | None] = []
        self._since = array("q")  # when each of them was put there
        self._resize(LEAST)

    def first(self) -> Call:
        """Of a queue that is not empty."""
        return self._ring[self._head]  # type: ignore[return-value]

    @cython.exceptval(check=False)
    def is_due(self, ahead: cython.Py_ssize_t, period_ns: cython.longlong, now_ns: cython.longlong) -> cython.bint:
        """Is the time over of whoever is so many places behind the first? Or odd: that far ahead of now."""
        if ahead >= self._used:
            return False
        place: cython.Py_ssize_t = (self._head + ahead) & (len(self._ring) - 1)
        since: cython.longlong = self._since.data.as_longlongs[place] if cython.compiled else self._since[place]
        return not -ODD_NS < now_ns - since < period_ns

    @cython.exceptval(check=False)
    def peek(self, ahead: cython.Py_ssize_t) -> cython.p_void:
        """Compiled only: where the call is that stands so many places behind the first, or NULL."""
        call: cython.p_void = item(self._ring, (self._head + ahead) & (len(self._ring) - 1))
        return cython.NULL if call == cython.cast(cython.p_void, None) else call

    @cython.exceptval(check=False)
    def fetch_place(self, place: cython.Py_ssize_t) -> cython.void:
        """Compiled only: who stands there will leave soon."""
        fetch_item(self._ring, place)

    def append(self, call: Call, now_ns: cython.longlong) -> cython.bint:
        if self._used == len(self._ring):
            self._resize(self._used if 2 * self.count <= self._used else 2 * self._used)
        call.place = (self._head + self._used) & (len(self._ring) - 1)
        self._ring[call.place] = call
        if cython.compiled:
            self._since.data.as_longlongs[call.place] = now_ns
        else:
            self._since[call.place] = now_ns
        self._used += 1
        self.count += 1
        self.units += call.units
        return True

    def remove(self, call: Call) -> cython.bint:
        self._ring[call.place] = None
        self.count -= 1
        self.units -= call.units
        while self._used and self._ring[self._head] is None:
            self._head = (self._head + 1) & (len(self._ring) - 1)
            self._used -= 1
        if len(self._ring) > LEAST and 8 * self.count < len(self._ring):
            self._resize(len(self._ring) // 2)
        return True

    def _resize(self, capacity: cython.Py_ssize_t) -> cython.bint:
        """Into so many places, a power of two, without those that are empty."""
        old: list[Call | None] = self._ring
        call: Call | None
        n: cython.Py_ssize_t
        new: list[Call | None] = [None] * capacity
        if cython.compiled:
            PyObject_GC_UnTrack(new)
        count: cython.Py_ssize_t = 0
        since: array[int] = array("q", bytes(8 * capacity))
        place: cython.Py_ssize_t
        for n in range(self._used):
            place = (self._head + n) & (len(old) - 1)
            call = old[place]
            if call is not None:
                since[count] = self._since[place]
                call.place = count
                new[count] = call
                count += 1
        self._ring = new
        self._since = since
        self._head = 0
        self._used = count
        return True

    # For callers that are not compiled, which tests are: the methods above do not exist for them.

    def put(self, call: Call, now_ns: int) -> None:
        """A call that is in no queue."""
        self.append(call, now_ns)

    def take(self, call: Call) -> None:
        """Raises KeyError: it is not in here."""
        if not any(call is one for one, _ in self.waiting()):
            raise KeyError(call.key)
        self.remove(call)

    def waiting(self) -> list[tuple[Call, int]]:
        """The calls in their order, and since when each is here."""
        places = [(self._head + n) & (len(self._ring) - 1) for n in range(self._used)]
        return [(call, self._since[place]) for place in places if (call := self._ring[place]) is not None]
