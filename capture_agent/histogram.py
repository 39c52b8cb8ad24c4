"""Counts of values by size, for distributions that are read from outside."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram at one moment. `counts` has one more than `bounds`: the last is of what exceeds all of them."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float  # the sum of the values

    @property
    def count(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Distribution) -> Distribution:
        """Of the same bounds."""
        counts = tuple(one + more for one, more in zip(self.counts, other.counts, strict=True))
        return Distribution(self.bounds, counts, self.total + other.total)


class Histogram:
    """Of seconds, say. A value belongs to the first bound that it does not exceed. One thread fills it at a time."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """This value, so many times."""
        self._counts[bisect_left(self._bounds, value)] += count
        self._total += value * count

    def now(self) -> Distribution:
        return Distribution(self._bounds, tuple(self._counts), self._total)
