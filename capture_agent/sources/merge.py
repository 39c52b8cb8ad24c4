"""Merges several live sources into one stream of batches, ordered by the timestamps of their frames."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from capture_agent.parallel import at_once
from capture_agent.records.frames import Frames
from capture_agent.sources.newcomers import Newcomers
from capture_agent.sources.ordering import FrameOrder, size
from capture_agent.sources.source import Source, SourceError

# Most batches and bytes between the readers and the pipeline. A reader without room waits: then the kernel buffers,
# and counts its drops.
WAITING = 16
WAITING_BYTES = 64 << 20
LOOK_AGAIN = 0.02  # seconds, while frames are held
LOOK_UP = 1.0  # seconds, else
PATIENCE = 2.0  # seconds for sources to close, and then for readers to end; a live source checks every 0.2 s

Item = tuple[int, Frames | BaseException | None]
OnGone = Callable[[Source, SourceError | None], None]  # None: it has ended
OnUnread = Callable[[Source, int], None]
OnRead = Callable[[Source, Frames], None]
Batch = tuple[Source | None, Frames]


class Waits:
    """Since when the threads of `merged` wait for the next batches of their sources. Any thread may ask."""

    def __init__(self) -> None:
        self.readers: dict[int, _Reader] = {}

    def longer_than(self, seconds: float) -> list[Source]:
        """The sources. A live one comes back several times a second."""
        before = time.time_ns() - int(seconds * 1e9)
        return [reader.source for reader in list(self.readers.values()) if 0 < reader.reading_since < before]


def merged(
    sources: Sequence[Source],
    gone: OnGone | None = None,
    unread: OnUnread | None = None,
    threads: bool = False,
    newcomers: Newcomers | None = None,
    waits: Waits | None = None,
    seen: OnRead | None = None,
) -> Generator[Batch, None, None]:
    """The batches of all sources, each with its source (the source of its first frame).

    A single source is read in the caller's thread, unless `threads`; several have a thread each, which ends with its
    source or when the caller closes this iterator. While there are no frames, it yields empty batches; with threads at
    least once a second, whatever a source waits for.

    A source that breaks while others go on, or others may come, is passed to `gone`. Raises what the last one raises,
    and at once: the error of a source that cannot be read at all, and any that is not a SourceError.

    If this iterator is closed or raises, it closes the sources, except a single source without `gone`. Errors that
    sources had by then are passed to `gone`; the number of frames read but never yielded, to `unread`.

    `seen` is called with each batch that a source has read, in the thread that reads it.
    """
    readers = _Readers(gone, unread, newcomers, Waits() if waits is None else waits, seen)
    if len(sources) == 1 and not threads:
        left = yield from _alone(sources[0], gone, newcomers, seen)
        if newcomers is None:
            return
        if left is not None:
            readers.start(sources[0], left)
    else:
        for source in sources:
            readers.start(source)
    try:
        yield from readers.take()
    finally:
        readers.stop()


def _alone(
    source: Source, gone: OnGone | None, newcomers: Newcomers | None, seen: OnRead | None
) -> Generator[Batch, None, Iterator[Frames] | None]:
    """What of it is left when another one comes; None: it has ended."""
    batches = source.batches()
    closes = gone is not None
    try:
        for frames in batches:
            if seen is not None:
                seen(source, frames)
            yield source, frames
            if newcomers:
                closes = False
                return batches
        error = None
    except SourceError as caught:
        if newcomers is None or caught.usage:
            raise
        error = caught
    finally:
        if gone is not None and closes:
            source.close()
            try:
                next(batches, None)  # once closed, it only ends
            except SourceError as late:
                gone(source, late)
    if gone is not None:
        gone(source, error)
    return None


class _Queue:
    """Batches that readers have read, bounded in number and bytes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._stopped = False

    def put(self, item: Item) -> bool:
        """Wait for room. False: nobody takes frames any more; an error is still kept."""
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
        """All items available; if there are none, the next one as soon as it comes, or none."""
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


class _Reader:
    """A source and the thread that reads it."""

    def __init__(self, number: int, source: Source, batches: Iterator[Frames] | None) -> None:
        self.number = number  # in the queue and in the Order
        self.source = source
        self.batches = batches
        self.reading_since = time.time_ns()  # 0: it has something in its hand
        self.read = 0  # frames
        self.ended = False  # the order may still hold frames of it
        self.error: SourceError | None = None  # that ended it
        self.thread: threading.Thread


