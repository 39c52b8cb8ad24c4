"""Counts by side and by what a peer has said."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Said = TypeVar("Said", bound=Hashable)


class SaidCounts(Generic[Said]):
    """By side and what was said: at most `most` pairs, and one more for each side, `other`, for the rest."""

    def __init__(self, other: Said, most: int = 4096) -> None:
        self._other = other
        self._most = most
        self._counts: Counter[tuple[int, Said]] = Counter()

    def add(self, side: int, said: Said) -> None:
        key = (side, said)
        if key not in self._counts and len(self._counts) >= self._most:
            key = (side, self._other)
        self._counts[key] += 1

    def __iter__(self) -> Iterator[tuple[tuple[int, Said], int]]:
        return iter(list(self._counts.items()))

    def of(self, side: int) -> int:
        """All of this side."""
        return sum(count for (one, _), count in self if one == side)


def grown(code: str, old: Iterable[int], size: int, filling: int) -> array[int]:
    """An array of this size that begins with the old one."""
    new: array[int] = array(code)
    new.extend(old)
    new.extend(array(code, [filling]) * (size - len(new)))
    return new
