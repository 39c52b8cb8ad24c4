"""Merges several live sources into one stream of batches, ordered by the timestamps of their frames."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

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
OnGone = Callable[[Source, SourceError | None], None]  # None: it has ended
OnUnread = Callable[[Source, int], None]
OnRead = Callable[[Source, Frames], None]
Batch = tuple[Source | None, Frames]


class Newcomers:
    """Sources that join while `merged` runs, which goes on without any source then. Any thread may add one."""

    def __init__(self) -> None:
        self._sources: deque[Source] = deque()

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, source: Source) -> None:
        self._sources.append(source)

    def take(self) -> Iterator[Source]:
        while self._sources:
            yield self._sources.popleft()


def merged(
    sources: Sequence[Source],
    gone: OnGone | None = None,
    unread: OnUnread | None = None,
    threads: bool = False,
    newcomers: Newcomers | None = None,
    read: OnRead | None = None,
) -> Generator[Batch, None, None]:
    """The batches of all sources, each with its source, or that of its first frame.

    One source is read in the caller's thread, unless `threads`; of several, each has a thread of its own, which ends
    with its source or when the caller closes this iterator. A batch without frames comes where there is nothing to hold
    back; from threads at least once a second, whatever a source waits for.

    A source that breaks while others go on, or others may come, is passed to `gone`. Raises what the last one raises,
    and at once: the error of a source that cannot be read at all, and any that is not a SourceError.

    Where this iterator is closed or raises, several sources are closed, and one is with `gone`. An error that a source
    had by then is passed to `gone`; how many frames of a source were read and never yielded, to `unread`.

    `read` is called with each batch that a source has read, in the thread that reads it.
    """
    readers = _Readers(gone, unread, newcomers, read)
    if len(sources) == 1 and not threads:
        left = yield from _alone(sources[0], gone, newcomers, read)
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
    source: Source, gone: OnGone | None, newcomers: Newcomers | None, read: OnRead | None
) -> Generator[Batch, None, Iterator[Frames] | None]:
    """What of it is left when another one comes; None: it has ended."""
    batches = source.batches()
    closes = gone is not None
    try:
        for frames in batches:
            if read is not None:
                read(source, frames)
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
                next(batches, None)  # closed, it only ends
            except SourceError as late:
                gone(source, late)
    if gone is not None:
        gone(source, error)
    return None


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
    """A thread for each source, and what they have read."""

    def __init__(
        self, gone: OnGone | None, unread: OnUnread | None, newcomers: Newcomers | None, read: OnRead | None
    ) -> None:
        self._on_read = read
        self._gone = gone
        self._unread = unread
        self._newcomers = newcomers
        self._queue = _Queue()
        self._items: deque[Item] = deque()  # out of the queue, not in order yet
        self._order = Order()
        self._readers: dict[int, _Reader] = {}  # those that have not ended, by number
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
        """The error, if it ends all."""
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
                    # A source that is closed ends, or says what had broken it.
                    if last or not self._closed.wait(PATIENCE):
                        return
                    last = True
                reader.reading_since = time.time_ns()
            self._queue.put((number, None))
        except BaseException as error:  # it belongs to the thread that reads the queue
            self._queue.put((number, error))

    def stop(self) -> None:
        """Close the sources, end the readers, and pass on the errors that nobody has taken yet."""
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
