"""Several sources as one: every batch once, with its source; errors at once; no thread is left behind."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Mapping
from itertools import count

import pytest

from capture_agent.records import FRAME_ROW, Frames
from capture_agent.sources.merge import WAITING, merged
from capture_agent.sources.source import SourceError

pytestmark = pytest.mark.once


def batch(number: int) -> Frames:
    return Frames(b"", array("q", bytes(8 * FRAME_ROW)), 0, [], number)


class Listed:
    """Gives so many batches, then ends or raises; None gives them for ever. `given` counts."""

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
@pytest.mark.parametrize("error", [SourceError("eth0: it went down"), MemoryError()], ids=["source", "any"])
def test_an_error_ends_all(others: int, error: BaseException) -> None:
    """Behind the batches of its own source; the others would go on for ever."""
    failing = Listed("eth0", 2, error)
    found = []
    with pytest.raises(type(error)) as caught:
        for source, frames in merged([failing, *(Listed(f"eth{n}", None) for n in range(1, 1 + others))]):
            found += [frames.first_number] if source is failing else []
    assert caught.value is error
    assert found == [0, 1]
    assert readers() == []


def test_who_takes_no_more_ends_the_readers() -> None:
    sources = [Listed("eth0", None), Listed("eth1", None)]
    stream = merged(sources)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_a_reader_does_not_run_ahead() -> None:
    """What waits is bounded: then the reader waits, and the kernel counts what it drops."""
    sources = [Listed("eth0", None), Listed("eth1", 0)]
    stream = merged(sources)
    for taken in range(1, 50):
        next(stream)
        # In the queue, in the reader's hand, and taken.
        assert sources[0].given <= WAITING + 1 + taken
    stream.close()  # type: ignore[attr-defined]
