"""Prefetches memory. Hot: compiled with ahead.pxd; plain Python cannot do this.

With a million calls, each step to another object goes to main memory, and a message waits longer for it than all its
instructions take. Memory serves many requests in parallel. So a group of messages, and of expiring calls, is looked up
in rounds ahead of its turn: the table's slot, the call, its parts.
"""

# Code that is only compiled uses names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

import cython

from capture_agent.correlate.index import Index
from capture_agent.correlate.marks import call_key
from capture_agent.correlate.queues import Call, Queue
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import Dialog, Transaction

if not cython.compiled:
    AT_ONCE = 128  # messages, or expired calls, whose memory is requested together

TEXT = cython.declare(cython.int, 96)  # bytes of a text that are examined
POOL = cython.declare(cython.size_t, 1 << 14)  # Objects/obmalloc.c; with another size it would only have no effect
POOL_HEADER = cython.declare(cython.int, 48)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def pool_of(thing: cython.p_void) -> cython.p_void:
    """Compiled only: where Python's allocator records that this has been freed."""
    return cython.cast(cython.p_void, cython.cast(cython.size_t, thing) & ~(POOL - 1))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def distance(start: cython.p_void, end: cython.p_void) -> cython.int:
    return cython.cast(cython.size_t, end) - cython.cast(cython.size_t, start)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def ended_size(one: Transaction) -> cython.int:
    """Compiled only."""
    return distance(cython.cast(cython.p_void, one), cython.address(one.cseq))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def needed_size(one: Dialog) -> cython.int:
    """Compiled only."""
    return distance(cython.cast(cython.p_void, one), cython.address(one.confirming_cseq))


# Bytes that are read of an expiring transaction, and of a dialog for each message: dialog.pxd puts them first.
ENDED = cython.declare(cython.int, ended_size(Transaction.__new__(Transaction)) if cython.compiled else 0)
NEEDED = cython.declare(cython.int, needed_size(Dialog.__new__(Dialog)) if cython.compiled else 0)


@cython.final
@cython.cclass
class Ahead:
    """Compiled only. Has no effect on results."""

    @cython.exceptval(check=False)
    def key(self, number: cython.int) -> cython.ulonglong:
        """marks.call_key of a message of the group."""
        return self._keys[number]

    def group(
        self, index: Index, resting: Queue, messages: list[CapturedMessage], first: cython.Py_ssize_t, count: cython.int
    ) -> cython.bint:
        """Prefetch for this many of the coming messages, at most AT_ONCE."""
        n: cython.int
        message: CapturedMessage
        different: cython.int = 0
        for n in range(count):
            message = messages[first + n]
            self._keys[n] = call_key(message.sip)
            if n == 0 or self._keys[n] != self._keys[n - 1]:
                self._different[different] = self._keys[n]
                different += 1
        # Nothing else in these rounds: a processor executes only so many instructions ahead before it waits.
        for n in range(different):
            index.fetch_slot(self._different[n])
        for n in range(different):
            self._calls[n] = index.peek(self._different[n])
            fetch(self._calls[n], cython.sizeof(Call))
        for n in range(different):
            if self._calls[n] != cython.NULL and cython.cast(Call, self._calls[n]).resting:
                resting.fetch_place(cython.cast(Call, self._calls[n]).place)
        return self._parts(different, cython.sizeof(Transaction))

    def queue(self, index: Index, queue: Queue, period_ns: cython.longlong, now_ns: cython.longlong) -> cython.bint:
        """Prefetch for the expired calls at the head of a queue, at most AT_ONCE."""
        n: cython.int
        count: cython.int = 0
        dialog: Dialog | None
        while count < AT_ONCE and queue.is_due(count, period_ns, now_ns):
            self._calls[count] = queue.peek(count)
            fetch(self._calls[count], cython.sizeof(Call))
            count += 1
        self._parts(count, ENDED)
        for n in range(count):
            if self._calls[n] != cython.NULL:
                dialog = cython.cast(Call, self._calls[n]).dialogs
                if dialog is not None and dialog.state != DIALOG_ENDED:
                    continue
                index.fetch_slot(cython.cast(Call, self._calls[n]).key)
                if dialog is not None:
                    fetch(cython.cast(cython.p_void, dialog), cython.sizeof(Dialog))
                    fetch(cython.cast(cython.p_void, dialog._text), TEXT)
                    fetch(pool_of(cython.cast(cython.p_void, dialog._text)), POOL_HEADER)
        return True

    def _parts(self, count: cython.int, transaction: cython.int) -> cython.bint:
        n: cython.int
        call: Call
        for n in range(count):
            if self._calls[n] != cython.NULL:
                call = cython.cast(Call, self._calls[n])
                fetch(cython.cast(cython.p_void, call.transactions), transaction)
                fetch(cython.cast(cython.p_void, call.dialogs), NEEDED)
        for n in range(count):
            if self._calls[n] != cython.NULL:
                call = cython.cast(Call, self._calls[n])
                if call.transactions is not None:
                    fetch(cython.cast(cython.p_void, call.transactions._next), transaction)
                if call.dialogs is not None and not call.dialogs._callee:  # then it will be rewritten, with the tag
                    fetch(cython.cast(cython.p_void, call.dialogs._text), TEXT)
        return True
