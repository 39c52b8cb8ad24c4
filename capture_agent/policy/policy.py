"""Which messages are traced. Hot: compiled with policy.pxd, or plain Python.

Without rules, every SIP message is, while tracing is on (siptrace's trace_on). Hooks run after the rules, and before a
message is held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cython

from capture_agent.books import Account, Ledger, OfMessages
from capture_agent.config.endpoints import LocalAddress
from capture_agent.hooks.guard import Guard
from capture_agent.policy.compiling import compile_rules
from capture_agent.policy.direction import LocalSide
from capture_agent.policy.hooks import Decided, Hooks
from capture_agent.policy.legs import LegTable
from capture_agent.policy.lookback import Lookback
from capture_agent.policy.rules import MODES, Grown, Rules, Traces
from capture_agent.policy.settings import Settings
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import Captured
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage, traced

Messages = list[CapturedMessage]
Traced = list[TracedMessage]

ACCOUNT = Account("messages", (OfMessages.TRACED, OfMessages.NOT_TRACED, OfMessages.WAITING, OfMessages.CROWDED_OUT))


@cython.final
@cython.cclass
class Policy:
    """Counts its decisions: seen = traced + not_traced + crowded_out + waiting.

    Any thread may switch `on`: it takes effect with the next batch.
    """

    __slots__ = (
        "_crowded_before",
        "_hosts",
        "_in",
        "_last_bytes",
        "_legs",
        "_lookback",
        "_not_traced",
        "_out",
        "_rules",
        "_simple",
        "_trace",
        "hooks",
        "on",
        "settings",
        "side",
        "traced",
    )

    def __init__(
        self,
        local: Iterable[LocalAddress] = (),
        settings: Settings | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        settings = replace(settings or Settings(), hooked=hooks is not None)
        self.settings = settings
        self.hooks = hooks
        self.on = settings.trace.on
        self._trace = Trace(settings.sinks)
        self.traced = 0
        self._not_traced = 0
        self._crowded_before = 0  # by the one that this has taken over from
        self._rules: Rules | None = None if settings.trivial else compile_rules(settings)
        self._lookback: Lookback | None = None
        if self._rules is not None and self._rules.looks_back:
            trace = settings.trace
            most, most_bytes = trace.lookback_messages, trace.lookback_mib << 20
            self._lookback = Lookback(self._rules.rules, most, most_bytes, settings.keeps_frames)
        self._legs = LegTable(settings.legs) if settings.legs.links else None
        self._in = Direction.IN
        self._out = Direction.OUT
        self.know_local(local)

    def know_local(self, local: Iterable[LocalAddress]) -> None:
        """The addresses on the server's side, from now on."""
        self.side = LocalSide(local)
        self._hosts = self.side.hosts
        self._simple = self.side.simple
        # The last byte distinguishes most strangers: no look-up.
        lasts = {host[len(host) - 1] for host in self._hosts}
        self._last_bytes = bytes(last in lasts for last in range(256))

    def take_over(self, former: Policy) -> None:
        """Go on where another has ended: with its figures, what it holds back, its legs, and whether it is switched on.

        What it has begun to trace goes on as it began: that is written in the transactions and dialogs.
        """
        if self._lookback is not None and former._lookback is not None:
            self._lookback.take_over(former._lookback, self._rules.asked_in_all if self._rules is not None else 0)
        else:
            former.close()
        self.traced += former.traced
        self._not_traced += former.not_traced
        self._crowded_before += former.crowded_out
        if self.settings.legs == former.settings.legs:
            self._legs = former._legs
        if self.settings.trace.on == former.settings.trace.on:
            self.on = former.on

    @property
    def not_traced(self) -> int:
        return self._not_traced + (self._lookback.given_up if self._lookback is not None else 0)

    @property
    def waiting(self) -> int:
        """Messages held back until a rule decides."""
        return self._lookback.waiting if self._lookback is not None else 0

    @property
    def crowded_out(self) -> int:
        """Messages that were held back, then evicted for newer ones."""
        return self._crowded_before + (self._lookback.crowded_out if self._lookback is not None else 0)

    @property
    def legs_remembered(self) -> int:
        return self._legs.remembered if self._legs is not None else 0

    def leg_id(self, call_id: bytes) -> bytes:
        """What the legs of the call with this Call-ID share; empty: nothing is known."""
        return self._legs.id_of(call_id) if self._legs is not None else b""

    @property
    def legs_forgotten(self) -> int:
        """Legs of calls that were evicted for newer ones, or were silent for too long."""
        return self._legs.forgotten if self._legs is not None else 0

    def decisions(self) -> Iterator[tuple[str, str, int]]:
        """Of each rule, its name and mode, and how often it has matched."""
        names = {number: mode for mode, number in MODES.items()}
        for rule in self._rules.rules if self._rules is not None else ():
            yield rule.name, names[rule.mode], rule.decided

    def guards(self) -> Iterator[Guard]:
        """Of the user code: conditions of rules, then hooks."""
        yield from self.settings.conditions.values()
        if self.hooks is not None:
            yield from self.hooks.guards

    def ledgers(self) -> Iterator[Ledger]:
        """Of messages; then those of user code: conditions of rules, and hooks."""
        outcomes: dict[str, int] = {OfMessages.TRACED: self.traced, OfMessages.NOT_TRACED: self.not_traced}
        if self._lookback is not None or self._crowded_before:
            outcomes |= {OfMessages.WAITING: self.waiting, OfMessages.CROWDED_OUT: self.crowded_out}
        yield ACCOUNT.ledger(outcomes=outcomes)
        yield from self.ledgers_of_user_code()

    def ledgers_of_user_code(self) -> Iterator[Ledger]:
        for guard in self.settings.conditions.values():
            yield guard.ledger()
        if self.hooks is not None:
            yield from self.hooks.ledgers()

    def decide(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """The messages to trace, in order."""
        chosen: list[TracedMessage] = []
        message: CapturedMessage
        if self._rules is not None:
            return self._decide_by_rules(self._rules, messages)
        if not self.on:
            self._not_traced += len(messages)
            return chosen
        for message in messages:
            direction = self._direction(message) if message.origin is None else self._said(message)
            chosen.append(traced(message, direction, self._trace, self._trace.sinks))
        self.traced += len(chosen)
        return chosen

    def pass_on(self, messages: list[Captured]) -> list[TracedMessage]:
        """What is not SIP, for the sinks that get messages without a rule. It is in no account of messages."""
        if not self.on:
            return []
        trace = self._trace
        return [TracedMessage(message, Direction.IN, trace) for message in messages]

    def direction_of(self, datagram: Datagram) -> Direction:
        """Of a packet that is not SIP."""
        return self._with_ports(datagram)

    def take_grown(self) -> list[Grown]:
        """Transactions and dialogs whose traces have taken more memory since the last call."""
        grown: list[Grown] = []
        if self._rules is not None:
            grown, self._rules.grown = self._rules.grown, []
        if self.hooks is not None:
            grown += self.hooks.grown
            self.hooks.grown = []
        return grown

    def _said(self, message: CapturedMessage) -> Direction:
        """The direction that the message's origin names, otherwise the one of its addresses."""
        origin: Origin | None = message.origin
        if origin is not None and origin.direction is not None:
            return origin.direction
        return self._direction(message)

    def close(self) -> None:
        """The capture has ended: messages held back are not traced."""
        if self._lookback is not None:
            self._lookback.close()

    def _decide_by_rules(self, rules: Rules, messages: Messages) -> list[TracedMessage]:
        chosen: list[TracedMessage] = []
        message: CapturedMessage
        on: cython.bint = self.on
        if not on and not rules.has_users:
            self._not_traced += len(messages)
            return chosen
        for message in messages:
            direction = self._direction(message) if message.origin is None else self._said(message)
            traces: tuple[Trace, ...] = rules.judge(message, direction, on)
            if self._lookback is not None and rules.started:
                self._release(rules, self._lookback, chosen, message)
            if self.hooks is not None and on:
                self._ask_hooks(self.hooks, rules, chosen, message, direction, traces)
            elif traces:
                self._emit(chosen, message, direction, traces, 0)
                self.traced += 1
                if rules.undecided and on:
                    self._held(rules, message, direction, sinks_of(traces))
            elif not (on and self._held(rules, message, direction, None)):
                self._not_traced += 1
        if self._lookback is not None and messages:
            self._lookback.pass_time(messages[len(messages) - 1].seen_ns)
        if self._legs is not None:
            self._legs.let_go()
        if self.hooks is not None:
            chosen += self.hooks.take_events()
        return chosen

    def _ask_hooks(
        self,
        hooks: Hooks,
        rules: Rules,
        chosen: Traced,
        message: CapturedMessage,
        direction: Direction,
        traces: Traces,
    ) -> cython.bint:
        """Let hooks change the rules' decision. Messages they drop are not held back; messages they trace may be."""
        by_rules: list[TracedMessage] = []
        given: cython.ulonglong = 0
        one: TracedMessage
        self._emit(by_rules, message, direction, traces, 0)
        decided: Decided = hooks.apply(message, direction, tuple(by_rules), not rules.left_out)
        for one in decided:
            given |= one.sinks
            chosen.append(one if hooks.bare else self._with_leg(one))
        held = not hooks.dropped and self._held(rules, message, direction, given if decided else None)
        if decided:
            self.traced += 1
        elif not held:
            self._not_traced += 1
        return True

    def _with_leg(self, one: TracedMessage) -> TracedMessage:
        """Traces by hooks get the call's correlation id, like the others."""
        if self._legs is None:
            return one
        with_id = self._legs.with_id(cython.cast(CapturedMessage, one.message), one.trace)
        return one if with_id is one.trace else traced(one.message, one.direction, with_id, one.sinks)

    def _held(self, rules: Rules, message: CapturedMessage, direction: Direction, given: object) -> cython.bint:
        """Hold it back: a rule may yet trace it. `given`: the sinks that have it already, None if it is not traced."""
        asked: cython.ulonglong = rules.asked
        if self._lookback is None or not rules.undecided:
            return False
        if given is not None and asked:
            asked &= ~cython.cast(cython.ulonglong, given)
            if not asked:
                return False
        return self._lookback.hold(message, direction, given, asked)  # type: ignore[arg-type]

    def _emit(
        self,
        chosen: Traced,
        message: CapturedMessage,
        direction: Direction,
        traces: Traces,
        given: cython.ulonglong,
    ) -> cython.bint:
        """The message once per trace, without the sinks that already have it: initially those in `given`."""
        sinks: cython.ulonglong
        trace: Trace
        for trace in traces:
            sinks = trace.sinks & ~given
            if not sinks and trace.sinks:  # without any sink it still counts as traced
                continue
            given |= sinks
            with_id = trace if self._legs is None else self._legs.with_id(message, trace)
            chosen.append(traced(message, direction, with_id, sinks))
        return True

    def _release(self, rules: Rules, lookback: Lookback, chosen: Traced, message: CapturedMessage) -> cython.bint:
        """Messages held back, which go before the one that decides."""
        for rule, trace in rules.started:
            for held, given in lookback.release(message, rule, trace.sinks):
                self._emit(chosen, held.message, held.direction, (trace,), given or 0)
                self.traced += given is None
        return True

    def _direction(self, message: CapturedMessage) -> Direction:
        """IN towards a local address, OUT from one. Between two remote hosts (a mirror port): IN, as it reached us.

        Between two local ones (loopback, a spiral) also IN: one packet is one message.
        """
        if message.found_direction:
            return self._out if message.found_direction == 2 else self._in
        datagram: Datagram = message.datagram
        at: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        if not self._simple:
            return self._with_ports(datagram)
        if not cython.compiled:
            if datagram.data[at + size : at + 2 * size] in self._hosts:
                return self._in
            return self._out if datagram.data[at : at + size] in self._hosts else self._in
        if self._is_host(datagram, at + size, size):
            return self._in
        return self._out if self._is_host(datagram, at, size) else self._in

    def _is_host(self, datagram: Datagram, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        last: cython.Py_ssize_t = at + size - 1
        if not 0 <= last < len(datagram.data) or not self._last_bytes[datagram.data[last]]:
            return False
        return datagram.cut(at, at + size) in self._hosts

    def _with_ports(self, datagram: Datagram) -> Direction:
        if self.side.holds(datagram.destination, datagram.destination_port):
            return self._in
        return self._out if self.side.holds(datagram.source, datagram.source_port) else self._in


def sinks_of(traces: Traces) -> int:
    """The sinks that get a message under these traces."""
    trace: Trace
    sinks: cython.ulonglong = 0
    for trace in traces:
        sinks |= trace.sinks
    return sinks
