"""Which messages are traced. Hot: compiled with trace.pxd, or plain Python.

Without rules every message that is SIP, while tracing is on (siptrace's trace_on).
"""

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.config.local import LocalAddress
from capture_agent.policy.compiling import compile_rules
from capture_agent.policy.direction import LocalSide
from capture_agent.policy.legs import Legs
from capture_agent.policy.lookback import Lookback
from capture_agent.policy.rules import Rules, Traces
from capture_agent.policy.settings import Settings
from capture_agent.records import CapturedMessage, Datagram, Direction, Trace, TracedMessage, traced

Messages = list[CapturedMessage]
Traced = list[TracedMessage]


@cython.final
@cython.cclass
class Policy:
    """Counts what it has decided: traced + not_traced + crowded_out + waiting is what it was given.

    `on` may be switched from any thread: it holds from the next batch on.
    """

    __slots__ = (
        "_hosts",
        "_in",
        "_last_bytes",
        "_legs",
        "_lookback",
        "_not_traced",
        "_out",
        "_rules",
        "_side",
        "_simple",
        "_trace",
        "on",
        "settings",
        "traced",
    )

    def __init__(self, local: Iterable[LocalAddress] = (), settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.settings = settings
        self.on = settings.trace.on
        self._trace = Trace(settings.sinks)
        self.traced = 0
        self._not_traced = 0
        self._rules: Rules | None = None if settings.trivial else compile_rules(settings)
        self._lookback: Lookback | None = None
        if self._rules is not None and self._rules.looks_back:
            trace = settings.trace
            self._lookback = Lookback(self._rules.rules, trace.lookback_messages, trace.lookback_mib << 20)
        self._legs = Legs(settings.legs) if settings.legs.call_id_in or settings.legs.id_in else None
        self._side = LocalSide(local)
        self._hosts = self._side.hosts
        self._simple = self._side.simple
        # Most strangers are told by their last byte: no lookup.
        lasts = {host[len(host) - 1] for host in self._hosts}
        self._last_bytes = bytes(last in lasts for last in range(256))
        self._in = Direction.IN
        self._out = Direction.OUT

    @property
    def not_traced(self) -> int:
        return self._not_traced + (self._lookback.given_up if self._lookback is not None else 0)

    @property
    def waiting(self) -> int:
        """Messages held back until a rule decides."""
        return self._lookback.waiting if self._lookback is not None else 0

    @property
    def crowded_out(self) -> int:
        """Messages that were held back and gave way to younger ones."""
        return self._lookback.crowded_out if self._lookback is not None else 0

    @property
    def legs_remembered(self) -> int:
        return self._legs.remembered if self._legs is not None else 0

    @property
    def legs_forgotten(self) -> int:
        """Legs of calls that gave way to younger ones, or were still for very long."""
        return self._legs.forgotten if self._legs is not None else 0

    @property
    def looks_back(self) -> bool:
        return self._lookback is not None

    def decide(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """The messages to trace, in their order."""
        chosen: list[TracedMessage] = []
        message: CapturedMessage
        if self._rules is not None:
            return self._decide_by_rules(self._rules, messages)
        if not self.on:
            self._not_traced += len(messages)
            return chosen
        for message in messages:
            direction = self._direction(message.datagram) if message.direction is None else message.direction
            chosen.append(traced(message, direction, self._trace, self._trace.sinks))
        self.traced += len(chosen)
        return chosen

    def close(self) -> None:
        """The capture has ended: what is held back is not traced."""
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
            direction = self._direction(message.datagram) if message.direction is None else message.direction
            traces: tuple[Trace, ...] = rules.judge(message, direction, on)
            if self._lookback is not None:
                if rules.started:
                    self._release(rules, self._lookback, chosen, message)
                elif rules.undecided and on and self._lookback.hold(message, direction):
                    continue
            if traces:
                self._emit(chosen, message, direction, traces)
            else:
                self._not_traced += 1
        if self._lookback is not None and messages:
            self._lookback.pass_time(messages[len(messages) - 1].time_ns)
        return chosen

    def _emit(self, chosen: Traced, message: CapturedMessage, direction: Direction, traces: Traces) -> cython.bint:
        """The message once for each trace, less the sinks that have it by then."""
        given: cython.ulonglong = 0
        sinks: cython.ulonglong
        trace: Trace
        self.traced += 1
        for trace in traces:
            sinks = trace.sinks & ~given
            if not sinks:
                continue
            given |= sinks
            with_id = trace if self._legs is None else self._legs.with_id(message, trace)
            chosen.append(traced(message, direction, with_id, sinks))
        return True

    def _release(self, rules: Rules, lookback: Lookback, chosen: Traced, message: CapturedMessage) -> cython.bint:
        """What was held back, before the message that decides."""
        for rule, trace in rules.started:
            for held in lookback.release(message, rule):
                self._emit(chosen, held.message, held.direction, (trace,))
        return True

    def _direction(self, datagram: Datagram) -> Direction:
        """IN towards a local address, OUT from one. Between two strangers (a mirror port): IN, as it reached us.

        Between two local ones (loopback, a spiral) it is IN too: one packet is one message.
        """
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
        if self._side.holds(datagram.destination, datagram.destination_port):
            return self._in
        return self._out if self._side.holds(datagram.source, datagram.source_port) else self._in
