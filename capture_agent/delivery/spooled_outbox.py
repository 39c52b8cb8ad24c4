"""An outbox with a spool: what its sink cannot take goes to disk, in order, and comes back in order."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from capture_agent.books import Ledger
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.handed_over import Handed, HandedOver
from capture_agent.delivery.outbox import FIRST_DELAY, LIMIT_BYTES, SETTLE_AFTER, Outbox
from capture_agent.delivery.sink_account import SHUTDOWN, SPOOL_FAILED, UNREACHABLE, WAITING
from capture_agent.delivery.spool.spool import BATCH_MESSAGES, Change, Spool, SpoolLimits, Taken
from capture_agent.delivery.standing import Standing
from capture_agent.net.sender import UNCONFIRMED
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Figures, Sink, unconfirmed

LOOK_SECONDS = 10.0  # between looks for batches that are too old
TOGETHER_SECONDS = 0.05  # between writes: messages that come meanwhile are one batch
WRITTEN_AT_ONCE = 4096  # messages, and one batch of the queue
WRITTEN_BYTES = 8 << 20  # that they hold, the same: while they are written, they are in memory a second time
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
        self._moving = 0  # messages on their way from the queue to the spool
        self._row: Taken | None = None  # the batch of the spool that is in hand
        self._row_at = 0  # how many of it the sink has
        self._hand: Sequence[TracedMessage] = ()  # what is in hand and not in the spool
        self._last: Ledger | None = None  # of a sink that hangs at the end
        self._handed = HandedOver()
        self._beside = False  # the queue has its turn
        self._next_at = 0.0  # when the spool may be drained again
        self._abandoned = False  # the sink hangs: its figures are not looked at any more
        self._to_write = threading.Event()
        self._last_write = False
        self._ready = threading.Event()  # the spool is open, or cannot be
        self._writer = threading.Thread(target=self._write, name=f"spool {sink.name}", daemon=True)
        super().__init__(sink, limit, limit_bytes, first_delay, clock)
        self._writer.start()

    def put(self, batch: Sequence[TracedMessage]) -> None:
        super().put(batch)
        if self._outages.is_down or self._is_high():
            self._to_write.set()

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        accepted = super().accept(batch)
        if accepted and self._is_high():
            self._to_write.set()
        return accepted

    def limit_spool(self, section: SpoolSection) -> None:
        self.spool.limits = SpoolLimits.of(section)

    def standing(self) -> Standing:
        return replace(super().standing(), spool=self.spool.standing())

    def ledger(self) -> Ledger:
        with self._changed:
            if self._last is not None:
                return self._last
            ledger = super().ledger()
            ledger.outcomes[WAITING] += self._spooled
            return ledger

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
            self._last_write = True
        self._to_write.set()
        self._writer.join(LAST_WRITES_SECONDS)
        with self._changed:
            self._lose_queue(SHUTDOWN)
            self._given_up = True
            lost = self._lost[SHUTDOWN] + self._undecided()
            kept = self._spooled
            if self._abandoned:
                self._last = self.ledger()
        if kept:
            _log.info("%s: messages left in the spool for the next run: %s", self.name, f"{kept:,}")
        if lost:
            _log.warning("%s: not finished when the time to stop was over; messages lost: %d", self.name, lost)

    def _undecided(self) -> int:
        return super()._undecided() + self._moving

    def _is_behind(self) -> bool:
        return super()._is_behind() or self._spooled > 0

    def _in_memory(self) -> int:
        return self._queued + self._moving + (self._in_hand if self._row is None else 0)

    def _where(self) -> str:
        return SPOOL_FAILED if self.spool.failing and not self._closing else super()._where()

    def _is_high(self) -> bool:
        percent = self.spool.limits.above_percent
        return 100 * self._queued > percent * self._limit or 100 * self._held > percent * self._limit_bytes

    def _waits_long(self) -> bool:
        """Whether the sink is down, and no other of its groups takes what waits."""
        return self._outages.is_down and (self.relief is None or not self.relief.offers())

    @property
    def is_busy(self) -> bool:
        return super().is_busy or (not self._ended and bool(self._moving or self.spool.messages))

    def _apply(self, change: Change) -> None:
        with self._changed:
            self._given += change.found
            self._spooled += change.found + change.stored - change.lost.total()
            self._lost += change.lost

    # The sink's thread.

    def _work(self) -> None:
        self._ready.wait()  # what an earlier run has left goes first
        super()._work()
        self._take_back()

    def _take(self) -> tuple[Sequence[TracedMessage], int] | None:
        while True:
            with self._changed:
                if self._leave:
                    return None
                stored = self.spool.messages
                if self._queue and ((not self._moving and not stored) or (stored and self._goes_beside())):
                    if (seconds := self._seconds_for_more()) > 0:
                        self._changed.wait(seconds)
                        continue
                    self._hand, weight = self._pop()
                    self._beside = False
                    return self._hand, weight
                if not self._moving and not stored:
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
            if done and batch:
                self._note(done, batch)
            sent = self._handed.confirmed(self._figures.unconfirmed)
        for row in sent:
            self._apply(self.spool.remove(row))

    def _note(self, done: int, batch: Sequence[TracedMessage]) -> None:
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

    def _remember(self, done: int, batch: Sequence[TracedMessage]) -> None:
        """`_note` does."""

    def _put_aside(self, batch: Sequence[TracedMessage]) -> None:
        self._to_write.set()
        if self._row is None and batch and not self._abandoned:
            change, row = self.spool.put_back(batch, taken=True)
            self._apply(change)
            if row is not None:
                with self._changed:
                    self._row, self._row_at, self._hand = row, 0, ()
                    self._spooled -= len(batch)

    def _is_moved(self, stays: bool) -> bool:
        return stays or not (self._queued or self._moving or self.spool.messages)

    def _more(self) -> Sequence[TracedMessage] | None:
        with self._changed:
            if not self._moving and not self.spool.messages:
                if not self._queue:
                    return []
                self._hand, self._hand_weight = self._pop()
                return self._hand
        taken = self._take_stored() if self.spool.messages else None
        return None if taken is None else taken[0]

    def _unconfirmed_back(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """If some of it is in the spool, all of it goes there."""
        if not unconfirmed(self.sink) or self._abandoned:
            return batch
        if self._row is None and all(one.row is None for one in self._handed):
            self._hand = super()._unconfirmed_back(batch)
            return self._hand
        if self._row is None and batch:
            self._put_aside(batch)
            if self._row is None:  # the disk fails
                return batch
        before = self.sink.lost[UNCONFIRMED]
        self.sink.close()
        with self._changed:
            self._figures = Figures.of(self.sink)
        self._row_back()
        self._handed_back(self._figures.lost[UNCONFIRMED] - before)
        return []

    def _known(self, lost: Counter[str]) -> list[TracedMessage]:
        found = [message for one in self._handed for message in one.messages]
        self._handed.clear()
        back = found[-lost[UNCONFIRMED] :] if lost[UNCONFIRMED] else []
        self._taken_back[UNCONFIRMED] += len(back)
        return back

    def _moves(self, count: int, left: Sequence[TracedMessage]) -> None:
        row, self._row = self._row, None
        if row is None:
            super()._moves(count, left)
            self._hand = left
            return
        with self._changed:
            self._in_hand -= count
            self._moved += count
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
            count = self._figures.lost[UNCONFIRMED] - self._taken_back[UNCONFIRMED]
        self._handed_back(count)

    def _rescue(self) -> None:
        """The sink hangs at the end: what it has may arrive twice, but is not lost."""
        self._row_back()
        with self._changed:
            hand, self._hand = list(self._hand), ()
            self._in_hand -= len(hand)
            count = self._figures.unconfirmed
            lost = self._figures.lost + Counter({UNCONFIRMED: count})
            self._figures = replace(self._figures, unconfirmed=0, lost=lost)
            self._lost[SHUTDOWN] += len(hand)
        change, _ = self.spool.put_back(hand, taken=False) if hand else (Change(), None)
        self._apply(change)
        with self._changed:
            self._lost[SHUTDOWN] -= change.stored
        self._handed_back(count)

    def _handed_back(self, count: int) -> None:
        """The last `count` messages that were handed over, in order."""
        parts: list[TracedMessage] = []
        for one in self._handed.last(count):
            if one.row is None:
                parts[:0] = one.messages
            else:
                self._put_back(parts)
                parts = []
                self._give_back(one.row, one.at, one.count)
        self._put_back(parts)
        for row in self._handed.confirmed(0):
            self._apply(self.spool.remove(row))

    def _put_back(self, batch: list[TracedMessage]) -> None:
        for end in range(len(batch), 0, -BATCH_MESSAGES):  # each goes before the one that was put back last
            change, _ = self.spool.put_back(batch[max(0, end - BATCH_MESSAGES) : end], taken=False)
            self._apply(change)
            self._found_again(change.stored)
            if not change.stored:
                break

    def _give_back(self, row: Taken, done: int, count: int) -> None:
        self._apply(self.spool.give_back(row, done))
        with self._changed:
            self._spooled += count
        self._found_again(count)

    def _found_again(self, count: int) -> None:
        """So many fewer are lost."""
        with self._changed:
            self._taken_back[UNCONFIRMED] += count

    # The spool's thread.

    def _write(self) -> None:
        self._apply(self.spool.open())
        self._ready.set()
        while True:
            self._to_write.wait(LOOK_SECONDS)
            self._to_write.clear()
            if self._last_write:
                break
            while self._write_some() and not self._last_write:
                time.sleep(TOGETHER_SECONDS)
            if self.spool.messages or self.spool.failing:
                self._apply(self.spool.expire())
        if self._abandoned:
            self._rescue()
        while self._write_some():
            pass
        self.spool.close()

    def _write_some(self) -> bool:
        """Whether there may be more to write."""
        with self._changed:
            if not self._queue or not (self._last_write or self._waits_long() or self._is_high()):
                return False
            parts, held = [], 0
            while self._queue and self._moving < WRITTEN_AT_ONCE and held < WRITTEN_BYTES:
                part = self._queue.popleft()
                parts.append(part)
                held += part[1]
                self._queued -= len(part[0])
                self._moving += len(part[0])
        batch = [message for part, _, _ in parts for message in part]
        change = self.spool.append(batch)
        with self._changed:
            self._moving = 0
            if change.stored:
                self._held -= held
            else:
                self._queue.extendleft(reversed(parts))
                self._queued += len(batch)
            self._apply(change)
            self._changed.notify_all()
        return bool(change.stored)
