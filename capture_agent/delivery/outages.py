"""When a sink is down, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Down:
    """An outage so far."""

    seconds: float
    waiting: int
    limit: int
    lost: int


class Outages:
    """Of one sink, whose outbox changes them with its lock held. `lost`: how many messages it has lost in all."""

    def __init__(self, clock: Callable[[], float], lost: Callable[[], int]) -> None:
        self.over = 0
        self._clock = clock
        self._lost = lost
        self._since: float | None = None
        self._ended_at: float | None = None
        self._lost_before = 0  # when it went down

    @property
    def is_down(self) -> bool:
        return self._since is not None

    @property
    def up_seconds(self) -> float:
        """Since the last outage; infinite: there was none; negative: it is down. Any thread may ask."""
        ended_at = self._ended_at
        if self._since is not None:
            return -1.0
        return math.inf if ended_at is None else max(0.0, self._clock() - ended_at)

    def begin(self) -> bool:
        """False if the sink is down already."""
        if self._since is not None:
            return False
        self._since = self._clock()
        self._lost_before = self._lost()
        return True

    def end(self) -> tuple[float, int] | None:
        """The seconds that it lasted and the messages lost meanwhile; None if the sink was up."""
        if self._since is None:
            return None
        seconds = self._clock() - self._since
        self._since, self._ended_at = None, self._clock()
        self.over += 1
        return seconds, self._lost() - self._lost_before

    def now(self, waiting: int, limit: int) -> Down | None:
        """None if the sink is up."""
        if self._since is None:
            return None
        return Down(self._clock() - self._since, waiting, limit, self._lost() - self._lost_before)
