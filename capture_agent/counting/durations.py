"""Durations by bucket. Hot: compiled with durations.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

import cython

from capture_agent.counting.said_counts import grown

# Seconds. From a delay that nobody notices to 64*T1, after which a transaction is given up.
DELAYS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
ROUND_TRIPS = (0.005, 0.01, 0.02, *DELAYS)
ANSWERS = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
DURATIONS = (1.0, 3.0, 6.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
SECOND = 1_000_000_000


@cython.final
@cython.cclass
class Durations:
    """By key (a small number), how many durations are at most as long as each bound, and longer than the one before."""

    __slots__ = ("_bounds_ns", "_counts", "_keys", "_width", "bounds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._bounds_ns = array("q", [round(bound * SECOND) for bound in bounds])
        # For each key a count for each bound, one for what is longer, and the sum in nanoseconds.
        self._width = len(bounds) + 2
        self._counts = array("q")
        self._keys = 0

    def observe(self, key: cython.int, duration_ns: cython.longlong) -> cython.bint:
        """One that is negative, as packets that were captured out of order make it, counts as none."""
        place: cython.Py_ssize_t = 0
        first: cython.Py_ssize_t = key * self._width
        duration_ns = max(duration_ns, 0)
        if key >= self._keys:
            self._keys = key + 1
            self._counts = grown("q", self._counts, self._keys * self._width, 0)
        if not cython.compiled:
            self._counts[first + bisect_left(self._bounds_ns, duration_ns)] += 1
            self._counts[first + self._width - 1] += duration_ns
            return True
        bounds: cython.pointer(cython.longlong) = self._bounds_ns.data.as_longlongs  # type: ignore[valid-type]
        counts: cython.pointer(cython.longlong) = self._counts.data.as_longlongs + first  # type: ignore[valid-type]
        while place < self._width - 2 and bounds[place] < duration_ns:
            place += 1
        counts[place] += 1
        counts[self._width - 1] += duration_ns
        return True

    def rows(self) -> Iterator[tuple[int, list[int]]]:
        """By key: the counts, and the sum in nanoseconds."""
        counts, width = self._counts, self._width
        for key in range(len(counts) // width):
            row = list(counts[key * width : (key + 1) * width])
            if any(row[:-1]):
                yield key, row
