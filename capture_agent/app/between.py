"""Counters of the pipeline as they are between two batches, read from other threads.

In the middle of a batch they contradict each other: a message is in one ledger, and not in the next one yet.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

Read = TypeVar("Read")

PATIENCE = 1.0  # seconds for a batch to end


class Question(Generic[Read]):
    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: Read | None = None


class BetweenBatches(Generic[Read]):
    """`read` reads the counters. While no batch is being processed, whoever asks does it; else the thread that
    processes it does, at its end: a batch costs one look at whether somebody has asked. That thread enters this around
    the processing of each batch.
    """

    def __init__(self, read: Callable[[], Read]) -> None:
        self._read = read
        self._turns = 0  # odd while a batch is being processed
        self._questions: deque[Question[Read]] = deque()
        self._found = (0, 0.0)  # the turn that was last looked at, and when that was first

    def __enter__(self) -> None:
        self._turns += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns += 1
        while self._questions:
            question = self._questions.popleft()
            question.answer = self._read()
            question.answered.set()

    def seconds_in_batch(self, now: float) -> float:
        """How long the batch that is being processed has been, as far as this was asked; 0: there is none. From any
        thread.
        """
        turns = self._turns
        if turns != self._found[0]:
            self._found = turns, now
        return now - self._found[1] if turns % 2 else 0.0

    def now(self) -> Read:
        """From any thread. Where a batch takes too long, what it has counted so far."""
        before = self._turns
        if before % 2 == 0:
            answer = self._read()
            if self._turns == before:
                return answer
        question: Question[Read] = Question()
        self._questions.append(question)
        if question.answered.wait(PATIENCE) and question.answer is not None:
            return question.answer
        return self._read()
