"""Which messages are traced. Hot: compiled with trace.pxd, or plain Python.

Message mode: every message that is SIP, while tracing is on (siptrace's trace_on).
"""

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.config.local import LocalAddress
from capture_agent.policy.direction import LocalSide
from capture_agent.policy.hooks import Hooks
from capture_agent.records import ALL_SINKS, CapturedMessage, Datagram, Direction, Trace, TracedMessage


@cython.final
@cython.cclass
class Policy:
    """Counts what it has decided: traced + not_traced is what it was given."""

    __slots__ = (
        "_hosts",
        "_in",
        "_last_bytes",
        "_out",
        "_side",
        "_simple",
        "_trace",
        "hooks",
        "not_traced",
        "on",
        "traced",
    )

    def __init__(
        self,
        local: Iterable[LocalAddress] = (),
        on: bool = True,
        sinks: int = ALL_SINKS,
        hooks: Hooks | None = None,
    ) -> None:
        self.on = on
        self._trace = Trace(sinks)
        self.hooks = hooks
        self.traced = 0
        self.not_traced = 0
        self._side = LocalSide(local)
        self._hosts = self._side.hosts
        self._simple = self._side.simple
        # Most strangers are told by their last byte: no lookup.
        self._last_bytes = bytes(any(host[-1] == last for host in self._hosts) for last in range(256))
        self._in = Direction.IN
        self._out = Direction.OUT

    def decide(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """The messages to trace, in their order."""
        traced: list[TracedMessage] = []
        message: CapturedMessage
        trace: TracedMessage
        if not self.on:
            self.not_traced += len(messages)
            return traced
        for message in messages:
            trace = TracedMessage.__new__(TracedMessage)
            trace.message = message
            trace.direction = self._direction(message.datagram) if message.direction is None else message.direction
            trace.trace = self._trace
            trace.sinks = self._trace.sinks
            traced.append(trace)
        if self.hooks is not None:
            return self._after_hooks(traced, self.hooks)
        self.traced += len(traced)
        return traced

    def _after_hooks(self, traced: list[TracedMessage], hooks: Hooks) -> list[TracedMessage]:
        left: list[TracedMessage] = []
        one: TracedMessage
        decided: tuple[TracedMessage, ...]
        for one in traced:
            decided = hooks.apply(one.message, one.direction, (one,))
            if decided:
                self.traced += 1
                left.extend(decided)
            else:
                self.not_traced += 1
        left.extend(hooks.take_events())
        return left

    def _direction(self, datagram: Datagram) -> Direction:
        """IN towards a local address, OUT from one. Between two strangers (a mirror port): IN, as it reached us.

        Between two local ones (loopback, a spiral) it is IN too: one packet is one message.
        """
        at: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        if not self._simple:
            return self._with_ports(datagram)
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
