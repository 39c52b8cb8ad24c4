"""Which rule decides about a message, and what it starts. Hot: compiled with rules.pxd, or plain Python.

A message in a traced transaction or dialog is traced by that one. For the others the rules are evaluated in order,
except those that an index excludes by method and kind or status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cython

from capture_agent.policy.conditions import Condition
from capture_agent.policy.facts import Facts
from capture_agent.policy.weights import SECOND, trace_units
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.traced import ALL_SINKS, Trace
from capture_agent.sip.message import SipMessage

MESSAGE = cython.declare(cython.int, 0)
TRANSACTION = cython.declare(cython.int, 1)
DIALOG = cython.declare(cython.int, 2)
NOTHING = cython.declare(cython.int, 3)
MODES = {"message": 0, "transaction": 1, "dialog": 2, "none": 3}

# Kinds of messages in the index: requests without and with a To tag, then responses by class; 2 is a response without a
# status.
INITIAL = cython.declare(cython.int, 0)
IN_DIALOG = cython.declare(cython.int, 1)
RESPONSE = cython.declare(cython.int, 2)
KINDS = 9
LAST_STATUS = cython.declare(cython.int, 699)

Make = Callable[[Facts], Trace]
Traces = tuple[Trace, ...]
Grown = tuple[CapturedMessage, Dialog | Transaction, int]  # by this many units, with this message


@cython.final
@cython.cclass
class CompiledRule:
    """A compiled rule.

    methods    the request's method, or the one in a response's CSeq; empty: any
    kinds      a byte per kind of message: whether it may match
    statuses   a byte per status; empty: any
    make       the trace of everything that it starts, or a function that makes one from the starting message
    decided    how often it has matched; later messages of what it has started are not asked about again
    """

    __slots__ = (
        "_alone",
        "_conditions",
        "_kinds",
        "_make",
        "_methods",
        "_statuses",
        "decided",
        "has_users",
        "lookback_ns",
        "mode",
        "name",
        "number",
        "sinks",
    )

    def __init__(
        self,
        name: str,
        mode: int,
        methods: Iterable[bytes],
        kinds: bytes,
        statuses: bytes,
        conditions: Iterable[Condition],
        make: Make | Trace,
        has_users: bool,
        lookback_ns: int = 0,
        number: int = 0,
        sinks: int = ALL_SINKS,
    ) -> None:
        self.name = name
        self.mode = mode
        self.has_users = has_users
        self.lookback_ns = lookback_ns
        self.number = number
        self.sinks = sinks or ALL_SINKS
        self.decided = 0
        self._methods = frozenset(methods)
        self._kinds = kinds
        self._statuses = statuses
        self._conditions = tuple(conditions)
        self._alone: Traces | None = (make,) if isinstance(make, Trace) else None
        self._make = None if isinstance(make, Trace) else make

    def may_match(self, method: bytes | None, kind: int) -> bool:
        """For the index. `method` None: a method that no rule names."""
        return bool(self._kinds[kind]) and (not self._methods or method in self._methods)

    @property
    def methods(self) -> frozenset[bytes]:
        return self._methods

    def matches(self, facts: Facts, sip: SipMessage) -> cython.bint:
        condition: Condition
        status: cython.int = sip.status
        if self._statuses and not (0 < status <= LAST_STATUS and self._statuses[status]):
            return False
        for condition in self._conditions:  # noqa: SIM110 - a generator would be an object
            if not condition.holds(facts):
                return False
        return True

    def start(self, facts: Facts, transaction: Transaction | None, dialog: Dialog | None) -> tuple[Trace, ...]:
        """Trace this message, and everything that belongs to it from now on. Returns the trace.

        A message without a dialog is traced by its transaction; one without a transaction, alone.
        """
        alone: tuple[Trace, ...] | None = self._alone
        if alone is None:
            assert self._make is not None
            alone = (self._make(facts),)
        if self.mode == DIALOG and dialog is not None:
            dialog.traces = (*dialog.traces, *alone) if dialog.traces else alone
        elif self.mode != MESSAGE and transaction is not None:
            transaction.traces = (*transaction.traces, *alone) if transaction.traces else alone
        return alone

    def has_started(self, traces: Traces) -> cython.bint:
        """Whether one of them is this rule's."""
        trace: Trace
        for trace in traces:  # noqa: SIM110 - a generator would be an object
            if trace.rule == self.name:
                return True
        return False


