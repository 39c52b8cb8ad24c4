"""Several sources as one: every batch once, with its source; errors at once; no thread is left behind."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count

import pytest

from capture_agent.records.frames import FRAME_ROW, Frames
from capture_agent.sources.merge import WAITING, WAITING_BYTES, _Queue, merged
from capture_agent.sources.source import Source, SourceError

pytestmark = pytest.mark.once


def batch(number: int) -> Frames:
    return Frames(b"", array("q", bytes(8 * FRAME_ROW)), 0, [], number)


class Listed:
    """Yields this many batches, then ends or raises; None yields them for ever. `given` counts."""

    def __init__(self, name: str, batches: int | None, error: BaseException | None = None) -> None:
        self.name = name
        self.given = 0
        self._batches = batches
        self._error = error

    def batches(self) -> Iterator[Frames]:
        for number in count() if self._batches is None else range(self._batches):
            self.given += 1
            yield batch(number)
        if self._error is not None:
            raise self._error

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("source ")]


@pytest.mark.parametrize("sizes", [[0], [3], [0, 0], [2, 5], [WAITING * 3, 1, 0, WAITING + 1]], ids=str)
def test_every_batch_once_in_the_order_of_its_source(sizes: list[int]) -> None:
    sources = [Listed(f"eth{n}", size) for n, size in enumerate(sizes)]
    found: dict[str, list[int]] = {source.name: [] for source in sources}
    for source, frames in merged(sources):
        found[source.name].append(frames.first_number)
    assert found == {source.name: list(range(size)) for source, size in zip(sources, sizes, strict=True)}
    assert readers() == []


def test_one_source_is_read_by_the_caller() -> None:
    stream = merged([Listed("eth0", 2)])
    next(stream)
    assert readers() == []
    assert len(list(stream)) == 1


@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize(
    "error",
    [SourceError("eth0: no such interface", usage=True), MemoryError()],
    ids=["cannot be read at all", "a bug"],
)
def test_an_error_that_ends_all(others: int, error: BaseException) -> None:
    """After the batches of its own source; the others would continue for ever."""
    failing = Listed("eth0", 2, error)
    found = []
    with pytest.raises(type(error)) as caught:
        for source, frames in merged([failing, *(Listed(f"eth{n}", None) for n in range(1, 1 + others))]):
            found += [frames.first_number] if source is failing else []
    assert caught.value is error
    assert found == [0, 1]
    assert readers() == []


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_the_others_go_on_when_a_source_breaks(broken: int) -> None:
    """The last one's error is raised, also if another ended normally before."""
    sources = [Listed(f"eth{n}", 3 + n, SourceError(f"eth{n}: it went down")) for n in range(broken)]
    sources += [Listed(f"eth{n}", 30, None) for n in range(broken, 3)]
    gone: list[tuple[str, str]] = []
    ended: list[str] = []

    def is_gone(source: Source, error: SourceError | None) -> None:
        if error is None:
            ended.append(source.name)
        else:
            gone.append((source.name, str(error)))

    found: dict[str, int] = {source.name: 0 for source in sources}
    raised: list[str] = []
    try:
        for source, _ in merged(sources, is_gone):
            assert source is not None
            found[source.name] += 1
    except SourceError as error:
        raised.append(str(error))
    assert found == {source.name: 3 + n if n < broken else 30 for n, source in enumerate(sources)}
    assert sorted([name for name, _ in gone] + [text.partition(":")[0] for text in raised]) == [
        f"eth{n}" for n in range(broken)
    ]
    assert len(raised) <= 1 and (broken < 3 or raised)
    assert sorted(ended) == [f"eth{n}" for n in range(broken, 3)]
    assert readers() == []


