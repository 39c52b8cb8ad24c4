"""Which messages are traced. Hot: compiled with trace.pxd, or plain Python.

Message mode: every message that is SIP, while tracing is on (siptrace's trace_on).
"""

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.config.local import LocalAddress
from capture_agent.policy.direction import LocalSide
from capture_agent.records import CapturedMessage, Datagram, Direction, TracedMessage

MEMORY = cython.declare(cython.int, 65536)  # pairs of addresses remembered; then all are forgotten and asked for again


@cython.final
@cython.cclass
class Policy:
    """Counts what it has decided: traced + not_traced is what it was given."""

    __slots__ = ("_by_port", "_known", "_side", "not_traced", "on", "traced")

    def __init__(self, local: Iterable[LocalAddress] = (), on: bool = True) -> None:
        self.on = on
        self.traced = 0
        self.not_traced = 0
        self._side = LocalSide(local)
        self._by_port = self._side.by_port
        self._known: dict[object, Direction] = {}

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
        """LocalSide.direction, remembered: its network arithmetic is far too slow for each message."""
        key: object = datagram.data[datagram.address_at : datagram.address_at + 2 * datagram.address_size]
        if self._by_port:
            key = (key, datagram.source_port, datagram.destination_port)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MEMORY:
                self._known.clear()
            known = self._known[key] = self._side.direction(datagram)
        return known