class _Readers:
    """A thread per source, and the batches they have read."""

    def __init__(
        self,
        gone: OnGone | None,
        unread: OnUnread | None,
        newcomers: Newcomers | None,
        waits: Waits,
        seen: OnRead | None,
    ) -> None:
        self._on_read = seen
        self._gone = gone
        self._unread = unread
        self._newcomers = newcomers
        self._queue = _Queue()
        self._items: deque[Item] = deque()  # out of the queue, not yet sorted
        self._order = FrameOrder()
        self._readers = waits.readers  # those that have not ended, by number
        self._closed = threading.Event()

    def start(self, source: Source, batches: Iterator[Frames] | None = None) -> None:
        """`batches`: the rest of them, where somebody has begun to read."""
        reader = _Reader(self._order.begin(), source, batches)
        self._readers[reader.number] = reader
        reader.thread = threading.Thread(target=self._read, args=(reader,), name=f"source {source.name}", daemon=True)
        reader.thread.start()

    def take(self) -> Iterator[Batch]:
        order, items = self._order, self._items
        while self._readers or order or self._newcomers is not None:
            for source in self._newcomers.take() if self._newcomers is not None else ():
                self.start(source)
            items.extend(self._queue.take(LOOK_AGAIN if order else LOOK_UP))
            if not items and not order:
                yield None, Frames(b"", array("q"), 0, [])
            while items:
                number, item = items.popleft()
                reader = self._readers[number]
                if isinstance(item, Frames):
                    if item.count:
                        order.add(number, item, time.time_ns())
                    elif not order:
                        yield reader.source, item
                    continue
                if item is not None and (error := self._fatal(item)) is not None:
                    yield from self._with_sources(order.rest())
                    raise error
                assert item is None or isinstance(item, SourceError)
                order.end(number)
                reader.ended = True
                reader.error = item
            yield from self._with_sources(order.due(time.time_ns(), self._reading_since()))
            self._let_go()

    def _with_sources(self, batches: Iterable[tuple[int, Frames]]) -> Iterator[Batch]:
        for number, frames in batches:
            yield self._readers[number].source, frames

    def _reading_since(self) -> dict[int, int]:
        return {number: reader.reading_since for number, reader in self._readers.items()}

    def _let_go(self) -> None:
        """Pass on the sources that have ended, when all of their frames have gone on."""
        ended = [reader for reader in self._readers.values() if reader.ended and not self._order.holds(reader.number)]
        for reader in ended:
            del self._readers[reader.number]
            self._order.release(reader.number)
            if self._gone is not None:
                self._gone(reader.source, reader.error)

    def _fatal(self, error: BaseException) -> BaseException | None:
        """The error, if it ends everything."""
        last = self._newcomers is None and sum(not reader.ended for reader in self._readers.values()) == 1
        return error if not isinstance(error, SourceError) or error.usage or last else None

    def _read(self, reader: _Reader) -> None:
        number = reader.number
        last = False
        try:
            for frames in reader.batches or reader.source.batches():
                reader.reading_since = 0
                if self._on_read is not None:
                    self._on_read(reader.source, frames)
                reader.read += frames.count
                if not self._queue.put((number, frames)):
                    # A closed source ends, or raises the error that it had.
                    if last or not self._closed.wait(PATIENCE):
                        return
                    last = True
                reader.reading_since = time.time_ns()
            reader.reading_since = 0
            self._queue.put((number, None))
        except BaseException as error:  # belongs to the thread that reads the queue
            reader.reading_since = 0
            self._queue.put((number, error))

    def stop(self) -> None:
        """Close the sources, end the readers, and pass on the remaining errors."""
        readers = list(self._readers.values())
        self._queue.stop()
        at_once([reader.source.close for reader in readers], PATIENCE)
        self._closed.set()
        deadline = time.monotonic() + PATIENCE
        for reader in readers:
            reader.thread.join(max(0.0, deadline - time.monotonic()))
        for reader in readers:
            left = reader.read - self._order.given[reader.number]
            if left > 0 and self._unread is not None:
                self._unread(reader.source, left)
            if reader.error is not None and self._gone is not None:
                self._gone(reader.source, reader.error)
        for number, item in [*self._items, *self._queue.take(0)]:
            if isinstance(item, SourceError):
                if self._gone is not None:
                    self._gone(self._readers[number].source, item)
            elif isinstance(item, BaseException):
                raise item
