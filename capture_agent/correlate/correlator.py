"""Finds the transaction and dialog of each message. Hot: compiled with correlator.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.books import Account, Ledger
from capture_agent.clock import Clock
from capture_agent.config import Correlate
from capture_agent.correlate import timers as limits
from capture_agent.correlate import transitions as changes
from capture_agent.correlate.calls_table import CallsTable
from capture_agent.correlate.marks import cut, hop_of, mark_of
from capture_agent.correlate.queues import Call
from capture_agent.correlate.tags import Tags
from capture_agent.correlate.tally import OF_CALLS, OF_DIALOGS, OF_TRANSACTIONS
from capture_agent.correlate.updating import note_request, note_response
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip import methods
from capture_agent.sip.message import SipMessage
from capture_agent.sip.methods import Method, kind_of

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.correlate.ahead import AT_ONCE
    from capture_agent.records.dialog import (
        BYTES_MORE,
        DIALOG_CONFIRMED,
        DIALOG_EARLY,
        NEW_BUT_FORGOTTEN,
        SHIFT,
        TRANSACTION_CALLING,
        TRANSACTION_COMPLETED,
        TRANSACTION_CONFIRMED,
        TRANSACTION_TRYING,
    )

MOST_OF_CALL_ID = cython.declare(cython.int, limits.MOST_OF_CALL_ID)
MOST_OF_METHOD = cython.declare(cython.int, limits.MOST_OF_METHOD)
INVITE = cython.declare(cython.int, Method.INVITE)
ACK = cython.declare(cython.int, Method.ACK)
CANCEL = cython.declare(cython.int, Method.CANCEL)
SUBSCRIBE = cython.declare(cython.int, Method.SUBSCRIBE)
NOTIFY = cython.declare(cython.int, Method.NOTIFY)
OTHER = cython.declare(cython.int, Method.OTHER)
METHOD_UNITS = cython.declare(cython.int, (limits.MOST_OF_METHOD + BYTES_MORE) >> SHIFT)  # at most
NAMES = cython.declare(tuple, methods.NAMES)
FORMS = cython.declare(cython.int, changes.FORMS)
WITHIN = cython.declare(cython.int, changes.WITHIN)
JOINS = cython.declare(cython.int, changes.JOINS)
EARLY = cython.declare(cython.int, changes.EARLY)
DIALOGS = cython.declare(bytes, bytes(changes.DIALOGS[method] for method in Method))

DEFAULTS = Correlate()

ACCOUNT = Account("correlation", ("new", "retransmitted", "unmarked"), ("no_call_id", "no_cseq"))

# Most calls that a batch checks for expiry: more than it can create, but not all at once.
LEAST_LOOKS = cython.declare(cython.int, 1000)
LOOKS_PER_MESSAGE = cython.declare(cython.int, 4)


@cython.final
@cython.cclass
class Correlator:
    """Sets `transaction`, `dialog` and `retransmission` of messages: seen = correlated + no_call_id + no_cseq.

    Its arguments are the options of [correlate].

    unmarked   messages not remembered because their transaction was full: sent again, they count as new
    """

    __slots__ = (
        "_tags", "clock", "correlated", "no_call_id", "no_cseq",
        "retransmissions", "seen", "table", "unmarked",
    )  # fmt: skip

    def __init__(
        self,
        calls: int = DEFAULTS.calls,
        idle_seconds: int = DEFAULTS.idle_seconds,
        age_seconds: int = DEFAULTS.age_seconds,
        mib: int = DEFAULTS.mib,
    ) -> None:
        self.table = CallsTable(calls, idle_seconds * limits.SECOND_NS, age_seconds * limits.SECOND_NS, mib)
        self.clock = Clock()
        self.seen = 0
        self.correlated = 0
        self.no_call_id = 0
        self.no_cseq = 0
        self.retransmissions = 0
        self.unmarked = 0
        self._tags = Tags()

    @classmethod
    def configured(cls, correlate: Correlate) -> Correlator:
        return cls(correlate.calls, correlate.idle_seconds, correlate.age_seconds, correlate.mib)

    def ledgers(self) -> list[Ledger]:
        """The ledgers of messages, and of calls, transactions and dialogs."""
        first = self.correlated - self.retransmissions - self.unmarked
        outcomes = {"new": first, "retransmitted": self.retransmissions}
        if self.unmarked:
            outcomes["unmarked"] = self.unmarked
        rejected = {"no_call_id": self.no_call_id, "no_cseq": self.no_cseq}
        return [
            ACCOUNT.ledger(self.seen, outcomes, rejected),
            self.table.calls.ledger(OF_CALLS),
            self.table.transactions.ledger(OF_TRANSACTIONS),
            self.table.dialogs.ledger(OF_DIALOGS),
        ]

    def observe(self, messages: list[CapturedMessage]) -> None:
        count: cython.Py_ssize_t = len(messages)
        first: cython.Py_ssize_t = 0
        group: cython.int
        number: cython.int
        while first < count:
            group = min(count - first, AT_ONCE)
            if cython.compiled:
                self.table.foresee(messages, first, group)
            for number in range(group):
                self._observe(messages[first + number], number)
            first += group
        self._tags.forget()
        self.seen += count
        self.table.clean(self.clock.now_ns, LEAST_LOOKS + LOOKS_PER_MESSAGE * count)

    def note_growth(self, grown: list[tuple[CapturedMessage, Dialog | Transaction, int]]) -> None:
        """These take this many more units of memory, for what policy keeps in them."""
        for message, belongs_to, units in grown:
            self.table.note_growth(message.sip, belongs_to, units)

    def close(self) -> None:
        """The capture has ended: forget everything."""
        self.table.close()

    def _observe(self, message: CapturedMessage, number: cython.int) -> cython.bint:
        sip: SipMessage = message.sip
        kind: cython.int
        hop: cython.ulonglong = 0
        if sip.call_id_start < 0:
            self.no_call_id += 1
            return False
        if sip.cseq < 0 or sip.cseq_method_start < 0:
            self.no_cseq += 1
            return False
        now_ns: cython.longlong = self.clock.tick(message.seen_ns)
        if sip.is_request:
            kind = kind_of(sip.data, sip.method_start, sip.method_end)
            hop = hop_of(sip)
        else:
            kind = kind_of(sip.data, sip.cseq_method_start, sip.cseq_method_end)
        self._tags.read(sip)
        call: Call = self.table.call(sip, number, self.clock.now_ns)
        transaction: Transaction | None = self._transaction_of(call, kind, sip, hop, now_ns)
        if transaction is None:
            transaction = self._begin(call, kind, sip, now_ns)
        transaction._last_ns = now_ns
        message.transaction = transaction
        dialog: Dialog | None = transaction.dialog
        if dialog is not None:
            dialog._last_ns = now_ns
            message.dialog = dialog
        self.correlated += 1
        units: cython.int = transaction._units
        if dialog is not None:
            units = units + dialog._units
        self._note(transaction, kind, message, hop)
        units = transaction._units - units
        if dialog is not None:
            units = units + dialog._units
        if units:
            self.table.grown(call, units)
        return True

    def _transaction_of(
        self, call: Call, kind: cython.int, sip: SipMessage, hop: cython.ulonglong, now_ns: cython.longlong
    ) -> Transaction | None:
        """The transaction that this message belongs to, if known.

        A CANCEL belongs to the INVITE that it cancels (RFC 3261 9.1), and an ACK to the INVITE that has failed
        (17.1.1.3). An ACK for a 2xx is a separate transaction (13.2.2.4).
        """
        invite: Transaction | None
        if call.transactions is None:
            return None
        if kind != ACK and kind != CANCEL:
            return self._find(call, kind, sip, now_ns)
        invite = self._find(call, INVITE, sip, now_ns)
        if invite is not None and (
            kind == CANCEL
            or invite.state == TRANSACTION_COMPLETED
            or invite.state == TRANSACTION_CONFIRMED
            or invite.knows_hop(hop)
        ):
            return invite
        return self._find(call, kind, sip, now_ns)

    def _find(self, call: Call, kind: cython.int, sip: SipMessage, now_ns: cython.longlong) -> Transaction | None:
        one: Transaction | None = call.transactions
        while one is not None:
            if (
                one.cseq == sip.cseq
                and one._kind == kind
                and one._from == self._tags.in_from
                and (kind != OTHER or one.method == self._other_method(sip))
                and self.table.holds_transaction(one, now_ns)
            ):
                return one
            one = one._next
        return None

    def _other_method(self, sip: SipMessage) -> bytes:
        start: cython.Py_ssize_t = sip.method_start if sip.is_request else sip.cseq_method_start
        end: cython.Py_ssize_t = sip.method_end if sip.is_request else sip.cseq_method_end
        return cut(sip.data, start, min(end, start + MOST_OF_METHOD))

    def _begin(self, call: Call, kind: cython.int, sip: SipMessage, now_ns: cython.longlong) -> Transaction:
        """Create a transaction for this message, and find or create its dialog."""
        one: Transaction = Transaction.__new__(Transaction)
        one.method = NAMES[kind] if kind else self._other_method(sip)
        one.cseq = sip.cseq
        one.traces = one.hooked = ()
        one.state = TRANSACTION_CALLING if kind == INVITE else TRANSACTION_TRYING
        one.spiral = False
        one._kind = kind
        one._initial = False
        one._ends = False
        one._last_ns = now_ns
        one._open = 0
        one._first_hop = 0
        one._hops = None
        one._marked = 0
        one._more = None
        if not cython.compiled:
            one._marks = []
        one._from = self._tags.in_from
        one._from_tag = None
        one._units = 0 if kind else METHOD_UNITS
        one.dialog = self._find_dialog(call, kind, sip, now_ns)
        if one.dialog is None:
            one.dialog = self._make_dialog(call, kind, sip, one, now_ns)
        if one.dialog is None or not one.dialog.has(one._from):
            one._from_tag = self._tags.text_in_from()
            one._units += (len(one._from_tag) + BYTES_MORE) >> SHIFT
        if DIALOGS[kind] & FORMS and not self._tags.in_to:
            one._initial = one.dialog is not None
        self.table.add_transaction(call, one, self.clock.now_ns)
        return one

    def _find_dialog(self, call: Call, kind: cython.int, sip: SipMessage, now_ns: cython.longlong) -> Dialog | None:
        """The dialog whose caller's tag is in From or To; with RFC 2543 peers, also a callee's in From."""
        one: Dialog | None = call.dialogs
        tagged: cython.bint = self._tags.in_to != 0
        if one is None or not (DIALOGS[kind] & (FORMS | WITHIN) or (tagged and DIALOGS[kind] & JOINS)):
            return None
        while one is not None:
            if (
                one._caller == self._tags.in_from or (tagged and one._caller == self._tags.in_to)
            ) and self.table.holds_dialog(one, now_ns):
                return one
            one = one._next
        if tagged or not DIALOGS[kind] & WITHIN:
            return None
        one = call.dialogs
        while one is not None:
            if one.callee(self._tags.in_from) >= 0 and self.table.holds_dialog(one, now_ns):
                return one
            one = one._next
        return None

    def _make_dialog(
        self, call: Call, kind: cython.int, sip: SipMessage, transaction: Transaction, now_ns: cython.longlong
    ) -> Dialog | None:
        """Create the dialog that this message begins, or shows to have begun earlier."""
        role: cython.int = DIALOGS[kind]
        tagged: cython.bint = self._tags.in_to != 0
        forms: cython.bint = role & FORMS != 0
        if sip.is_request:
            if not (forms if not tagged else role & JOINS):
                return None
        elif not forms or not 100 <= sip.status < 300 or (kind != INVITE and sip.status < 200):
            return None
        dialog: Dialog = Dialog.__new__(Dialog)
        call_id: bytes = cut(sip.data, sip.call_id_start, min(sip.call_id_end, sip.call_id_start + MOST_OF_CALL_ID))
        dialog._caller_at = len(call_id)
        dialog._text = call_id + self._tags.text_in_from()
        dialog._callee_at = len(dialog._text)
        dialog._caller = self._tags.in_from
        dialog._callee = 0
        dialog._others = None
        dialog._units = 0
        dialog.method = transaction.method if forms else NAMES[SUBSCRIBE if kind == NOTIFY else INVITE]
        dialog.confirming_cseq = 0
        dialog.joined = tagged or not sip.is_request
        dialog.state = DIALOG_CONFIRMED if tagged and sip.is_request and not role & EARLY else DIALOG_EARLY
        dialog.traces = dialog.hooked = ()
        if tagged:
            dialog.add_callee(self._tags.in_to, self._tags.text_in_to())
        dialog._answered = 1 if dialog.state == DIALOG_CONFIRMED else 0
        transaction._initial = forms and not (tagged and sip.is_request)
        self.table.add_dialog(call, dialog, now_ns)
        return dialog

    def _note(
        self, transaction: Transaction, kind: cython.int, message: CapturedMessage, hop: cython.ulonglong
    ) -> cython.bint:
        """Apply the changes of this message; a retransmission changes nothing."""
        known: cython.int = transaction.remember(mark_of(message, kind, hop, self._tags.in_to))
        if not known:
            message.retransmission = True
            self.retransmissions += 1
            return True
        self.unmarked += known == NEW_BUT_FORGOTTEN
        if message.sip.is_request:
            return note_request(transaction, kind, message, hop, self._tags)
        return note_response(transaction, kind, message.sip, self._tags)
