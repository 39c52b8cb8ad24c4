"""Index of calls by Call-ID. Hot: compiled with index.pxd, or plain Python.

The keys are the hashes of marks.call_key: 64 bits with random keys, as for marks (hashing.py). In the plain build the
index is a dict. In the compiled build it is a hash table that can do what a dict cannot: prefetch a slot (ahead.py),
look up without creating an object, and shrink.
"""

# Code that is only compiled uses names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from array import array

import cython

from capture_agent.correlate.queues import Call

LEAST = cython.declare(cython.size_t, 1024)  # slots


@cython.final
@cython.cclass
class Index:
    """Borrows its calls: a queue holds each of them.

    A slot has two words: the key, and the call's address or 0. Open addressing with linear probing, at most half full;
    no sender can aim at a slot.
    """

    __slots__ = ("_calls", "_count", "_mask", "_slots")

    def __init__(self) -> None:
        self._calls: dict[int, Call] = {}
        self._count = 0
        self._mask = 0
        self._slots = array("Q")
        if cython.compiled:
            self._resize(LEAST)

    def find(self, key: cython.ulonglong) -> Call | None:
        if not cython.compiled:
            return self._calls.get(key)
        call: cython.p_void = self.peek(key)
        return None if call == cython.NULL else cython.cast(Call, call)

    def add(self, call: Call) -> cython.bint:
        """Add a call whose key is not in the index."""
        self._count += 1
        if not cython.compiled:
            self._calls[call.key] = call
            return True
        if 2 * cython.cast(cython.size_t, self._count) > self._mask + 1:
            self._resize(2 * (self._mask + 1))
        slots: cython.pointer[cython.ulonglong] = self._slots.data.as_ulonglongs
        at: cython.size_t = call.key & self._mask
        while slots[2 * at + 1]:
            at = (at + 1) & self._mask
        slots[2 * at] = call.key
        slots[2 * at + 1] = cython.cast(cython.ulonglong, cython.cast(cython.p_void, call))
        return True

    def remove(self, call: Call) -> cython.bint:
        """Remove a call that is in the index."""
        self._count -= 1
        if not cython.compiled:
            del self._calls[call.key]
            return True
        slots: cython.pointer[cython.ulonglong] = self._slots.data.as_ulonglongs
        word: cython.ulonglong = cython.cast(cython.ulonglong, cython.cast(cython.p_void, call))
        at: cython.size_t = call.key & self._mask
        gap: cython.size_t
        while slots[2 * at + 1] != word:
            at = (at + 1) & self._mask
        gap = at
        while True:  # later ones move up, but none before the slot where its search begins
            at = (at + 1) & self._mask
            if not slots[2 * at + 1]:
                break
            if ((at - slots[2 * at]) & self._mask) >= ((at - gap) & self._mask):
                slots[2 * gap] = slots[2 * at]
                slots[2 * gap + 1] = slots[2 * at + 1]
                gap = at
        slots[2 * gap + 1] = 0
        if self._mask >= LEAST and 8 * cython.cast(cython.size_t, self._count) < self._mask:
            self._resize((self._mask + 1) // 2)
        return True

    def clear(self) -> cython.bint:
        self._calls.clear()
        self._count = 0
        return self._resize(LEAST) if cython.compiled else True

    def _resize(self, capacity: cython.size_t) -> cython.bint:
        """Compiled only. A power of two."""
        old: array[int] = self._slots
        before: cython.pointer[cython.ulonglong] = old.data.as_ulonglongs
        size: cython.size_t = len(old) // 2
        at: cython.size_t
        n: cython.size_t
        self._slots = array("Q", bytes(16 * capacity))
        self._mask = capacity - 1
        slots: cython.pointer[cython.ulonglong] = self._slots.data.as_ulonglongs
        for n in range(size if self._count else 0):
            if before[2 * n + 1]:
                at = before[2 * n] & self._mask
                while slots[2 * at + 1]:
                    at = (at + 1) & self._mask
                slots[2 * at] = before[2 * n]
                slots[2 * at + 1] = before[2 * n + 1]
        return True

    @cython.exceptval(check=False)
    def fetch_slot(self, key: cython.ulonglong) -> cython.void:
        """Compiled only, like the next method: the slot will be needed soon."""
        fetch(self._slots.data.as_ulonglongs + 2 * (key & self._mask), 16)

    @cython.exceptval(check=False)
    def peek(self, key: cython.ulonglong) -> cython.p_void:
        """The address of the call with this key, or NULL."""
        slots: cython.pointer[cython.ulonglong] = self._slots.data.as_ulonglongs
        at: cython.size_t = key & self._mask
        while slots[2 * at + 1] and slots[2 * at] != key:
            at = (at + 1) & self._mask
        return cython.cast(cython.p_void, slots[2 * at + 1])

    # For callers that are not compiled, such as tests, for which the methods above do not exist.

    def __len__(self) -> int:
        return self._count

    @property
    def slots(self) -> int:
        """The number of slots; 0 in the plain build."""
        return self._mask + 1 if cython.compiled else 0

    def look_up(self, key: int) -> Call | None:
        """The call with this key."""
        return self.find(key)

    def insert(self, call: Call) -> None:
        """The caller must keep the call alive while it is in the index. Raises ValueError: its key is taken."""
        if self.find(call.key) is not None:
            raise ValueError(f"key {call.key} is taken")
        self.add(call)

    def delete(self, call: Call) -> None:
        """Raises KeyError: it is not in the index."""
        if self.find(call.key) is not call:
            raise KeyError(call.key)
        self.remove(call)

    def empty(self) -> None:
        """Remove all calls, and shrink to the size of a new index."""
        self.clear()
