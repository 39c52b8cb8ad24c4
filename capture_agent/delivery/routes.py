"""The way of each message to its sinks: an outbox for each sink or, where the source can wait, none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from capture_agent.books import Ledger
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.net.errors import SinkError
from capture_agent.net.sender import REFUSED
from capture_agent.parallel import at_once
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Sink


class Routes:
    """Routes by the id of the sink, as in the sinks of a TracedMessage. `alike`: every sink gets every message."""

    def __init__(self, routes: Mapping[int, Direct | Outbox], alike: bool) -> None:
        self._routes = dict(routes)
        self._alike = alike

    def __iter__(self) -> Iterator[Direct | Outbox]:
        return iter(self._routes.values())

    def put(self, traced: list[TracedMessage]) -> None:
        for id_, outbox in self._routes.items():
            outbox.put(traced if self._alike else [message for message in traced if message.sinks >> id_ & 1])

    def flush(self) -> None:
        for outbox in self:
            outbox.flush()

    @property
    def failure(self) -> SinkError | None:
        """The first sink that failed for good."""
        return next((outbox.failure for outbox in self if outbox.failure), None)

    def failures(self) -> Iterator[str]:
        """A line for each sink that failed, or was told of datagrams that nobody took."""
        for outbox in self:
            ledger = outbox.ledger()
            if outbox.failure is not None:
                yield str(outbox.failure)
            elif lost := ledger.lost.get(REFUSED):
                yield f"{ledger.name}: connection refused: at least {lost} of {ledger.seen} messages are lost"

    def ledgers(self) -> list[Ledger]:
        return [outbox.ledger() for outbox in self]

    def close(self, seconds: float | None) -> None:
        """Close all at once: within so many seconds for all of them together, or when all is sent."""
        if seconds is None:
            at_once([outbox.close for outbox in self])
            return
        deadline = time.monotonic() + seconds
        for outbox in self:
            outbox.stop()
        for outbox in self:
            outbox.close(max(0.0, deadline - time.monotonic()))


def direct(sinks: Mapping[int, Sink], alike: bool) -> Routes:
    """For a replay. Opens the sinks; raises SinkError."""
    at_once([sink.open for sink in sinks.values()])
    return Routes({id_: Direct(sink) for id_, sink in sinks.items()}, alike)


def queued(sinks: Mapping[int, Sink], alike: bool, messages: int, mib: int) -> Routes:
    """For live traffic. So many messages may wait for each sink; the outboxes open their sinks."""
    return Routes({id_: Outbox(sink, messages, mib << 20) for id_, sink in sinks.items()}, alike)
