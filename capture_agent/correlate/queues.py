"""Calls, and the queues in which they stand. Hot: compiled with queues.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.calls import Dialog, Transaction


@cython.final
@cython.no_gc  # the neighbours in a queue refer to each other; what leaves it refers to nobody
@cython.freelist(1024)
@cython.cclass
class Call:
    """All that has one Call-ID, the newest first."""

    __slots__ = ("after", "before", "call_id", "dialogs", "resting", "since_ns", "transactions")

    def __init__(self, call_id: bytes) -> None:
        self.call_id = call_id
        self.transactions: Transaction | None = None
        self.dialogs: Dialog | None = None
        self.before: Call | None = None
        self.after: Call | None = None
        self.since_ns = 0  # when it was put into its queue
        self.resting = False


@cython.final
@cython.cclass
class Queue:
    """Calls in the order in which they came, each linked with its neighbours."""

    __slots__ = ("count", "first", "last")

    def __init__(self) -> None:
        self.count = 0
        self.first: Call | None = None
        self.last: Call | None = None

    def append(self, call: Call, now_ns: cython.longlong) -> cython.bint:
        call.since_ns = now_ns
        call.before = self.last
        if self.last is None:
            self.first = call
        else:
            self.last.after = call
        self.last = call
        self.count += 1
        return True

    def remove(self, call: Call) -> cython.bint:
        before: Call | None = call.before
        after: Call | None = call.after
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before
        call.before = call.after = None
        self.count -= 1
        return True
