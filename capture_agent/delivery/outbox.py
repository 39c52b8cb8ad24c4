"""Between capture and a sink: a bounded queue and the thread that empties it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from capture_agent.books import Ledger
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.handed_over import Handed, HandedOver
from capture_agent.delivery.message_queue import MessageQueue
from capture_agent.delivery.moving import Moving
from capture_agent.delivery.outages import Down, Outages
from capture_agent.delivery.sink_account import (
    INTERNAL_ERROR,
    QUEUE_FULL,
    SHUTDOWN,
    UNREACHABLE,
)
from capture_agent.delivery.sink_books import SinkBooks
from capture_agent.delivery.standing import DeliveryPace, Standing
from capture_agent.delivery.weight import NO_LIMIT, fit
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import (
    Figures,
    Sink,
    connections,
    handled,
    idle_seconds,
    is_awaited,
    kind,
    patience,
    unconfirmed,
)

if TYPE_CHECKING:
    from capture_agent.delivery.sink_groups import Relief

# Messages that wait together are sent together: one write, one transaction.
MOST_AT_ONCE = 4096

FIRST_DELAY = 0.5  # seconds between attempts to reach a sink that is down
LONGEST_DELAY = 30.0
MOST_AWAITED = 1.0  # seconds that the caller of `put` waits for an awaited sink
SETTLE_AFTER = 1.0  # seconds without a batch before a sink is asked about its unconfirmed messages
LIMIT_BYTES = 128 << 20
HIGH_PERCENT = 50  # of the room of the queue
MOST_REASONS = 8  # logged in one outage
LOOK_SECONDS = 0.05  # between attempts to move messages to another member of a group, which is full

_log = logging.getLogger(__name__)
_RANDOM = random.Random()  # its own: who has seeded the common one wants its numbers


class Outbox:
    """One sink's queue. Its books balance at every moment: seen = sent + waiting + rejected + lost.

    A slow sink never slows the caller of `put`: messages that do not fit are lost. For a sink that is awaited, `put`
    returns when the batch is sent, at the latest after a second. The thread opens the sink, and retries it while it is
    down. At most `limit` messages wait, in at most `limit_bytes` of memory: their buffers and our records. direct.py is
    for replays, which can wait.
    """

    def __init__(
        self,
        sink: Sink,
        limit: int = 100_000,
        limit_bytes: int = LIMIT_BYTES,
        first_delay: float = FIRST_DELAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sink = sink
        self.failure: SinkError | None = None
        self.relief: Relief | None = None  # of a member of groups
        self._first_delay = first_delay
        self._idle_seconds = idle_seconds(sink)
        self._clock = clock
        self._enough = sink.together
        self._at_once = max(MOST_AT_ONCE, sink.together)
        self._patience = patience(sink)
        self._awaited = is_awaited(sink)
        self._changed = threading.Condition()  # guards everything below; taken once per batch
        self._queue = MessageQueue(limit, limit_bytes)
        self._books = SinkBooks(sink)
        self._in_hand = 0  # messages that the thread has taken but not finished
        self._in_hand_since = 0.0
        self._hand_weight = 0  # bytes of what is in hand, of those that the queue holds
        self._handed = HandedOver()
        self._moving = Moving()
        self._awaits_until = 0.0  # while closing: what others may yet move here
        self._leave = False  # the time to stop is over
        self._ended = False  # its thread takes no more
        self._pace = DeliveryPace()
        self._outages = Outages(clock, self._books.lost_in_all)
        self._reasons: set[str] = set()  # of this outage, as logged
        self._closing = False
        self._given_up = False  # nobody waits for its thread
        self._thread = threading.Thread(target=self._work, name=f"outbox {sink.name}", daemon=True)
        self._start()

    def _start(self) -> None:
        self._thread.start()

    @property
    def name(self) -> str:
        return self.sink.name

    def put(self, batch: Sequence[TracedMessage]) -> None:
        """Hand over a batch, which must not change afterwards."""
        if not batch:
            return
        _, weight = fit(batch, NO_LIMIT)
        with self._changed:
            awaited = self._awaited and not self._is_behind()
            self._books.given += len(batch)
            room = 0 if self._closing else self._queue.room(batch, weight, self._in_memory())
            if room < len(batch):
                self._books.lost[self._where()] += len(batch) - room
                batch = batch[:room]
                _, weight = fit(batch, NO_LIMIT)
            if batch:
                self._queue.put(batch, weight, self._clock())
                self._changed.notify_all()
            if awaited:
                self._changed.wait_for(
                    lambda: not self._is_behind() or self._outages.is_down or self._closing, MOST_AWAITED
                )

    def _is_behind(self) -> bool:
        """Whether it has work: who has waited for it in vain does not wait again before that is done."""
        return self._queue.messages + self._undecided() > 0

    def relieve_by(self, relief: Relief | None) -> None:
        """Others of its groups, from now on; None: it is in no group."""
        with self._changed:
            self.relief = relief
            self._changed.notify_all()

    def hold_at_most(self, limit: int, limit_bytes: int) -> None:
        """Other limits from now on. What waits already stays."""
        with self._changed:
            self._queue.limit, self._queue.limit_bytes = limit, limit_bytes

    def limit_spool(self, section: SpoolSection) -> None:
        """Other limits of its spool from now on, if it has one."""

    def has_room(self) -> bool:
        """Whether half of the queue is free: more than what sources that wait for it have on its way."""
        with self._changed:
            queue = self._queue
            return 2 * self._in_memory() < queue.limit and 2 * queue.held < queue.limit_bytes

    def flush(self) -> None:
        """No effect: the thread takes messages as they come."""

    @property
    def up_seconds(self) -> float:
        """Since its sink was reached again; infinite: it was never down; negative: it is."""
        return self._outages.up_seconds

    @property
    def is_busy(self) -> bool:
        """Whether it has messages that may yet have to move."""
        return not self._ended and bool(self._queue.messages + self._in_hand)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and the sink has confirmed everything."""
        return not (self.is_busy or self._books.figures.unconfirmed)

    @property
    def is_safe(self) -> bool:
        """Whether no message is in memory only."""
        with self._changed:
            return not (self._in_memory() or self._books.figures.unconfirmed)

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        """Messages that have waited elsewhere: all of them, or none if there is no room or the thread has ended."""
        _, weight = fit(batch, NO_LIMIT)
        with self._changed:
            full = self._in_memory() >= self._queue.limit or self._queue.held >= self._queue.limit_bytes
            if full or self._ended:
                return False
            self._books.given += len(batch)
            self._queue.put(batch, weight, self._clock())
            self._changed.notify_all()
            return True

    def stop(self, seconds: float = 0.0) -> None:
        """Accept no more messages; the thread ends when the queue is empty. Other members of its groups may move theirs
        here for this many seconds.
        """
        with self._changed:
            if not self._closing:
                self._awaits_until = time.monotonic() + seconds
            self._closing = True
            self._changed.notify_all()

    def close(self, timeout: float | None = None) -> None:
        """Send waiting messages, for this many seconds at most, and close the sink. The rest are counted as lost,
        unless the thread, which runs while the process lives, sends them after all.
        """
        self.stop()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return
        with self._changed:
            self._lose_queue(SHUTDOWN)
            self._given_up = self._leave = True
            lost = self._books.lost[SHUTDOWN] + self._undecided()
        _log.warning("%s: not finished when the time to stop was over; messages lost: %d", self.name, lost)

    def ledger(self) -> Ledger:
        with self._changed:
            waiting, lost = self._queue.messages + self._undecided(), Counter[str]()
            if self._given_up:
                waiting, lost = 0, Counter({SHUTDOWN: waiting})
            return self._books.ledger(self.name, waiting + self._kept(), lost)

    def _kept(self) -> int:
        """Messages that wait for the next run, if this one does not send them."""
        return 0

    def standing(self) -> Standing:
        with self._changed:
            waits_since = [self._in_hand_since] if self._in_hand else []
            if self._queue.since is not None:  # also before what is in hand, where that comes from a spool
                waits_since.append(self._queue.since)
            now = self._clock()
            oldest = now - min(waits_since, default=now)
            made = connections(self.sink)
            again = self._outages.over if made is None else max(0, made - 1)
            up = not self._outages.is_down
            return Standing(self._queue.held, oldest, up, again, self._pace.lag.now(), self._pace.batch.now())

    def _undecided(self) -> int:
        """Messages that the thread has taken whose arrival is not known yet."""
        return self._in_hand + self._books.figures.unconfirmed

    def down(self) -> Down | None:
        """When the outage began and what it has cost so far; None if the sink is up."""
        with self._changed:
            return self._outages.now(self._queue.messages + self._in_hand, self._queue.limit)

    def _in_memory(self) -> int:
        """Messages that count for the limit."""
        return self._queue.messages + self._in_hand

    def _where(self) -> str:
        if self._outages.is_down:
            return UNREACHABLE
        return SHUTDOWN if self._closing else QUEUE_FULL

    def _lose_queue(self, where: str) -> None:
        self._books.lost[where] += self._queue.clear()
        self._changed.notify_all()

    def _work(self) -> None:
        self._open()
        while (taken := self._take()) or not self._has_ended():
            if taken is None:
                continue
            batch, self._hand_weight = taken
            self._deliver(batch)
            with self._changed:
                self._queue.held -= self._hand_weight
                self._hand_weight = 0
                self._changed.notify_all()
        try:
            if not self._outages.is_down:
                self.sink.flush()
        except SinkError as error:
            self.failure = error
            _log.warning("%s", error)
        self._settle(0)
        self.sink.close()
        last = self._books.figures.at_the_end(self.sink)
        with self._changed:
            self._books.figures = last

    def _open(self) -> None:
        try:
            self.sink.open()
            SOCKETS.look()  # a package's sink may have opened some
        except SinkError as error:
            self._went_down(error)
        except Exception as error:  # `send` will raise it again
            _log.error("%s: internal error: %s", self.name, kind(error))

    def _take(self) -> tuple[Sequence[TracedMessage], int] | None:
        """Waiting messages, up to MOST_AT_ONCE or one batch; None at the end.

        An empty batch if none has come for a while, and the sink must be asked about unconfirmed messages or look after
        its connection.
        """
        with self._changed:
            asks = self._asks_sink()
            seconds = SETTLE_AFTER if asks else self._idle_seconds
            self._changed.wait_for(
                lambda: self._queue.messages or self._closing or self._asks_sink() != asks, timeout=seconds
            )
            while not self._queue.messages and self._closing and self._awaits_others():
                self._changed.wait(LOOK_SECONDS)
            if not self._queue.messages:
                return None if self._closing else ([], 0)
            while (seconds := self._seconds_for_more()) > 0:
                self._changed.wait(seconds)
            return self._pop()

    def _seconds_for_more(self) -> float:
        """How long a queue that is not empty waits for more messages; 0: not any longer."""
        queue = self._queue
        if not self._patience or self._closing or queue.messages >= self._enough or queue.is_above(self._high_percent):
            return 0.0
        return max(0.0, (queue.since or 0.0) + self._patience - self._clock())

    @property
    def _high_percent(self) -> int:
        """A queue that is fuller does not wait for more messages."""
        return HIGH_PERCENT

    def _has_ended(self) -> bool:
        with self._changed:
            self._ended = not self._queue.messages or self._leave
            return self._ended

    def _asks_sink(self) -> bool:
        """Whether an idle sink is asked now and then: about unconfirmed messages, or whether it is still up."""
        relief = self.relief
        return bool(self._books.figures.unconfirmed) or (
            relief is not None and (self._outages.is_down or relief.is_out)
        )

    def _awaits_others(self) -> bool:
        relief, there_is_time = self.relief, time.monotonic() < self._awaits_until
        return there_is_time and not self._outages.is_down and relief is not None and relief.others_are_busy

    def _pop(self) -> tuple[Sequence[TracedMessage], int]:
        """From a queue that is not empty."""
        batch, weight, self._in_hand_since = self._queue.pop(self._at_once)
        self._in_hand = len(batch)
        return batch, weight

    def _deliver(self, batch: Sequence[TracedMessage]) -> None:
        delay = self._first_delay
        while True:
            before, began = handled(self.sink), time.monotonic()
            try:
                if not batch:
                    self.sink.open()
                if batch or unconfirmed(self.sink) or self._idle_seconds is not None:
                    self.sink.send(batch)
            except SinkError as error:
                done = handled(self.sink) - before
                self._settle(done, batch, began)
                batch, again = self._retry(error, jittered(delay), batch[done:])
                if not again:
                    self._not_sent(batch)
                    return
                delay = self._first_delay if done else min(2 * delay, LONGEST_DELAY)
            except Exception as error:  # a bug in one sink must neither stop the others nor hang capture
                done = handled(self.sink) - before
                self._settle(done, batch, began)
                self.failure = SinkError(f"{self.name}: internal error: {kind(error)}")
                _log.error("%s: internal error: %s", self.name, kind(error))
                self._give_up(len(batch) - done, INTERNAL_ERROR)
                return
            else:
                self._settle(len(batch), batch, began)
                self._recovered()
                return

    def _settle(self, done: int, batch: Sequence[TracedMessage] = (), began: float = 0.0) -> None:
        with self._changed:
            if batch:
                self._pace.took(batch, done, began)
            self._in_hand -= done
            self._books.figures = Figures.of(self.sink)
            self._remember(done, batch)

    def _remember(self, done: int, batch: Sequence[TracedMessage]) -> None:
        """So many of the batch may come back, if others of a group can have them then."""
        if self.relief is not None:
            if done and batch:
                self._handed.add(Handed(done, batch[:done]))
            self._handed.confirmed(self._books.figures.unconfirmed)
        elif self._handed.count:
            self._handed.clear()

    def _give_up(self, count: int, where: str) -> None:
        with self._changed:
            self._in_hand -= count
            self._books.lost[where] += count

    def _not_sent(self, batch: Sequence[TracedMessage]) -> None:
        """The sink is down, and the agent stops."""
        self._give_up(len(batch), UNREACHABLE)
        with self._changed:
            self._lose_queue(UNREACHABLE)

    def _retry(
        self, error: SinkError, delay: float, batch: Sequence[TracedMessage]
    ) -> tuple[Sequence[TracedMessage], bool]:
        """Wait. What is left of the batch after others of a group have got what they can; whether to try it again."""
        self._went_down(error)
        again_at = time.monotonic() + delay
        while True:
            batch = self._moving.move(self.relief, batch, self)
            self._put_aside(batch)
            with self._changed:
                if self._is_over():
                    return batch, False
                seconds = again_at - time.monotonic()
                if seconds <= 0:
                    return batch, True
                if self.relief is not None:
                    seconds = min(seconds, LOOK_SECONDS)
                if self._closing:
                    self._changed.wait(min(seconds, LOOK_SECONDS))
                elif self._changed.wait_for(lambda: self._closing, timeout=seconds):
                    return batch, True  # once more

    def _is_over(self) -> bool:
        """Whether it is too late to try again: at a stop, unless others are about to take what waits."""
        return self._leave or (self._closing and not self._moving.full)

    def _put_aside(self, batch: Sequence[TracedMessage]) -> None:
        """What is in hand waits in memory."""

    # What waits goes to other members of a group: moving.py.

    @property
    def must_leave(self) -> bool:
        return self._leave

    def unconfirmed_back(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """The batch, after what the sink has taken but not confirmed. The sink forgets it.

        If it took some before it was in a group, they stay there: only the sink can send them again.
        """
        if not 0 < unconfirmed(self.sink) <= self._handed.count:
            return batch
        before = Counter(self.sink.lost)
        self.sink.close()
        with self._changed:
            self._books.figures = Figures.of(self.sink)
            lost = self._books.figures.lost - before
            back = self._handed.take_back(lost.total())
            self._books.take_back(lost, len(back))
            self._in_hand += len(back)
            _, weight = fit(back, NO_LIMIT)
            self._queue.held += weight
            self._hand_weight += weight
            return [*back, *batch]

    def moves(self, count: int, left: Sequence[TracedMessage]) -> None:
        """Others have got so many of those in hand."""
        _, weight = fit(left, NO_LIMIT)
        with self._changed:
            self._in_hand -= count
            self._books.moved += count
            self._queue.held -= self._hand_weight - weight
            self._hand_weight = weight

    def is_moved(self, stays: bool) -> bool:
        """Whether all that can move has moved. `stays`: something is in hand that cannot."""
        return not self._queue.messages

    def more(self) -> Sequence[TracedMessage] | None:
        """The next messages that wait, which are in hand then; None: they cannot be had now."""
        with self._changed:
            if not self._queue.messages:
                return []
            held = self._in_hand
            batch, weight = self._pop()
            self._in_hand += held
            self._hand_weight += weight
            return batch

    # The log line is written without the lock that `put` needs: its reader may be slow.

    def _went_down(self, error: SinkError) -> None:
        """Each reason is logged once in an outage: a collector that is back may have a certificate that is refused."""
        with self._changed:
            if self._outages.begin():
                self._reasons.clear()
                self._changed.notify_all()  # who waits for it does so no longer
            if (said := str(error)) in self._reasons or len(self._reasons) >= MOST_REASONS:
                return
            self._reasons.add(said)
        _log.warning("%s; trying again", said, extra={"fields": {"name": self.name, "down": True}})

    def _recovered(self) -> None:
        with self._changed:
            ended = self._outages.end()
        if ended is None:
            return
        seconds, lost = ended
        text, fields = "%s: up again after %.0f s; messages lost meanwhile: %s", {"down": False, "lost_meanwhile": lost}
        _log.info(text, self.name, seconds, f"{lost:,}", extra={"fields": {"name": self.name} | fields})


def jittered(delay: float) -> float:
    """Between half and the whole of it, so that not all agents reach a collector that is back at the same moment."""
    return delay * (1 + _RANDOM.random()) / 2
