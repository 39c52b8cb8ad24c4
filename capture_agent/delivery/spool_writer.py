"""The thread that writes to a sink's spool what must wait in its queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from capture_agent.delivery.message_queue import MessageQueue
from capture_agent.delivery.spool.spool import Change, Spool

LOOK_SECONDS = 10.0  # between looks for batches that are too old, and at the disk: it may fail before it is needed
TOGETHER_SECONDS = 0.05  # between writes: messages that come meanwhile are one batch
WRITTEN_AT_ONCE = 4096  # messages, and one batch of the queue
WRITTEN_BYTES = 8 << 20  # that they hold, the same: while they are written, they are in memory a second time


class SpoolWriter:
    """Opens the spool first, and closes it at the end.

    moving    messages on their way from the queue to the spool
    must_write  whether the queue has some that must wait; asked with the lock held, as is `apply`
    at_end    before the rest of the queue is written
    """

    def __init__(
        self,
        name: str,
        spool: Spool,
        lock: threading.Condition,
        queue: MessageQueue,
        must_write: Callable[[], bool],
        apply: Callable[[Change], None],
        at_end: Callable[[], None],
    ) -> None:
        self.moving = 0
        self._spool = spool
        self._changed = lock
        self._queue = queue
        self._must_write = must_write
        self._apply = apply
        self._at_end = at_end
        self._asked = threading.Event()
        self._ready = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name=f"spool {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_open(self) -> None:
        """Until the spool is open, or cannot be."""
        self._ready.wait()

    def look(self) -> None:
        """Write now what must wait."""
        self._asked.set()

    def end(self, seconds: float) -> None:
        """Write everything; wait for that, so long."""
        self._ending = True
        self._asked.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        self._apply(self._spool.open())
        self._ready.set()
        while True:
            self._asked.wait(LOOK_SECONDS)
            self._asked.clear()
            if self._ending:
                break
            while self._write_some() and not self._ending:
                time.sleep(TOGETHER_SECONDS)
            self._apply(self._spool.expire())
        self._at_end()
        while self._write_some():
            pass
        self._spool.close()

    def _write_some(self) -> bool:
        """Whether there may be more to write."""
        with self._changed:
            if not self._queue.messages or not (self._ending or self._must_write()):
                return False
            parts = self._queue.first(WRITTEN_AT_ONCE, WRITTEN_BYTES)
            self.moving = sum(len(part) for part, _, _ in parts)
        batch = [message for part, _, _ in parts for message in part]
        change = self._spool.append(batch)
        with self._changed:
            self.moving = 0
            if change.stored:
                self._queue.held -= sum(held for _, held, _ in parts)
            else:
                self._queue.give_back(parts)
            self._apply(change)
            self._changed.notify_all()
        return bool(change.stored)
