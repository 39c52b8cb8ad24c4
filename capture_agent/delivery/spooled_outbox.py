"""An outbox with a spool: what its sink cannot take goes to disk, in order, and comes back in order."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from capture_agent.books import Ledger
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.back_to_spool import back_to_spool
from capture_agent.delivery.handed_over import Handed
from capture_agent.delivery.outbox import FIRST_DELAY, LIMIT_BYTES, SETTLE_AFTER, Outbox
from capture_agent.delivery.sink_account import SHUTDOWN, SPOOL_FAILED, UNREACHABLE
from capture_agent.delivery.spool.spool import Change, Spool, SpoolLimits, Taken
from capture_agent.delivery.spool_writer import LOOK_SECONDS, TOGETHER_SECONDS, SpoolWriter
from capture_agent.delivery.standing import Standing
from capture_agent.net.sender import UNCONFIRMED
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Figures, Sink, unconfirmed

LAST_SECONDS = 6.0  # after the time to stop: a sink ends its last batch, and waits for acknowledgements
LAST_WRITES_SECONDS = 5.0

_log = logging.getLogger(__name__)


class SpooledOutbox(Outbox):
    """Messages are in three places, the oldest first: in the sink's hand, in the spool, in the queue.

    A thread of its own writes the queue to the spool: while the sink is down, and while more than a part of the queue's
    room is taken. The sink's thread takes from the queue only if the spool is empty, or by option in turn with it. It
    removes a batch from the spool when the sink has confirmed it, so that a killed agent sends it again.

    While the disk fails, messages wait in the queue, as they do without a spool.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        limit: int = 100_000,
        limit_bytes: int = LIMIT_BYTES,
        first_delay: float = FIRST_DELAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spool = spool
        self._spooled = 0  # messages in the spool that are not in hand
        self._row: Taken | None = None  # the batch of the spool that is in hand
        self._row_at = 0  # how many of it the sink has
        self._hand: Sequence[TracedMessage] = ()  # what is in hand and not in the spool
        self._last: Ledger | None = None  # of a sink that hangs at the end
        self._beside = False  # the queue has its turn
        self._next_at = 0.0  # when the spool may be drained again
        self._abandoned = False  # the sink hangs: its figures are not looked at any more
        super().__init__(sink, limit, limit_bytes, first_delay, clock)

    def _start(self) -> None:
        self._writer = SpoolWriter(
            self.name, self.spool, self._changed, self._queue, self._must_write, self._apply, self._before_last_write
        )
        super()._start()
        self._writer.start()

    def put(self, batch: Sequence[TracedMessage]) -> None:
        super().put(batch)
        if self._outages.is_down or self._is_high():
            self._writer.look()

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        accepted = super().accept(batch)
        if accepted and self._is_high():
            self._writer.look()
        return accepted

    def limit_spool(self, section: SpoolSection) -> None:
        self.spool.limits = SpoolLimits.of(section)

    def standing(self) -> Standing:
        standing, spool = super().standing(), self.spool.standing()
        oldest = max(standing.oldest_seconds, spool.oldest_seconds)
        return replace(standing, oldest_seconds=oldest, spool=spool)

    def ledger(self) -> Ledger:
        with self._changed:
            if self._last is not None:
                return self._last
            return super().ledger()

    def _kept(self) -> int:
        return self._spooled

    def close(self, timeout: float | None = None) -> None:
        """Send for this many seconds at most; then what is left goes to the spool, and is sent by the next run."""
        self.stop()
        self._thread.join(timeout)
        with self._changed:
            self._leave = True
            self._changed.notify_all()
        self._thread.join(LAST_SECONDS)
        with self._changed:
            self._abandoned = self._thread.is_alive()
        self._writer.end(LAST_WRITES_SECONDS)
        with self._changed:
            self._lose_queue(SHUTDOWN)
            self._given_up = True
            lost = self._books.lost[SHUTDOWN] + self._undecided()
            kept = self._spooled
            if self._abandoned:
                self._last = self.ledger()
        if kept:
            _log.info("%s: messages left in the spool for the next run: %s", self.name, f"{kept:,}")
        if lost:
            _log.warning("%s: not finished when the time to stop was over; messages lost: %d", self.name, lost)

    def _undecided(self) -> int:
        return super()._undecided() + self._writer.moving

    def _is_behind(self) -> bool:
        return super()._is_behind() or self._spooled > 0

    def _in_memory(self) -> int:
        return self._queue.messages + self._writer.moving + (self._in_hand if self._row is None else 0)

    def _where(self) -> str:
        return SPOOL_FAILED if self.spool.failing and not self._closing else super()._where()

    @property
    def _high_percent(self) -> int:
        return self.spool.limits.above_percent

    def _is_high(self) -> bool:
        return self._queue.is_above(self._high_percent)

    def _must_write(self) -> bool:
        return self._waits_long() or self._is_high()

    def _waits_long(self) -> bool:
        """Whether the sink is down, and no other of its groups takes what waits."""
        return self._outages.is_down and (self.relief is None or not self.relief.offers())

    @property
    def is_busy(self) -> bool:
        return super().is_busy or (not self._ended and bool(self._writer.moving or self.spool.messages))

    def _apply(self, change: Change) -> None:
        with self._changed:
            self._books.given += change.found
            self._spooled += change.found + change.stored - change.lost.total()
            self._books.lost += change.lost

    # The sink's thread.

    def _work(self) -> None:
        self._writer.wait_until_open()  # what an earlier run has left goes first
        super()._work()
        self._take_back()

    def _take(self) -> tuple[Sequence[TracedMessage], int] | None:
        while True:
            with self._changed:
                if self._leave:
                    return None
                stored, moving = self.spool.messages, self._writer.moving
                if self._queue.messages and ((not moving and not stored) or (stored and self._goes_beside())):
                    if (seconds := self._seconds_for_more()) > 0:
                        self._changed.wait(seconds)
                        continue
                    self._hand, weight = self._pop()
                    self._beside = False
                    return self._hand, weight
                if not moving and not stored:
                    if self._closing and not self._awaits_others():
                        return None
                    asked = SETTLE_AFTER if self._asks_sink() else self._idle_seconds
                    seconds = TOGETHER_SECONDS if self._closing else asked or LOOK_SECONDS
                    if not self._changed.wait(seconds) and asked and not self._closing:
                        return [], 0
                    continue
                if not stored:
                    self._changed.wait(TOGETHER_SECONDS)  # they are being written
                    continue
                if not self._may_drain():
                    continue
            taken = self._take_stored()
            if taken is not None:
                return taken

    def _goes_beside(self) -> bool:
        """By option the queue and the spool take turns, and the queue goes on while the spool may not be drained."""
        return self.spool.limits.beside and (self._beside or time.monotonic() < self._next_at)

    def _may_drain(self) -> bool:
        """Waits, for a while at most, until the next batch of the spool may be sent."""
        seconds = self._next_at - time.monotonic()
        if seconds <= 0:
            return True
        self._changed.wait(min(seconds, SETTLE_AFTER))
        return False

    def _take_stored(self) -> tuple[Sequence[TracedMessage], int] | None:
        change, row = self.spool.take()
        self._apply(change)
        if row is None:
            with self._changed:
                if self.spool.failing:
                    if self._closing:
                        self._leave = True
                    self._changed.wait(TOGETHER_SECONDS)
            return None
        if rate := self.spool.limits.drain_per_second:
            self._next_at = max(self._next_at, time.monotonic()) + len(row.messages) / rate
        with self._changed:
            self._row, self._row_at = row, 0
            self._beside = True
            self._spooled -= len(row.messages)
            self._in_hand = len(row.messages)
            self._in_hand_since = self._clock()
        return row.messages, 0

    def _settle(self, done: int, batch: Sequence[TracedMessage] = (), began: float = 0.0) -> None:
        with self._changed:
            if self._abandoned:
                return
            super()._settle(done, batch, began)
            sent = self._handed.confirmed(self._books.figures.unconfirmed)
        for row in sent:
            self._apply(self.spool.remove(row))

    def _remember(self, done: int, batch: Sequence[TracedMessage]) -> None:
        if not (done and batch):
            return
        if self._row is None:
            self._handed.add(Handed(done, batch if done == len(batch) else batch[:done]))
            self._hand = batch[done:]
            return
        self._handed.add(Handed(done, (), self._row, self._row_at, done == len(batch)))
        self._row_at += done
        if done == len(batch):
            self._row = None

    def _give_up(self, count: int, where: str) -> None:
        """The rest of the batch is lost, and does not come back."""
        with self._changed:
            if self._abandoned:
                return
            super()._give_up(count, where)
            row, self._row, self._hand = self._row, None, ()
            if row is not None:
                self._handed.add(Handed(0, (), row, len(row.messages), True))

    def _put_aside(self, batch: Sequence[TracedMessage]) -> None:
        self._writer.look()
        if self._row is None and batch and not self._abandoned:
            change, row = self.spool.put_back(batch, taken=True)
            self._apply(change)
            if row is not None:
                with self._changed:
                    self._row, self._row_at, self._hand = row, 0, ()
                    self._spooled -= len(batch)

    def is_moved(self, stays: bool) -> bool:
        return stays or not (self._queue.messages or self._writer.moving or self.spool.messages)

    def more(self) -> Sequence[TracedMessage] | None:
        with self._changed:
            if not self._writer.moving and not self.spool.messages:
                if not self._queue.messages:
                    return []
                self._hand, self._hand_weight = self._pop()
                return self._hand
        taken = self._take_stored() if self.spool.messages else None
        return None if taken is None else taken[0]

    def unconfirmed_back(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """If some of it is in the spool, all of it goes there."""
        if not unconfirmed(self.sink) or self._abandoned:
            return batch
        if self._row is None and self._handed.is_in_memory:
            self._hand = super().unconfirmed_back(batch)
            return self._hand
        if self._row is None and batch:
            self._put_aside(batch)
            if self._row is None:  # the disk fails
                return batch
        before = self.sink.lost[UNCONFIRMED]
        self.sink.close()
        with self._changed:
            self._books.figures = Figures.of(self.sink)
        self._row_back()
        self._handed_back(self._books.figures.lost[UNCONFIRMED] - before)
        return []

    def moves(self, count: int, left: Sequence[TracedMessage]) -> None:
        row, self._row = self._row, None
        if row is None:
            super().moves(count, left)
            self._hand = left
            return
        with self._changed:
            self._in_hand -= count
            self._books.moved += count
            self._hand = left
            self._handed.add(Handed(0, (), row, len(row.messages), True))
        self._put_aside(left)
        for one in self._handed.confirmed(0):
            self._apply(self.spool.remove(one))

    def _not_sent(self, batch: Sequence[TracedMessage]) -> None:
        """The sink is down, and the agent stops: what waits in the queue goes to the spool."""
        with self._changed:
            self._leave = True
            if self._abandoned:
                return
        if self._row is None:
            self._give_up(len(batch), UNREACHABLE)
        else:
            self._row_back()

    def _row_back(self) -> None:
        """The batch in hand goes back to the spool."""
        row, self._row = self._row, None
        if row is None:
            return
        self._apply(self.spool.give_back(row, self._row_at))
        with self._changed:
            self._spooled += self._in_hand
            self._in_hand = 0

    def _take_back(self) -> None:
        """The sink is closed: what it never confirmed goes to the front of the spool."""
        with self._changed:
            if self._abandoned:
                return
            count = self._books.figures.lost[UNCONFIRMED] - self._books.taken_back[UNCONFIRMED]
        self._handed_back(count)

    def _before_last_write(self) -> None:
        """If the sink hangs at the end: what it has may arrive twice, but is not lost."""
        if not self._abandoned:
            return
        self._row_back()
        with self._changed:
            hand, self._hand = list(self._hand), ()
            self._in_hand -= len(hand)
            figures = self._books.figures
            lost = figures.lost + Counter({UNCONFIRMED: figures.unconfirmed})
            self._books.figures = replace(figures, unconfirmed=0, lost=lost)
            self._books.lost[SHUTDOWN] += len(hand)
        change, _ = self.spool.put_back(hand, taken=False) if hand else (Change(), None)
        self._apply(change)
        with self._changed:
            self._books.lost[SHUTDOWN] -= change.stored
        self._handed_back(figures.unconfirmed)

    def _handed_back(self, count: int) -> None:
        """The last `count` messages that were handed over are not lost any more."""
        for change in back_to_spool(self._handed, self.spool, count):
            with self._changed:
                self._apply(change)
                self._books.taken_back[UNCONFIRMED] += change.stored
