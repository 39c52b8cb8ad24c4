"""Counters are read between two batches, whoever asks and whenever."""

from __future__ import annotations

import threading

import pytest

from capture_agent.app import between
from capture_agent.app.between import BetweenBatches

pytestmark = pytest.mark.once


class Stages:
    """Two counters that are equal between batches."""

    def __init__(self) -> None:
        self.first = self.second = 0
        self.between = BetweenBatches(lambda: (self.first, self.second))

    def work(self, batches: int) -> None:
        for _ in range(batches):
            with self.between:
                self.first += 1
                for _ in range(50):
                    pass
                self.second += 1


def test_readers_see_equal_counters() -> None:
    stages = Stages()
    seen: list[tuple[int, int]] = []
    working = threading.Event()

    def read() -> None:
        working.wait(10)
        for _ in range(200):
            seen.append(stages.between.now())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    working.set()
    while any(reader.is_alive() for reader in readers):
        stages.work(100)
    assert len(seen) == 600
    assert [pair for pair in seen if pair[0] != pair[1]] == []


def test_a_batch_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(between, "PATIENCE", 0.01)
    stages = Stages()
    with stages.between:
        stages.first = 1
        assert stages.between.now() == (1, 0)


def test_how_long_a_batch_takes() -> None:
    stages = Stages()
    assert stages.between.seconds_in_batch(1.0) == 0
    with stages.between:
        assert [stages.between.seconds_in_batch(now) for now in (5.0, 7.0, 30.0)] == [0, 2, 25]
    assert stages.between.seconds_in_batch(31.0) == 0
    with stages.between:
        assert stages.between.seconds_in_batch(32.0) == 0


def test_the_end_of_a_batch_answers_although_it_failed() -> None:
    stages = Stages()
    answers: list[tuple[int, int]] = []
    asking = threading.Thread(target=lambda: answers.append(stages.between.now()))
    with pytest.raises(ValueError, match="broken"), stages.between:
        asking.start()
        for _ in range(10_000_000):
            if stages.between._questions:
                break
        raise ValueError("broken")
    asking.join(10)
    assert answers == [(0, 0)]
