"""Several live sources as one stream of batches, in the order of their frames' times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from queue import Empty, Queue

from capture_agent.records import Frames
from capture_agent.sources.ordering import Order
from capture_agent.sources.source import Source

# Batches that wait between the readers and the pipeline. A reader that finds no room waits: the kernel buffers then,
# and counts what it drops.
WAITING = 16
LOOK_AGAIN = 0.02  # seconds, while frames are held

Item = tuple[int, Frames | BaseException | None]


def merged(sources: Sequence[Source]) -> Iterator[tuple[Source, Frames]]:
    """The batches of all sources, each with its source, or that of its first frame. Raises what a source raises.

    One source is read in the caller's thread; of several, each has a thread of its own, which ends with its source
    or when the caller closes this iterator. A batch without frames comes where there is nothing to hold back.
    """
    if len(sources) == 1:
        for frames in sources[0].batches():
            yield sources[0], frames
        return
    readers = _Readers(sources)
    try:
        for number, frames in readers.take():
            yield sources[number], frames
    finally:
        readers.stop()


class _Readers:
    """A thread for each source, and what they have read."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._queue: Queue[Item] = Queue(WAITING)
        self._stop = threading.Event()
        self._reading_since = [0] * len(sources)  # ns; 0: it has something in its hand
        self._threads = [
            threading.Thread(target=self._read, args=(n, source), name=f"source {source.name}", daemon=True)
            for n, source in enumerate(sources)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> Iterator[tuple[int, Frames]]:
        order = Order(len(self._threads))
        open_sources = len(self._threads)
        while open_sources or order:
            for number, item in self._items(wait=not order):
                if isinstance(item, BaseException):
                    yield from order.rest()
                    raise item
                if item is None:
                    open_sources -= 1
                    order.end(number)
                elif item.count:
                    order.add(number, item, time.time_ns())
                elif not order:
                    yield number, item
            yield from order.due(time.time_ns(), self._reading_since)

    def _items(self, wait: bool) -> Iterator[Item]:
        """One, when it comes, or none soon; and what else is there."""
        try:
            yield self._queue.get(timeout=None if wait else LOOK_AGAIN)
            for _ in range(WAITING):
                yield self._queue.get_nowait()
        except Empty:
            return

    def _read(self, number: int, source: Source) -> None:
        try:
            self._reading_since[number] = time.time_ns()
            for frames in source.batches():
                self._reading_since[number] = 0
                self._queue.put((number, frames))
                if self._stop.is_set():
                    return
                self._reading_since[number] = time.time_ns()
            self._queue.put((number, None))
        except BaseException as error:  # it belongs to the thread that reads the queue
            self._queue.put((number, error))

    def stop(self) -> None:
        self._stop.set()
        while any(thread.is_alive() for thread in self._threads):
            _drain(self._queue)


def _drain(queue: Queue[Item]) -> None:
    """Make room for a reader that waits, so that it sees the stop."""
    try:
        queue.get(timeout=0.05)
    except Empty:
        return
