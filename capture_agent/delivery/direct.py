"""Feeds a sink from the thread that reads: for replays, where nothing may be lost and the source can wait.

A queue would only add cost: the reader would have to wait for it anyway, and the messages would fall out of the CPU
cache.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capture_agent.books import Ledger
from capture_agent.delivery.handed_over import Handed, HandedOver
from capture_agent.delivery.sink_account import INTERNAL_ERROR, MOVED, SENT, UNREACHABLE, WAITING
from capture_agent.delivery.standing import Standing
from capture_agent.net.sender import UNCONFIRMED
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Figures, Sink, connections, handled, kind, unconfirmed

if TYPE_CHECKING:
    from capture_agent.delivery.sink_groups import Relief


class Direct:
    """An Outbox without a queue. After the first failure it sends nothing more: later messages are lost, or go to
    other members of a group.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.failure: SinkError | None = None
        self.relief: Relief | None = None  # of a member of groups
        self._moved = 0
        self._taken_back = 0  # of those that the sink counts as lost (unconfirmed)
        self._handed = HandedOver()
        self._given = 0
        self._held: list[TracedMessage] = []
        self._lost: Counter[str] = Counter()
        self._last: Figures | None = None  # once it is closed

    def put(self, batch: Sequence[TracedMessage]) -> None:
        self._given += len(batch)
        if self.failure is not None:
            self._lost[UNREACHABLE] += len(self._relieved(batch))
            return
        self._held.extend(batch)
        if len(self._held) >= self.sink.together:
            self.flush()

    def relieve_by(self, relief: Relief | None) -> None:
        """Others of its groups; None: it is in no group."""
        self.relief = relief

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        """Messages that another member of a group could not send."""
        if self.failure is not None or self._last is not None:
            return False
        self.put(batch)
        return True

    def flush(self) -> None:
        """Send held messages now, without waiting for more."""
        batch, self._held = self._held, []
        if not batch:
            return
        try:
            self.sink.send(batch)
            if self.relief is not None:
                self._remember(batch)
        except SinkError as error:
            self._failed(error, UNREACHABLE, batch)
        except Exception as error:  # a bug in one sink must not stop the others
            self._failed(SinkError(f"{self.sink.name}: internal error: {kind(error)}"), INTERNAL_ERROR, batch)

    def _failed(self, error: SinkError, where: str, batch: Sequence[TracedMessage]) -> None:
        """Until this batch the sink had handled everything that it was given."""
        self.failure = error
        left = self._given - handled(self.sink)
        if self.relief is not None and where == UNREACHABLE:
            done = len(batch) - left
            self._remember(batch[:done])
            back = self._unconfirmed_back()
            left = len(self._relieved([*back, *batch[done:]]))
        self._lost[where] += left

    def _remember(self, batch: Sequence[TracedMessage]) -> None:
        """It may come back, while the sink has not confirmed it."""
        if batch:
            self._handed.add(Handed(len(batch), batch))
        self._handed.confirmed(unconfirmed(self.sink))

    def _unconfirmed_back(self) -> list[TracedMessage]:
        """What the sink has taken but not confirmed. The sink forgets it."""
        if not unconfirmed(self.sink):
            return []
        before = self.sink.lost[UNCONFIRMED]
        self.sink.close()
        back = self._handed.take_back(self.sink.lost[UNCONFIRMED] - before)
        self._taken_back += len(back)
        return back

    def _relieved(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """What is left after other members of its groups have got what they can."""
        if self.relief is None:
            return batch
        heirs = self.relief.heirs()
        left, _ = self.relief.move(batch, heirs)
        self._moved += len(batch) - len(left)
        self.relief.leave(heirs, lambda: True)
        return left

    @property
    def up_seconds(self) -> float:
        return math.inf if self.failure is None else -1.0

    @property
    def is_busy(self) -> bool:
        """No: what cannot be sent moves at once."""
        return False

    @property
    def is_empty(self) -> bool:
        """Of one that has failed: so it is."""
        return self.failure is not None

    def stop(self, seconds: float = 0.0) -> None:
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
            self._failed(error, UNREACHABLE, ())
        figures = Figures.of(self.sink)
        self.sink.close()
        self._last = figures.at_the_end(self.sink)

    def ledger(self) -> Ledger:
        figures = self._last or Figures.of(self.sink)
        lost = self._lost + figures.lost
        lost[UNCONFIRMED] -= self._taken_back
        return Ledger(
            self.sink.name,
            seen=self._given,
            outcomes={SENT: figures.sent, WAITING: len(self._held) + figures.unconfirmed}
            | ({MOVED: self._moved} if self._moved else {}),
            rejected=figures.rejected,
            lost=+lost,
        )
