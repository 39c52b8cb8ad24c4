"""Between capture and a sink: a bounded queue and the thread that empties it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from capture_agent.books import Ledger
from capture_agent.records import TracedMessage
from capture_agent.sinks.sink import Sink, SinkError, handled, kind, unconfirmed

# What waits together goes out together: one write, one transaction.
MOST_AT_ONCE = 4096

FIRST_DELAY = 0.5  # seconds between two attempts to reach a sink that is down
LONGEST_DELAY = 30.0
SETTLE_AFTER = 1.0  # seconds without a batch, until a sink with unconfirmed messages is asked about them

_log = logging.getLogger(__name__)


class Outbox:
    """One sink's queue. Its books balance at every moment: seen = sent + waiting + rejected + lost.

    A slow sink never slows who calls `put`: what finds no room is lost, and a sink that is down is tried again and
    again. `limit` messages may wait, and keep `limit_bytes` of buffers alive. direct.py is for replays, which can wait.
    """

    def __init__(
        self,
        sink: Sink,
        limit: int = 100_000,
        limit_bytes: int = 64 << 20,
        first_delay: float = FIRST_DELAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sink = sink
        self.failure: SinkError | None = None
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._first_delay = first_delay
        self._clock = clock
        self._changed = threading.Condition()  # guards all that follows; taken once per batch
        self._queue: deque[tuple[Sequence[TracedMessage], int]] = deque()
        self._queued = 0  # messages in the queue
        self._in_hand = 0  # messages that the thread has taken and not yet done
        self._held = 0  # bytes of both
        self._given = 0
        self._down_since: float | None = None
        self._closing = False
        self._sent = sink.sent  # the sink's counters, as they stood after its last batch
        self._unconfirmed = unconfirmed(sink)
        self._rejected = Counter(sink.rejected)
        self._sink_lost = Counter(sink.lost)
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
        weight = held_bytes(batch)
        with self._changed:
            self._given += len(batch)
            room = 0 if self._closing else self._room(weight)
            if room < len(batch):
                self._lost[self._where()] += len(batch) - room
                batch = batch[:room]
            if batch:
                self._queue.append((batch, weight))
                self._queued += len(batch)
                self._held += weight
                self._changed.notify_all()

    def flush(self) -> None:
        """Nothing is held back: the thread takes what is there."""

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, for so many seconds at most, and close the sink. What remains is counted as lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self._thread.is_alive():
            with self._changed:
                self._lose_queue("shutdown")
                _log.warning("%s: gave up after %s s; messages lost: %d", self.name, timeout, self._lost["shutdown"])

    def ledger(self) -> Ledger:
        with self._changed:
            return Ledger(
                self.name,
                seen=self._given,
                outcomes={"sent": self._sent, "waiting": self._queued + self._in_hand + self._unconfirmed},
                rejected=Counter(self._rejected),
                lost=self._lost + self._sink_lost,
            )

    def _room(self, weight: int) -> int:
        if self._held and self._held + weight > self._limit_bytes:
            return 0
        return max(0, self._limit - self._queued - self._in_hand)

    def _where(self) -> str:
        if self._down_since is not None:
            return "unreachable"
        return "shutdown" if self._closing else "queue_full"

    def _lose_queue(self, where: str) -> None:
        self._lost[where] += self._queued
        self._held -= sum(weight for _, weight in self._queue)
        self._queue.clear()
        self._queued = 0
        self._changed.notify_all()

    def _work(self) -> None:
        while taken := self._take():
            batch, weight = taken
            self._deliver(batch)
            with self._changed:
                self._held -= weight
                self._changed.notify_all()
        try:
            if self._down_since is None:
                self.sink.flush()
        except SinkError as error:
            self.failure = error
            _log.warning("%s", error)
        self.sink.close()
        self._settle(0)

    def _take(self) -> tuple[Sequence[TracedMessage], int] | None:
        """What waits, up to MOST_AT_ONCE messages or one batch; None at the end.

        An empty batch when nothing has come for a while, and the sink has unconfirmed messages to be asked about.
        """
        with self._changed:
            seconds = SETTLE_AFTER if self._unconfirmed else None
            self._changed.wait_for(lambda: self._queue or self._closing, timeout=seconds)
            if not self._queue:
                return None if self._closing else ([], 0)
            batch, weight = self._queue.popleft()
            if self._queue and len(batch) + len(self._queue[0][0]) <= MOST_AT_ONCE:
                batch = list(batch)
                while self._queue and len(batch) + len(self._queue[0][0]) <= MOST_AT_ONCE:
                    more, more_weight = self._queue.popleft()
                    batch += more
                    weight += more_weight
            self._queued -= len(batch)
            self._in_hand = len(batch)
            return batch, weight

    def _deliver(self, batch: Sequence[TracedMessage]) -> None:
        delay = self._first_delay
        while True:
            before = handled(self.sink)
            try:
                self.sink.send(batch)
            except SinkError as error:
                done = handled(self.sink) - before
                batch = batch[done:]
                self._settle(done)
                if not self._retry(error, delay):
                    self._give_up(len(batch), "unreachable")
                    return
                delay = self._first_delay if done else min(2 * delay, LONGEST_DELAY)
            except Exception as error:  # a bug in one sink must neither stop the others nor hang capture
                done = handled(self.sink) - before
                self._settle(done)
                self.failure = SinkError(f"{self.name}: internal error: {kind(error)}")
                _log.error("%s: internal error: %s", self.name, kind(error))
                self._give_up(len(batch) - done, "internal_error")
                return
            else:
                self._settle(len(batch))
                self._recovered()
                return

    def _settle(self, done: int) -> None:
        with self._changed:
            self._in_hand -= done
            self._sent = self.sink.sent
            self._unconfirmed = unconfirmed(self.sink)
            self._rejected = Counter(self.sink.rejected)
            self._sink_lost = Counter(self.sink.lost)

    def _give_up(self, count: int, where: str) -> None:
        with self._changed:
            self._in_hand -= count
            self._lost[where] += count

    def _retry(self, error: SinkError, delay: float) -> bool:
        """Wait and say True when the batch in hand is to be tried again."""
        with self._changed:
            if self._down_since is None:
                self._down_since = self._clock()
                _log.warning("%s; trying again", error)
            if self._closing:
                self._lose_queue("unreachable")
                return False
            self._changed.wait_for(lambda: self._closing, timeout=delay)
            return True

    def _recovered(self) -> None:
        with self._changed:
            if self._down_since is not None:
                seconds = self._clock() - self._down_since
                lost = self._lost["unreachable"]
                _log.warning("%s: up again after %.0f s; messages lost so far: %d", self.name, seconds, lost)
                self._down_since = None


def held_bytes(batch: Sequence[TracedMessage]) -> int:
    """What a batch keeps alive. The messages of one source mostly share one buffer, so the ends tell enough."""
    first = batch[0].message.datagram.data
    if batch[-1].message.datagram.data is first:
        return len(first)
    return sum(len(data) for data in {id(m.message.datagram.data): m.message.datagram.data for m in batch}.values())