def test_what_waits_is_bounded_in_bytes_too() -> None:
    queue = _Queue()
    big = Frames(bytes(WAITING_BYTES // 2), array("q"), 0, [])
    taken: list[bool] = []

    def read() -> None:
        taken.extend(queue.put((0, big)) for _ in range(3))

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.2)
    assert taken == [True, True]  # the third waits
    assert len(queue.take(10)) == 2
    reader.join(10)
    assert taken == [True] * 3


def test_one_batch_longer_than_all_the_room_goes_through() -> None:
    queue = _Queue()
    assert queue.put((0, Frames(bytes(WAITING_BYTES + 1), array("q"), 0, [])))
    assert len(queue.take(10)) == 1


def test_a_reader_that_waits_for_room_sees_the_stop() -> None:
    queue = _Queue()
    taken: list[bool] = []

    def read() -> None:
        taken.extend(queue.put((0, None)) for _ in range(WAITING + 1))

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.1)
    queue.stop()
    reader.join(10)
    assert taken == [True] * WAITING + [False]


def test_who_takes_no_more_ends_the_readers() -> None:
    sources = [Listed("eth0", None), Listed("eth1", None)]
    stream = merged(sources)
    next(stream)
    stream.close()
    assert readers() == []


def test_a_reader_does_not_run_ahead() -> None:
    """Waiting batches are bounded: then the reader waits, and the kernel counts its drops."""
    sources = [Listed("eth0", None), Listed("eth1", 0)]
    stream = merged(sources)
    for taken in range(1, 50):
        next(stream)
        # In the queue, in the reader's hand, and taken.
        assert sources[0].given <= 2 * WAITING + 1 + taken  # as many are taken at once
    stream.close()


def test_a_source_that_waits_for_ever_does_not_hold_up_its_reader() -> None:
    """It checks for a stop between batches."""
    waiting = threading.Event()

    class Stuck(Listed):
        def batches(self) -> Iterator[Frames]:
            waiting.wait(60)
            yield batch(1)

    stream = merged([Stuck("made up", None)], threads=True)
    assert [next(stream)[1].count for _ in range(2)] == [0, 0]
    waiting.set()
    stream.close()
    assert readers() == []


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
@pytest.mark.parametrize("taken", [0, 1, 3, 20])
@pytest.mark.parametrize("others", [0, 1])
def test_frames_that_are_no_longer_taken_are_counted(others: int, taken: int, broken: bool) -> None:
    """In the queue, in the order, in the readers' hands."""

    class Full(Listed):
        def batches(self) -> Iterator[Frames]:
            for _ in range(30):
                self.given += 5
                yield Frames.of([b"a"] * 5, times_ns=[time.time_ns()] * 5)
            if broken:
                raise SourceError(f"{self.name}: it vanished")

    sources = [Full(f"eth{n}", 0) for n in range(1 + others)]
    gone: list[str] = []
    unread: dict[str, int] = {}
    stream = merged(
        sources,
        lambda source, error: gone.append(source.name),
        lambda source, count: unread.update({source.name: count}),
        threads=True,
    )
    seen = 0
    with suppress(SourceError):  # where all was taken, the last one's
        for number, (_, frames) in enumerate(stream):
            seen += frames.count
            if number >= taken:
                break
    stream.close()
    assert seen + sum(unread.values()) == sum(source.given for source in sources)
    assert readers() == []


def test_an_error_after_waiting_frames_is_not_forgotten() -> None:
    entered, broke = threading.Event(), threading.Event()

    class Breaking(Listed):
        def batches(self) -> Iterator[Frames]:
            yield Frames.of([b"a"], times_ns=[time.time_ns()])
            entered.wait(10)
            yield Frames.of([b"a"], times_ns=[time.time_ns()])
            broke.set()
            raise SourceError("eth0: it vanished")

    gone: list[str] = []
    stream = merged([Breaking("eth0", 0), Listed("eth1", 0)], lambda source, error: gone.append(str(error)))
    next(stream)
    entered.set()
    assert broke.wait(10)
    stream.close()
    assert gone == ["eth0: it vanished"]
