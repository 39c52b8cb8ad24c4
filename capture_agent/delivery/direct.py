"""Feeds a sink from the thread that reads: for replays, where nothing may be lost and the source can wait.

A queue would only add cost: the reader would have to wait for it anyway, and the messages would fall out of the CPU
cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from capture_agent.books import Ledger
from capture_agent.delivery.sink_account import INTERNAL_ERROR, SENT, UNREACHABLE, WAITING
from capture_agent.delivery.standing import Standing
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Figures, Sink, connections, handled, kind


class Direct:
    """An Outbox without a queue. After the first failure it sends nothing more: later messages are lost."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.failure: SinkError | None = None
        self._given = 0
        self._held: list[TracedMessage] = []
        self._lost: Counter[str] = Counter()
        self._last: Figures | None = None  # once it is closed

    def put(self, batch: Sequence[TracedMessage]) -> None:
        self._given += len(batch)
        if self.failure is not None:
            self._lost[UNREACHABLE] += len(batch)
            return
        self._held.extend(batch)
        if len(self._held) >= self.sink.together:
            self.flush()

    def flush(self) -> None:
        """Send held messages now, without waiting for more."""
        batch, self._held = self._held, []
        if not batch:
            return
        try:
            self.sink.send(batch)
        except SinkError as error:
            self._failed(error, UNREACHABLE)
        except Exception as error:  # a bug in one sink must not stop the others
            self._failed(SinkError(f"{self.sink.name}: internal error: {kind(error)}"), INTERNAL_ERROR)

    def _failed(self, error: SinkError, where: str) -> None:
        """Until now the sink had handled everything that it was given."""
        self.failure = error
        self._lost[where] += self._given - handled(self.sink)

    def stop(self) -> None:
        """No effect: there is no thread."""

    def down(self) -> None:
        """None: a failed sink is not retried."""

    def standing(self) -> Standing:
        """Without times: how fast a replay goes depends on its source."""
        again = max(0, (connections(self.sink) or 1) - 1)
        return Standing(0, 0.0, self.failure is None, again)

    def close(self, timeout: float | None = None) -> None:
        self.flush()
        try:
            if self.failure is None:
                self.sink.flush()
        except SinkError as error:
            self.failure = error
        figures = Figures.of(self.sink)
        self.sink.close()
        self._last = figures.at_the_end(self.sink)

    def ledger(self) -> Ledger:
        figures = self._last or Figures.of(self.sink)
        return Ledger(
            self.sink.name,
            seen=self._given,
            outcomes={SENT: figures.sent, WAITING: len(self._held) + figures.unconfirmed},
            rejected=figures.rejected,
            lost=self._lost + figures.lost,
        )
