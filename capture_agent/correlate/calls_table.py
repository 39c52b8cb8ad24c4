"""The table of Call-IDs with their transactions and dialogs. Hot: compiled with calls_table.pxd, or plain Python.

A call is in one of two queues, and is checked when its time there has expired: in `settling` while it has live
transactions, in `resting` when it has only dialogs left. Expired parts are then removed, and the rest is queued again.
So no message moves an entry, and no entry goes stale. Lifetimes count from an entry's own last message, and every
look-up checks them: when a queue is processed affects only memory.
"""

from __future__ import annotations

import cython

from capture_agent import clock
from capture_agent.correlate import timers as limits
from capture_agent.correlate.ahead import Ahead
from capture_agent.correlate.index import Index
from capture_agent.correlate.marks import call_key
from capture_agent.correlate.queues import Call, Queue
from capture_agent.correlate.tally import Tally
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip.message import SipMessage

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.correlate.ahead import AT_ONCE
    from capture_agent.records.dialog import (
        BYTES_MORE,
        DIALOG_CONFIRMED,
        DIALOG_EARLY,
        SHIFT,
        TRANSACTION_CALLING,
        TRANSACTION_PROCEEDING,
        UNIT,
    )

SETTLED_NS = cython.declare(cython.longlong, limits.SETTLED_NS)
CALLING_NS = cython.declare(cython.longlong, limits.CALLING_NS)
RINGING_NS = cython.declare(cython.longlong, limits.RINGING_NS)
SETTLING_NS = cython.declare(cython.longlong, limits.SETTLING_NS)
RESTING_NS = cython.declare(cython.longlong, limits.RESTING_NS)
ODD_NS = cython.declare(cython.longlong, clock.ODD_NS)
MOST_TRANSACTIONS = cython.declare(cython.int, limits.MOST_TRANSACTIONS)
MOST_DIALOGS = cython.declare(cython.int, limits.MOST_DIALOGS)
UNITS = limits.COMPILED_UNITS if cython.compiled else limits.PLAIN_UNITS
CALL_UNITS = cython.declare(cython.int, UNITS[0])
TRANSACTION_UNITS = cython.declare(cython.int, UNITS[1])
DIALOG_UNITS = cython.declare(cython.int, UNITS[2])


