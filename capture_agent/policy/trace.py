"""Which messages are traced. Hot: compiled with trace.pxd, or plain Python.

Message mode: every message that is SIP, while tracing is on (siptrace's trace_on).
"""

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.config.local import LocalAddress
from capture_agent.policy.direction import MEMORY, LocalSide
from capture_agent.records import CapturedMessage, Datagram, Direction, TracedMessage


@cython.final
@cython.cclass
class Policy:
    """Counts what it has decided: traced + not_traced is what it was given."""

    __slots__ = ("_hosts", "_in", "_known", "_out", "_side", "_simple", "not_traced", "on", "traced")

    def __init__(self, local: Iterable[LocalAddress] = (), on: bool = True) -> None:
        self.on = on
        self.traced = 0
        self.not_traced = 0
        self._side = LocalSide(local)
        self._hosts = self._side.hosts
        self._simple = self._side.simple
        self._known: dict[bytes, Direction] = {}  # by source and destination address
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
            trace.direction = self._direction(message.datagram)
            traced.append(trace)
        self.traced += len(traced)
        return traced

    def _direction(self, datagram: Datagram) -> Direction:
        """IN towards a local address, OUT from one. Between two strangers (a mirror port): IN, as it reached us.

        Between two local ones (loopback, a spiral) it is IN too: one packet is one message.
        """
        at: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        if not self._simple:
            return self._with_ports(datagram)
        pair: bytes = datagram.cut(at, at + 2 * size)
        direction = self._known.get(pair)
        if direction is None:
            if len(self._known) >= MEMORY:
                self._known.clear()
            outwards = pair[:size] in self._hosts and pair[size:] not in self._hosts
            direction = self._known[pair] = self._out if outwards else self._in
        return direction

    def _with_ports(self, datagram: Datagram) -> Direction:
        if self._side.holds(datagram.destination, datagram.destination_port):
            return self._in
        return self._out if self._side.holds(datagram.source, datagram.source_port) else self._in
