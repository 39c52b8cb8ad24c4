"""Counts by side, in arrays. Hot: compiled with side_counts.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from array import array
from collections.abc import Iterator

import cython

from capture_agent.counting.said_counts import grown


@cython.final
@cython.cclass
class SideCounts:
    """For each side as many counts as `width` says, which are numbered from 0."""

    __slots__ = ("_counts", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._counts = array("q")

    def add(self, side: cython.int, which: cython.int, number: cython.int) -> cython.bint:
        place: cython.Py_ssize_t = side * self._width + which
        if not 0 <= which < self._width or place < 0:
            raise ValueError(f"there is no count {which} of side {side}")
        if place >= len(self._counts):
            self._counts = grown("q", self._counts, (side + 1) * self._width, 0)
        if cython.compiled:  # there is room for it now
            self._counts.data.as_longlongs[place] += number
        else:
            self._counts[place] += number
        return True

    def of(self, which: int) -> Iterator[tuple[int, int]]:
        """One of them, by side."""
        for side, place in enumerate(range(which, len(self._counts), self._width)):
            yield side, self._counts[place]