@cython.final
@cython.cclass
class CallsTable:
    """Bounded by `limit` calls, and by `mib` MiB for them with their transactions and dialogs.

    If it is full, the queue with more calls, or more memory, evicts its first: a flood of new Call-IDs evicts itself,
    not the dialogs at rest.
    """

    __slots__ = (
        "_age_ns", "_ahead", "_idle_ns", "_index", "_most_units", "_resting", "_settling", "calls", "dialogs", "limit",
        "transactions",
    )  # fmt: skip

    def __init__(self, limit: int, idle_ns: int, age_ns: int, mib: int) -> None:
        self.limit = limit
        self._idle_ns = idle_ns
        self._age_ns = age_ns
        self._index = Index()
        self._settling = Queue()
        self._resting = Queue()
        self._ahead = Ahead()
        self._most_units = (mib << 20) // UNIT
        self.calls = Tally()
        self.transactions = Tally()
        self.dialogs = Tally()

    @property
    def held_bytes(self) -> int:
        """Memory of the calls with their transactions and dialogs."""
        return (self._settling.units + self._resting.units) * UNIT

    def close(self) -> None:
        """Forget all calls."""
        queue: Queue
        tally: Tally
        call: Call
        for tally in (self.calls, self.transactions, self.dialogs):
            tally.over += tally.held
        for queue in (self._settling, self._resting):
            while queue.count:
                call = queue.first()
                self._take_apart(call)
                queue.remove(call)
        self._index.clear()

    def foresee(self, messages: list[CapturedMessage], first: cython.Py_ssize_t, count: cython.int) -> cython.bint:
        """Announce the coming messages. Compiled only."""
        return self._ahead.group(self._index, self._resting, messages, first, count)

    def call(self, sip: SipMessage, number: cython.int, now_ns: cython.longlong) -> Call:
        """The call with this message's Call-ID; otherwise a new one. `number`: its place among those announced."""
        key: cython.ulonglong = self._ahead.key(number) if cython.compiled else call_key(sip)
        call: Call | None = self._index.find(key)
        if self._settling.units + self._resting.units >= self._most_units:
            self._make_room(call, now_ns)
        if call is not None:
            return call
        return self._make(key, now_ns)

    def _make(self, key: cython.ulonglong, now_ns: cython.longlong) -> Call:
        if self.calls.held >= self.limit:
            longer: Queue = self._settling if self._settling.count >= self._resting.count else self._resting
            self._evict(longer, None, now_ns)
        call: Call = Call.__new__(Call)
        call.key = key
        call.transactions = None
        call.dialogs = None
        call.units = CALL_UNITS
        call.resting = False
        self._settling.append(call, now_ns)
        self._index.add(call)
        self.calls.held += 1
        self.calls.begun += 1
        return call

    def add_transaction(self, call: Call, transaction: Transaction, now_ns: cython.longlong) -> cython.bint:
        """Make room in this call; expired parts go first."""
        if call.transactions is not None:
            self._prune_transactions(call, now_ns, MOST_TRANSACTIONS - 1)
        transaction._next = call.transactions
        call.transactions = transaction
        self.grown(call, TRANSACTION_UNITS + transaction._units)
        self.transactions.held += 1
        self.transactions.begun += 1
        if call.resting:
            self._resting.remove(call)
            call.resting = False
            self._settling.append(call, now_ns)
        return True

    def add_dialog(self, call: Call, dialog: Dialog, now_ns: cython.longlong) -> cython.bint:
        if call.dialogs is not None:
            self._prune_dialogs(call, now_ns, MOST_DIALOGS - 1)
        dialog._born_ns = dialog._last_ns = now_ns
        dialog._next = call.dialogs
        call.dialogs = dialog
        dialog._units = (len(dialog._text) + BYTES_MORE) >> SHIFT
        self.grown(call, DIALOG_UNITS + dialog._units)
        self.dialogs.held += 1
        self.dialogs.begun += 1
        return True

    def grown(self, call: Call, units: cython.int) -> cython.bint:
        """It takes this many more (or fewer) units of memory."""
        call.units += units
        if call.resting:
            self._resting.units += units
        else:
            self._settling.units += units
        return True

    def note_growth(self, sip: SipMessage, belongs_to: object, units: cython.int) -> cython.bint:
        """The same for a transaction or dialog with this message's Call-ID, if it is still here."""
        call: Call | None = self._index.find(call_key(sip))
        if call is None:
            return False
        transaction: Transaction | None = call.transactions
        while transaction is not None and transaction is not belongs_to:
            transaction = transaction._next
        dialog: Dialog | None = call.dialogs
        while dialog is not None and dialog is not belongs_to:
            dialog = dialog._next
        return (transaction is not None or dialog is not None) and self.grown(call, units)

    def holds_transaction(self, transaction: Transaction, now_ns: cython.longlong) -> cython.bint:
        """Whether it is live at this time."""
        silent: cython.longlong = now_ns - transaction._last_ns
        if transaction.state == TRANSACTION_CALLING:
            return -ODD_NS < silent < CALLING_NS
        if transaction.state == TRANSACTION_PROCEEDING:
            return -ODD_NS < silent < RINGING_NS
        return -ODD_NS < silent < SETTLED_NS

    def holds_dialog(self, dialog: Dialog, now_ns: cython.longlong) -> cython.bint:
        silent: cython.longlong = now_ns - dialog._last_ns
        if dialog.state == DIALOG_EARLY:
            return -ODD_NS < silent < RINGING_NS
        if dialog.state == DIALOG_CONFIRMED:
            return -ODD_NS < silent < self._idle_ns and now_ns - dialog._born_ns < self._age_ns
        return -ODD_NS < silent < SETTLED_NS

    def clean(self, now_ns: cython.longlong, most: cython.Py_ssize_t) -> None:
        """Check the calls whose time in a queue has expired, at most this many."""
        self._look_through(self._settling, SETTLING_NS, now_ns, most)
        self._look_through(self._resting, RESTING_NS, now_ns, most)

    def _look_through(
        self, queue: Queue, period_ns: cython.longlong, now_ns: cython.longlong, most: cython.Py_ssize_t
    ) -> cython.bint:
        call: Call
        looked: cython.Py_ssize_t = 0
        while queue.count and looked < most:
            if not queue.is_due(0, period_ns, now_ns):
                break
            if cython.compiled and looked % AT_ONCE == 0:
                self._ahead.queue(self._index, queue, period_ns, now_ns)
            looked += 1
            call = queue.first()
            self._prune_transactions(call, now_ns, MOST_TRANSACTIONS)
            self._prune_dialogs(call, now_ns, MOST_DIALOGS)
            queue.remove(call)
            if call.transactions is not None:
                call.resting = False
                self._settling.append(call, now_ns)
            elif call.dialogs is not None:
                call.resting = True
                self._resting.append(call, now_ns)
            else:
                self._index.remove(call)
                self.calls.held -= 1
                self.calls.over += 1
        return True

    def _prune_transactions(self, call: Call, now_ns: cython.longlong, most: cython.int) -> cython.bint:
        """Remove expired entries, and the oldest beyond `most`."""
        kept: Transaction | None = None
        after: Transaction | None
        one: Transaction | None = call.transactions
        count: cython.int = 0
        live: cython.bint
        while one is not None:
            after = one._next
            live = self.holds_transaction(one, now_ns)
            if live and count < most:
                kept = one
                count += 1
            else:
                self.grown(call, -TRANSACTION_UNITS - one._units)
                self.transactions.held -= 1
                self.transactions.crowded_out += live
                self.transactions.over += not live
                one._next = None
                if kept is None:
                    call.transactions = after
                else:
                    kept._next = after
            one = after
        return True

    def _prune_dialogs(self, call: Call, now_ns: cython.longlong, most: cython.int) -> cython.bint:
        kept: Dialog | None = None
        after: Dialog | None
        one: Dialog | None = call.dialogs
        count: cython.int = 0
        live: cython.bint
        while one is not None:
            after = one._next
            live = self.holds_dialog(one, now_ns)
            if live and count < most:
                kept = one
                count += 1
            else:
                self.grown(call, -DIALOG_UNITS - one._units)
                self.dialogs.held -= 1
                self.dialogs.crowded_out += live
                self.dialogs.over += not live
                one._next = None
                if kept is None:
                    call.dialogs = after
                else:
                    kept._next = after
            one = after
        return True

    def _make_room(self, spared: Call | None, now_ns: cython.longlong) -> cython.bint:
        """Evict calls until memory is within its limit."""
        larger: Queue
        while self._settling.units + self._resting.units >= self._most_units:
            larger = self._settling if self._settling.units >= self._resting.units else self._resting
            if not self._evict(larger, spared, now_ns):
                return False
        return True

    def _evict(self, queue: Queue, spared: Call | None, now_ns: cython.longlong) -> cython.bint:
        """Evict one, but not the one in use."""
        if queue.count and queue.first() is spared:
            queue.remove(spared)
            queue.append(spared, now_ns)
        if not queue.count or queue.first() is spared:
            return False
        call: Call = queue.first()
        queue.remove(call)
        self.transactions.evicted += self.transactions.held
        self.dialogs.evicted += self.dialogs.held
        self._take_apart(call)
        self.transactions.evicted -= self.transactions.held
        self.dialogs.evicted -= self.dialogs.held
        self._index.remove(call)
        self.calls.evicted += 1
        return True

    def _take_apart(self, call: Call) -> cython.bint:
        """Cut its links: someone may still hold one of its messages, which must not keep all the others."""
        self.calls.held -= 1
        transaction: Transaction | None = call.transactions
        dialog: Dialog | None = call.dialogs
        while transaction is not None:
            call.transactions = transaction._next
            transaction._next = None
            transaction = call.transactions
            self.transactions.held -= 1
        while dialog is not None:
            call.dialogs = dialog._next
            dialog._next = None
            dialog = call.dialogs
            self.dialogs.held -= 1
        return True
