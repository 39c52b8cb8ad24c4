"""Calls, and their queues. Hot: compiled with queues.pxd, or plain Python."""

# Code that is only compiled uses names of the .pxd.
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
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Call:
    """All transactions and dialogs of one Call-ID, the newest first. 48 bytes."""

    __slots__ = ("dialogs", "key", "place", "resting", "transactions", "units")

    def __init__(self, key: int = 0) -> None:
        self.key = key  # marks.call_key of its messages
        self.transactions: Transaction | None = None
        self.dialogs: Dialog | None = None
        self.place = 0  # its place in the ring
        self.units = 0  # units of memory: its own and those of its parts
        self.resting = False


@cython.final
@cython.cclass
class Queue:
    """Holds calls in order of arrival.

    A ring of places: so later calls are known, and their memory can be prefetched. A call that leaves out of turn
    leaves its place empty. The first place in use is never empty.
    """

    __slots__ = ("_head", "_ring", "_since", "_used", "count", "units")

    def __init__(self) -> None:
        self.count = 0
        self.units = 0  # units of its calls
        self._head = 0
        self._used = 0  # places, from the head on
        self._ring: list[Call | None] = []
        self._since = array("q")  # when each was queued
        self._resize(LEAST)

    def first(self) -> Call:
        """The first call of a queue that is not empty."""
        return self._ring[self._head]  # type: ignore[return-value]

    @cython.exceptval(check=False)
    def is_due(self, ahead: cython.Py_ssize_t, period_ns: cython.longlong, now_ns: cython.longlong) -> cython.bint:
        """Whether the call this many places after the first has expired, or has a time that far in the future."""
        if ahead >= self._used:
            return False
        place: cython.Py_ssize_t = (self._head + ahead) & (len(self._ring) - 1)
        since: cython.longlong = self._since.data.as_longlongs[place] if cython.compiled else self._since[place]
        return not -ODD_NS < now_ns - since < period_ns

    @cython.exceptval(check=False)
    def peek(self, ahead: cython.Py_ssize_t) -> cython.p_void:
        """Compiled only: the address of the call this many places after the first, or NULL."""
        call: cython.p_void = item(self._ring, (self._head + ahead) & (len(self._ring) - 1))
        return cython.NULL if call == cython.cast(cython.p_void, None) else call

    @cython.exceptval(check=False)
    def fetch_place(self, place: cython.Py_ssize_t) -> cython.void:
        """Compiled only: the call there will leave soon."""
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
        """Move the calls to this many places, a power of two, without empty ones."""
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

    # For callers that are not compiled, such as tests, for which the methods above do not exist.

    def put(self, call: Call, now_ns: int) -> None:
        """Append a call that is in no queue."""
        self.append(call, now_ns)

    def take(self, call: Call) -> None:
        """Raises KeyError: it is not in the queue."""
        if not any(call is one for one, _ in self.waiting()):
            raise KeyError(call.key)
        self.remove(call)

    def waiting(self) -> list[tuple[Call, int]]:
        """The calls in order, each with the time it was queued."""
        places = [(self._head + n) & (len(self._ring) - 1) for n in range(self._used)]
        return [(call, self._since[place]) for place in places if (call := self._ring[place]) is not None]
