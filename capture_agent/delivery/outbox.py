"""Between capture and a sink: a bounded queue and the thread that empties it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from capture_agent.books import Ledger
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.outages import Down, Outages
from capture_agent.delivery.sink_account import (
    INTERNAL_ERROR,
    MOVED,
    QUEUE_FULL,
    SENT,
    SHUTDOWN,
    UNREACHABLE,
    WAITING,
)
from capture_agent.delivery.standing import DeliveryPace, Standing
from capture_agent.delivery.unconfirmed_messages import UnconfirmedMessages
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
    from capture_agent.delivery.rendezvous import MemberChoice
    from capture_agent.delivery.sink_groups import Relief

# Messages that wait together are sent together: one write, one transaction.
MOST_AT_ONCE = 4096

FIRST_DELAY = 0.5  # seconds between attempts to reach a sink that is down
LONGEST_DELAY = 30.0
MOST_AWAITED = 1.0  # seconds that the caller of `put` waits for an awaited sink
SETTLE_AFTER = 1.0  # seconds without a batch before a sink is asked about its unconfirmed messages
LIMIT_BYTES = 128 << 20
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
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._first_delay = first_delay
        self._idle_seconds = idle_seconds(sink)
        self._clock = clock
        self._enough = sink.together
        self._at_once = max(MOST_AT_ONCE, sink.together)
        self._patience = patience(sink)
        self._awaited = is_awaited(sink)
        self._changed = threading.Condition()  # guards everything below; taken once per batch
        self._queue: deque[tuple[Sequence[TracedMessage], int, float]] = deque()  # and since when it waits
        self._queued = 0  # messages in the queue
        self._in_hand = 0  # messages that the thread has taken but not finished
        self._held = 0  # bytes of both kinds
        self._given = 0
        self._in_hand_since = 0.0
        self._hand_weight = 0  # bytes of what is in hand, of those held
        self._moved = 0  # messages that others have got
        self._taken_back: Counter[str] = Counter()  # of those that the sink counts as lost
        self._handed_over = UnconfirmedMessages()
        self._full = False  # the others have no room now
        self._stays: tuple[int, list[MemberChoice | None]] | None = None  # what cannot move, and who could have had it
        self._awaits_until = 0.0  # while closing: what others may yet move here
        self._leave = False  # the time to stop is over
        self._ended = False  # its thread takes no more
        self._pace = DeliveryPace()
        self._outages = Outages(clock, self._lost_in_all)
        self._closing = False
        self._given_up = False  # nobody waits for its thread
        self._figures = Figures.of(sink)  # after its last batch
        self._lost: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._work, name=f"outbox {sink.name}", daemon=True)
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
            self._given += len(batch)
            if (room := self._room(batch, weight)) < len(batch):
                self._lost[self._where()] += len(batch) - room
                batch = batch[:room]
                _, weight = fit(batch, NO_LIMIT)
            if batch:
                self._queue.append((batch, weight, self._clock()))
                self._queued += len(batch)
                self._held += weight
                self._changed.notify_all()
            if awaited:
                self._changed.wait_for(
                    lambda: not self._is_behind() or self._outages.is_down or self._closing, MOST_AWAITED
                )

    def _is_behind(self) -> bool:
        """Whether it has work: who has waited for it in vain does not wait again before that is done."""
        return self._queued + self._undecided() > 0

    def relieve_by(self, relief: Relief | None) -> None:
        """Others of its groups, from now on; None: it is in no group."""
        with self._changed:
            self.relief = relief
            self._changed.notify_all()

    def hold_at_most(self, limit: int, limit_bytes: int) -> None:
        """Other limits from now on. What waits already stays."""
        with self._changed:
            self._limit, self._limit_bytes = limit, limit_bytes

    def limit_spool(self, section: SpoolSection) -> None:
        """Other limits of its spool from now on, if it has one."""

    def has_room(self) -> bool:
        """Whether half of the queue is free: more than what sources that wait for it have on its way."""
        with self._changed:
            return 2 * self._in_memory() < self._limit and 2 * self._held < self._limit_bytes

    def flush(self) -> None:
        """No effect: the thread takes messages as they come."""

    @property
    def up_seconds(self) -> float:
        """Since its sink was reached again; infinite: it was never down; negative: it is."""
        return self._outages.up_seconds

    @property
    def is_busy(self) -> bool:
        """Whether it has messages that may yet have to move."""
        return not self._ended and bool(self._queued + self._in_hand)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, and the sink has confirmed everything."""
        return not (self.is_busy or self._figures.unconfirmed)

    @property
    def is_safe(self) -> bool:
        """Whether no message is in memory only."""
        with self._changed:
            return not (self._in_memory() or self._figures.unconfirmed)

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        """Messages that have waited elsewhere: all of them, or none if there is no room or the thread has ended."""
        _, weight = fit(batch, NO_LIMIT)
        with self._changed:
            full = self._in_memory() >= self._limit or self._held >= self._limit_bytes
            if full or self._ended:
                return False
            self._given += len(batch)
            self._queue.append((batch, weight, self._clock()))
            self._queued += len(batch)
            self._held += weight
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
            lost = self._lost[SHUTDOWN] + self._undecided()
        _log.warning("%s: not finished when the time to stop was over; messages lost: %d", self.name, lost)

    def ledger(self) -> Ledger:
        with self._changed:
            waiting = self._queued + self._undecided()
            lost = self._lost + self._figures.lost
            lost.subtract(self._taken_back)
            if self._given_up:
                lost[SHUTDOWN] += waiting
                waiting = 0
            return Ledger(
                self.name,
                seen=self._given,
                outcomes={SENT: self._figures.sent, WAITING: waiting} | ({MOVED: self._moved} if self._moved else {}),
                rejected=Counter(self._figures.rejected),
                lost=+lost,
            )

    def standing(self) -> Standing:
        with self._changed:
            since = self._in_hand_since if self._in_hand else self._queue[0][2] if self._queue else None
            oldest = 0.0 if since is None else self._clock() - since
            made = connections(self.sink)
            again = self._outages.over if made is None else max(0, made - 1)
            up = not self._outages.is_down
            return Standing(self._held, oldest, up, again, self._pace.lag.now(), self._pace.batch.now())

    def _undecided(self) -> int:
        """Messages that the thread has taken whose arrival is not known yet."""
        return self._in_hand + self._figures.unconfirmed

    def down(self) -> Down | None:
        """When the outage began and what it has cost so far; None if the sink is up."""
        with self._changed:
            return self._outages.now(self._queued + self._in_hand, self._limit)

    def _lost_in_all(self) -> int:
        return self._lost.total() + self._figures.lost.total() - self._taken_back.total()

    def _room(self, batch: Sequence[TracedMessage], weight: int) -> int:
        """How many messages of a batch fit. One always fits an empty queue, however long its buffer is."""
        if self._closing:
            return 0
        room = max(0, self._limit - self._in_memory())
        if self._held + weight > self._limit_bytes:
            count, _ = fit(batch, self._limit_bytes - self._held)
            room = min(room, max(count, 0 if self._held else 1))
        return room

    def _in_memory(self) -> int:
        """Messages that count for the limit."""
        return self._queued + self._in_hand

    def _where(self) -> str:
        if self._outages.is_down:
            return UNREACHABLE
        return SHUTDOWN if self._closing else QUEUE_FULL

    def _lose_queue(self, where: str) -> None:
        self._lost[where] += self._queued
        self._held -= sum(weight for _, weight, _ in self._queue)
        self._queue.clear()
        self._queued = 0
        self._changed.notify_all()

    def _work(self) -> None:
        self._open()
        while (taken := self._take()) or not self._has_ended():
            if taken is None:
                continue
            batch, self._hand_weight = taken
            self._deliver(batch)
            with self._changed:
                self._held -= self._hand_weight
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
        last = self._figures.at_the_end(self.sink)
        with self._changed:
            self._figures = last

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
            self._changed.wait_for(lambda: self._queue or self._closing or self._asks_sink() != asks, timeout=seconds)
            while not self._queue and self._closing and self._awaits_others():
                self._changed.wait(LOOK_SECONDS)
            if not self._queue:
                return None if self._closing else ([], 0)
            while (seconds := self._seconds_for_more()) > 0:
                self._changed.wait(seconds)
            return self._pop()

    def _seconds_for_more(self) -> float:
        """How long a queue that is not empty waits for more messages; 0: not any longer."""
        if not self._patience or self._closing or self._queued >= self._enough or self._is_high():
            return 0.0
        return max(0.0, self._queue[0][2] + self._patience - self._clock())

    def _is_high(self) -> bool:
        """Whether more than half of the room is taken."""
        return 2 * self._queued > self._limit or 2 * self._held > self._limit_bytes

    def _has_ended(self) -> bool:
        with self._changed:
            self._ended = not self._queue or self._leave
            return self._ended

    def _asks_sink(self) -> bool:
        """Whether an idle sink is asked now and then: about unconfirmed messages, or whether it is still up."""
        relief = self.relief
        return bool(self._figures.unconfirmed) or (relief is not None and (self._outages.is_down or relief.is_out))

    def _awaits_others(self) -> bool:
        relief, there_is_time = self.relief, time.monotonic() < self._awaits_until
        return there_is_time and not self._outages.is_down and relief is not None and relief.others_are_busy

    def _pop(self) -> tuple[Sequence[TracedMessage], int]:
        """From a queue that is not empty."""
        batch, weight, self._in_hand_since = self._queue.popleft()
        if self._queue and len(batch) + len(self._queue[0][0]) <= self._at_once:
            batch = list(batch)
            while self._queue and len(batch) + len(self._queue[0][0]) <= self._at_once:
                more, more_weight, _ = self._queue.popleft()
                batch += more
                weight += more_weight
        self._queued -= len(batch)
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
            self._figures = Figures.of(self.sink)
            self._remember(done, batch)

    def _remember(self, done: int, batch: Sequence[TracedMessage]) -> None:
        """So many of the batch may come back, if others of a group can have them then."""
        if self.relief is not None:
            self._handed_over.add(batch[:done], self._figures.unconfirmed)

    def _give_up(self, count: int, where: str) -> None:
        with self._changed:
            self._in_hand -= count
            self._lost[where] += count

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
            batch = self._relieved(batch)
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
        return self._leave or (self._closing and not self._full)

    def _put_aside(self, batch: Sequence[TracedMessage]) -> None:
        """What is in hand waits in memory."""

    # What waits goes to other members of a group.

    def _relieved(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """Move what waits, the oldest first. What is left is in hand."""
        relief, stay = self.relief, list[TracedMessage]()
        self._full = False
        if relief is None or not relief.offers():
            return batch
        heirs = relief.heirs()
        batch = self._unconfirmed_back(batch)
        more: Sequence[TracedMessage] | None = batch
        if self._stays == (id(batch), heirs):  # all of this was looked at
            stay, more = list(batch), []
        while more is not None:
            left, self._full = relief.move(more)
            if len(left) < len(more):
                self._moves(len(more) - len(left), [*stay, *left])
            stay += left
            if self._full or self._leave or relief.leave(partial(self._is_moved, bool(stay))):
                break
            more = self._more()
        self._full = self._full or more is None
        self._stays = None if self._full else (id(stay), heirs)
        return stay

    def _unconfirmed_back(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """The batch, after what the sink has taken but not confirmed. The sink forgets it."""
        if not unconfirmed(self.sink):
            return batch
        before = Counter(self.sink.lost)
        self.sink.close()
        with self._changed:
            self._figures = Figures.of(self.sink)
            back = self._known(self._figures.lost - before)
            self._in_hand += len(back)
            _, weight = fit(back, NO_LIMIT)
            self._held += weight
            self._hand_weight += weight
            return [*back, *batch]

    def _known(self, lost: Counter[str]) -> list[TracedMessage]:
        """Of those that the sink has just counted as lost, all that are known. They are not lost."""
        back = self._handed_over.take_back(lost.total())
        left = len(back)
        for place, count in lost.items():
            self._taken_back[place] += min(count, left)
            left -= min(count, left)
        return back

    def _moves(self, count: int, left: Sequence[TracedMessage]) -> None:
        """Others have got so many of those in hand."""
        _, weight = fit(left, NO_LIMIT)
        with self._changed:
            self._in_hand -= count
            self._moved += count
            self._held -= self._hand_weight - weight
            self._hand_weight = weight

    def _is_moved(self, stays: bool) -> bool:
        """Whether all that can move has moved. `stays`: something is in hand that cannot."""
        return not self._queued

    def _more(self) -> Sequence[TracedMessage] | None:
        """The next messages that wait, which are in hand then; None: they cannot be had now."""
        with self._changed:
            if not self._queue:
                return []
            held = self._in_hand
            batch, weight = self._pop()
            self._in_hand += held
            self._hand_weight += weight
            return batch

    # The log line is written without the lock that `put` needs: its reader may be slow.

    def _went_down(self, error: SinkError) -> None:
        with self._changed:
            if not self._outages.begin():
                return
            self._changed.notify_all()  # who waits for it does so no longer
        _log.warning("%s; trying again", error, extra={"fields": {"name": self.name, "down": True}})

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