@cython.final
@cython.cclass
class Rules:
    """All rules in order. `judge` sets, for its message: `started`, the rules that have started something with it;
    `undecided`, whether a rule with a lookback may yet trace it; `asked`, the sinks to which one may after others have
    traced it; `left_out`, whether no rule was evaluated. `grown` collects what has taken more memory since.
    """

    __slots__ = (
        "_all",
        "_asks_for_tag",
        "_dialog_acks",
        "_facts",
        "_index",
        "_local_failure_acks",
        "_looking_back",
        "_others",
        "_rules",
        "asked",
        "grown",
        "has_users",
        "left_out",
        "started",
        "undecided",
    )

    def __init__(
        self,
        rules: Iterable[CompiledRule],
        facts: Facts,
        every: bool = False,
        local_failure_acks: bool = True,
        dialog_acks: bool = True,
    ) -> None:
        self._rules = list(rules)
        self._facts = facts
        self._all = every
        self._local_failure_acks = local_failure_acks
        self._dialog_acks = dialog_acks
        self.has_users = any(rule.has_users for rule in self._rules)
        self.started: list[tuple[CompiledRule, Trace]] = []
        self.grown: list[Grown] = []
        self.undecided = False
        self.asked = 0
        self.left_out = False
        self._looking_back = [rule for rule in self._rules if rule.lookback_ns]
        methods = {method for rule in self._rules for method in rule.methods}
        self._index = {method: self._lists(method) for method in methods}
        self._others = self._lists(None)
        self._asks_for_tag = any(lists[INITIAL] != lists[IN_DIALOG] for lists in (*self._index.values(), self._others))

    @property
    def rules(self) -> list[CompiledRule]:
        return list(self._rules)

    @property
    def looks_back(self) -> bool:
        return bool(self._looking_back)

    @property
    def asked_in_all(self) -> int:
        """The sinks to which a rule that looks back may yet send a message that others have traced."""
        if not self._all:
            return 0
        sinks = 0
        for rule in self._looking_back:
            sinks |= rule.sinks
        return sinks

    def _lists(self, method: bytes | None) -> list[list[CompiledRule]]:
        return [[rule for rule in self._rules if rule.may_match(method, kind)] for kind in range(KINDS)]

    def judge(self, message: CapturedMessage, direction: Direction, on: cython.bint) -> tuple[Trace, ...]:
        """The traces of this message; none: it is not traced. While `on` is false, only traced users are."""
        traces: tuple[Trace, ...] = self._existing(message)  # type: ignore[assignment]
        if self.started:
            self.started = []
        self.undecided = False
        self.left_out = not self._local_failure_acks and self._answers_local_failure(message, direction)
        if self.left_out:
            return ()
        if not traces or self._all:
            traces = self._asked(message, direction, traces, on)
        return traces if on or not traces else without_plain_rows(traces)

    def _existing(self, message: CapturedMessage) -> tuple[object, ...]:
        transaction: Transaction | None = message.transaction
        dialog: Dialog | None = message.dialog
        traces: tuple[object, ...] = () if transaction is None else transaction.traces
        if dialog is None or not dialog.traces:
            return traces
        if not self._dialog_acks and is_confirming_ack(message):
            return traces
        if not traces:
            return dialog.traces
        return (*traces, *[trace for trace in dialog.traces if trace not in traces])

    def _answers_local_failure(self, message: CapturedMessage, direction: Direction) -> bool:
        """Whether it is an ACK for a failure that the server itself sent: the INVITE was seen on only one hop.

        siptrace calls the ACKs that its server's `sl` absorbs `sl_acks`; from outside, a stateful server's own failures
        look the same.
        """
        transaction: Transaction | None = message.transaction
        if transaction is None or transaction.method == b"ACK" or direction != "in" or not is_ack(message.sip):
            return False
        return transaction.branches <= 1

    def _asked(
        self, message: CapturedMessage, direction: Direction, traces: Traces, on: cython.bint
    ) -> tuple[Trace, ...]:
        """These traces, and those of the rules that match."""
        sip: SipMessage = message.sip
        rule: CompiledRule
        matched: cython.bint = False
        begun: cython.bint = False
        stopped: cython.bint = False
        for rule in self._candidates(sip):
            if traces and rule.has_started(traces):
                matched = True
                continue
            if not begun:
                begun = self._facts.begin(message, direction)
            if not rule.matches(self._facts, sip):
                continue
            matched = True
            rule.decided += 1
            if rule.mode == NOTHING:
                stopped = True
                break
            if on or rule.has_users:
                alone = rule.start(self._facts, message.transaction, message.dialog)
                traces = (*traces, *alone) if traces else alone
                if rule.mode != MESSAGE and (self._all or rule._make is not None):
                    self._note_growth(rule, message, alone[0])
                if rule.lookback_ns:
                    self.started.append((rule, alone[0]))
            if not self._all:
                break
        if not self._all:
            self.undecided = not matched and not traces
        elif self._looking_back and not stopped:
            self._ask_for_more(traces)
        return traces

    def _note_growth(self, rule: CompiledRule, message: CapturedMessage, trace: Trace) -> cython.bint:
        """Note what this rule has started: it takes memory while its transaction or dialog is remembered."""
        belongs_to: Dialog | Transaction | None = message.dialog if rule.mode == DIALOG else None
        belongs_to = belongs_to or message.transaction
        if belongs_to is None:
            return False
        units: cython.int = 0 if rule._make is None else trace_units(trace)
        count: cython.int = len(belongs_to.traces)
        if count > 1:
            units += SECOND if count == 2 else count & 1
        if units:
            self.grown.append((message, belongs_to, belongs_to.hold(units)))
        return True

    def _ask_for_more(self, traces: Traces) -> cython.bint:
        """Every matching rule has its own sinks: rules with a lookback that have not started may yet want it."""
        rule: CompiledRule
        self.asked = 0
        for rule in self._looking_back:
            if not traces or not rule.has_started(traces):
                self.asked |= rule.sinks
        self.undecided = self.asked != 0
        return True

    def _candidates(self, sip: SipMessage) -> list[CompiledRule]:
        """The rules that this message's method and kind may match."""
        kind: cython.int
        method: bytes | None
        lists: list[list[CompiledRule]] = self._others
        if sip.is_request:
            kind = IN_DIALOG if self._asks_for_tag and sip.to_tag is not None else INITIAL
        else:
            kind = RESPONSE + sip.status // 100
        if self._index:  # otherwise no rule names a method
            if sip.is_request:
                method = sip._part(sip.method_start, sip.method_end)
            else:
                method = sip._part(sip.cseq_method_start, sip.cseq_method_end)
            if method is not None:
                lists = self._index.get(method, self._others)
        return lists[kind if 0 <= kind < KINDS else RESPONSE]


def is_ack(sip: SipMessage) -> cython.bint:
    return sip.is_request and sip.method == b"ACK"


def is_confirming_ack(message: CapturedMessage) -> cython.bint:
    """The ACK for the 2xx that confirmed its dialog: not for a failure (RFC 3261 17.1.1.3) or a re-INVITE."""
    transaction: Transaction | None = message.transaction
    dialog: Dialog | None = message.dialog
    if not is_ack(message.sip) or (transaction is not None and transaction.method != b"ACK"):
        return False
    return dialog is not None and message.sip.cseq == dialog.confirming_cseq


def without_plain_rows(traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
    """The traces that remain while tracing is off: siptrace's traced users, without the row without a user."""
    return tuple(trace.changed(plain_row=False) for trace in traces if trace.users)
