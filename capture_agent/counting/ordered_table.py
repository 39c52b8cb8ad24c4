"""Things by key, in queues. Hot: compiled with ordered_table.pxd, or plain Python.

In the plain build an OrderedDict for each queue. In the compiled build a hash table and linked lists of
numbers: each step costs a fifth of theirs, as no object is created or compared.
"""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from array import array
from collections import OrderedDict

import cython

from capture_agent.counting.due_times import Timed

QUEUES = cython.declare(cython.int, 2)
LEAST = cython.declare(cython.Py_ssize_t, 1024)  # places


@cython.final
@cython.cclass
class OrderedTable:
    """Each thing has a key of its own, and is in one of two queues, whose first ones have been there longest.

    Keys are hashes that no sender can choose (hashing.py). Compiled, a thing has a place: a number above 0. Slots of a
    hash table contain places, 0 is none: open addressing with linear probing, at most half full. A place is linked with
    the one before it and the one after it; the first two places are the ends of the queues.
    """

    __slots__ = ("_free", "_keys", "_lengths", "_links", "_mask", "_queues", "_slots", "_things", "count")

    def __init__(self) -> None:
        self.count = 0
        self._queues: list[OrderedDict[int, Timed]] = [OrderedDict() for _ in range(QUEUES)]
        self._things: list[Timed | None] = []
        self._free = 0
        self._mask = 0
        self._keys = self._links = self._slots = self._lengths = array("i")
        if cython.compiled:
            self._lengths = array("i", [0] * QUEUES)
            self._links = array("i", [0, 0, 1, 1])
            self._keys = array("Q", [0] * QUEUES)
            self._things = [None] * QUEUES
            self._grow(LEAST)

    def find(self, key: cython.ulonglong) -> Timed | None:
        if not cython.compiled:
            return self._queues[0].get(key) or self._queues[1].get(key)
        slots: cython.pointer[cython.int] = self._slots.data.as_ints
        keys: cython.pointer[cython.ulonglong] = self._keys.data.as_ulonglongs
        at: cython.size_t = key & self._mask
        while slots[at]:
            if keys[slots[at]] == key:
                return self._things[slots[at]]
            at = (at + 1) & self._mask
        return None

    def add(self, one: Timed, queue: cython.int) -> cython.bint:
        """As the last one of this queue; its key is not in the table."""
        self.count += 1
        if not cython.compiled:
            self._queues[queue][one.key] = one
            one.queue = queue
            return True
        if not self._free:
            self._grow(2 * len(self._things))
        place: cython.int = self._free
        self._free = self._links.data.as_ints[2 * place + 1]
        one.place = place
        self._things[place] = one
        self._keys.data.as_ulonglongs[place] = one.key
        self._enter(place)
        return self._append(one, queue)

    def shift(self, one: Timed, queue: cython.int) -> cython.bint:
        """It becomes the last one of this queue."""
        if not cython.compiled:
            del self._queues[one.queue][one.key]
            self._queues[queue][one.key] = one
            one.queue = queue
            return True
        self._unlink(one)
        return self._append(one, queue)

    def remove(self, one: Timed) -> cython.bint:
        """It is in the table."""
        self.count -= 1
        if not cython.compiled:
            del self._queues[one.queue][one.key]
            return True
        self._leave(one.place)
        self._unlink(one)
        self._things[one.place] = None
        self._links.data.as_ints[2 * one.place + 1] = self._free
        self._free = one.place
        return True

    def first(self, queue: cython.int) -> Timed:
        """Of a queue that is not empty."""
        if not cython.compiled:
            return next(iter(self._queues[queue].values()))
        return self._things[self._links.data.as_ints[2 * queue + 1]]  # type: ignore[return-value]

    def length(self, queue: cython.int) -> cython.int:
        return self._lengths.data.as_ints[queue] if cython.compiled else len(self._queues[queue])

    # Compiled only.

    def _append(self, one: Timed, queue: cython.int) -> cython.bint:
        links: cython.pointer[cython.int] = self._links.data.as_ints
        last: cython.int = links[2 * queue]
        links[2 * one.place] = last
        links[2 * one.place + 1] = queue
        links[2 * last + 1] = one.place
        links[2 * queue] = one.place
        one.queue = queue
        self._lengths.data.as_ints[queue] += 1
        return True

    def _unlink(self, one: Timed) -> cython.bint:
        links: cython.pointer[cython.int] = self._links.data.as_ints
        before: cython.int = links[2 * one.place]
        after: cython.int = links[2 * one.place + 1]
        links[2 * before + 1] = after
        links[2 * after] = before
        self._lengths.data.as_ints[one.queue] -= 1
        return True

    def _enter(self, place: cython.int) -> cython.bint:
        slots: cython.pointer[cython.int] = self._slots.data.as_ints
        at: cython.size_t = self._keys.data.as_ulonglongs[place] & self._mask
        while slots[at]:
            at = (at + 1) & self._mask
        slots[at] = place
        return True

    def _leave(self, place: cython.int) -> cython.bint:
        slots: cython.pointer[cython.int] = self._slots.data.as_ints
        keys: cython.pointer[cython.ulonglong] = self._keys.data.as_ulonglongs
        at: cython.size_t = keys[place] & self._mask
        gap: cython.size_t
        while slots[at] != place:
            at = (at + 1) & self._mask
        gap = at
        while True:  # later ones move up, but none before the slot where its search begins
            at = (at + 1) & self._mask
            if not slots[at]:
                break
            if ((at - keys[slots[at]]) & self._mask) >= ((at - gap) & self._mask):
                slots[gap] = slots[at]
                gap = at
        slots[gap] = 0
        return True

    def _grow(self, places: cython.Py_ssize_t) -> cython.bint:
        """To so many places, a power of two, none of which was free."""
        old: cython.Py_ssize_t = len(self._things)
        place: cython.Py_ssize_t
        self._things.extend([None] * (places - old))
        self._keys.frombytes(bytes(8 * (places - old)))
        self._links.frombytes(bytes(8 * (places - old)))
        links: cython.pointer[cython.int] = self._links.data.as_ints
        for place in range(old, places - 1):
            links[2 * place + 1] = place + 1
        self._free = old
        self._slots = array("i", bytes(8 * places))
        self._mask = 2 * places - 1
        for place in range(QUEUES, old):
            self._enter(place)
        return True
