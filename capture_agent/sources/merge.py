"""Merges several live sources into one stream of batches, ordered by the timestamps of their frames."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from capture_agent.parallel import at_once
from capture_agent.records.frames import Frames
from capture_agent.sources.ordering import Order, size
from capture_agent.sources.source import Source, SourceError

# Batches, and bytes of them, that wait between the readers and the pipeline. A reader that finds no room waits: the
# kernel buffers then, and counts what it drops.
WAITING = 16
WAITING_BYTES = 64 << 20
LOOK_AGAIN = 0.02  # seconds, while frames are held
LOOK_UP = 1.0  # seconds, else
PATIENCE = 2.0  # seconds that sources may take to close, and then readers to end; a live source looks up every 0.2 s

Item = tuple[int, Frames | BaseException | None]
OnGone = Callable[[Source, SourceError], None]
OnUnread = Callable[[Source, int], None]


def merged(
    sources: Sequence[Source], gone: OnGone | None = None, unread: OnUnread | None = None, threads: bool = False
) -> Generator[tuple[Source, Frames], None, None]:
    """The batches of all sources, each with its source, or that of its first frame.

    One source is read in the caller's thread, unless `threads`; of several, each has a thread of its own, which ends
    with its source or when the caller closes this iterator. A batch without frames comes where there is nothing to hold
    back; from threads at least once a second, whatever a source waits for.

    A source that breaks while others go on is passed to `gone`. Raises what the last one raises, and at once: the
    error of a source that cannot be read at all, and any that is not a SourceError.

    Where this iterator is closed or raises, several sources are closed, and one is with `gone`. An error that a source
    had by then is passed to `gone`; how many frames of a source were read and never yielded, to `unread`.
    """
    if len(sources) == 1 and not threads:
        yield from _alone(sources[0], gone)
        return
    readers = _Readers(sources, gone, unread)
    try:
        for number, frames in readers.take():
            yield sources[number], frames
    finally:
        readers.stop()


def _alone(source: Source, gone: OnGone | None) -> Iterator[tuple[Source, Frames]]:
    batches = source.batches()
    try:
        for frames in batches:
            yield source, frames
    finally:
        if gone is not None:
            source.close()
            try:
                next(batches, None)  # closed, it only ends
            except SourceError as error:
                gone(source, error)


class _Queue:
    """What the readers have read, bounded in batches and in bytes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._stopped = False

    def put(self, item: Item) -> bool:
        """Wait for room. False: nobody takes frames any more; an error is kept all the same."""
        weight = size(item[1]) if isinstance(item[1], Frames) else 0
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(weight))
            if not (self._stopped and isinstance(item[1], Frames)):
                self._items.append((item, weight))
                self._bytes += weight
                self._changed.notify_all()
            return not self._stopped

    def _has_room(self, weight: int) -> bool:
        return not self._items or (len(self._items) < WAITING and self._bytes + weight <= WAITING_BYTES)

    def take(self, timeout: float) -> list[Item]:
        """All that is there; when nothing is, one item as soon as it comes, or none."""
        with self._changed:
            self._changed.wait_for(lambda: self._items, timeout)
            taken = [item for item, _ in self._items]
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()
            return taken

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class _Readers:
    """A thread for each source, and what they have read."""

    def __init__(self, sources: Sequence[Source], gone: OnGone | None, unread: OnUnread | None) -> None:
        self._sources = sources
        self._gone = gone
        self._unread = unread
        self._open = len(sources)
        self._queue = _Queue()
        self._reading_since = [0] * len(sources)  # ns; 0: it has something in its hand
        self._items: deque[Item] = deque()  # out of the queue, not in order yet
        self._order = Order(len(sources))
        self._frames_read = [0] * len(sources)
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(n, source), name=f"source {source.name}", daemon=True)
            for n, source in enumerate(sources)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> Iterator[tuple[int, Frames]]:
        order, items = self._order, self._items
        while self._open or order:
            items.extend(self._queue.take(LOOK_AGAIN if order else LOOK_UP))
            if not items and not order:
                yield 0, Frames(b"", array("q"), 0, [])
            while items:
                number, item = items.popleft()
                if isinstance(item, Frames):
                    if item.count:
                        order.add(number, item, time.time_ns())
                    elif not order:
                        yield number, item
                    continue
                if item is not None and (error := self._fatal(number, item)) is not None:
                    yield from order.rest()
                    raise error
                self._open -= 1
                order.end(number)
            yield from order.due(time.time_ns(), self._reading_since)

    def _fatal(self, number: int, error: BaseException) -> BaseException | None:
        """The error, if it ends all."""
        if not isinstance(error, SourceError) or error.usage or self._open == 1:
            return error
        if self._gone is not None:
            self._gone(self._sources[number], error)
        return None

    def _read(self, number: int, source: Source) -> None:
        last = False
        try:
            self._reading_since[number] = time.time_ns()
            for frames in source.batches():
                self._reading_since[number] = 0
                self._frames_read[number] += frames.count
                if not self._queue.put((number, frames)):
                    # A source that is closed ends, or says what had broken it.
                    if last or not self._closed.wait(PATIENCE):
                        return
                    last = True
                self._reading_since[number] = time.time_ns()
            self._queue.put((number, None))
        except BaseException as error:  # it belongs to the thread that reads the queue
            self._queue.put((number, error))

    def stop(self) -> None:
        """Close the sources, end the readers, and pass on the errors that nobody has taken yet."""
        self._queue.stop()
        at_once([source.close for source in self._sources], PATIENCE)
        self._closed.set()
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for source, read, given in zip(self._sources, self._frames_read, self._order.given, strict=True):
            if read > given and self._unread is not None:
                self._unread(source, read - given)
        for number, item in [*self._items, *self._queue.take(0)]:
            if isinstance(item, SourceError):
                if self._gone is not None:
                    self._gone(self._sources[number], item)
            elif isinstance(item, BaseException):
                raise item
