"""Several live sources as one stream of batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, Queue

from capture_agent.records import Frames
from capture_agent.sources.source import Source

# Batches that wait between the readers and the pipeline. A reader that finds no room waits: the kernel buffers then,
# and counts what it drops.
WAITING = 16


def merged(sources: Sequence[Source]) -> Iterator[tuple[Source, Frames]]:
    """The batches of all sources as they come, each with its source. Raises what a source raises, at once.

    One source is read in the caller's thread; of several, each has a thread of its own, which ends with its source
    or when the caller closes this iterator.
    """
    if len(sources) == 1:
        for frames in sources[0].batches():
            yield sources[0], frames
        return
    queue: Queue[tuple[Source, Frames | BaseException | None]] = Queue(WAITING)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_read, args=(source, queue, stop), name=f"source {source.name}", daemon=True)
        for source in sources
    ]
    for thread in threads:
        thread.start()
    try:
        yield from _take(queue, len(sources))
    finally:
        stop.set()
        while any(thread.is_alive() for thread in threads):
            _drain(queue)


def _take(
    queue: Queue[tuple[Source, Frames | BaseException | None]], open_sources: int
) -> Iterator[tuple[Source, Frames]]:
    while open_sources:
        source, item = queue.get()
        if item is None:
            open_sources -= 1
        elif isinstance(item, BaseException):
            raise item
        else:
            yield source, item


def _read(source: Source, queue: Queue[tuple[Source, Frames | BaseException | None]], stop: threading.Event) -> None:
    try:
        for frames in source.batches():
            queue.put((source, frames))
            if stop.is_set():
                return
        queue.put((source, None))
    except BaseException as error:  # it belongs to the thread that reads the queue
        queue.put((source, error))


def _drain(queue: Queue[tuple[Source, Frames | BaseException | None]]) -> None:
    """Make room for a reader that waits, so that it sees the stop."""
    try:
        queue.get(timeout=0.05)
    except Empty:
        return
