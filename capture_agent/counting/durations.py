"""Durations by bucket. Hot: compiled with histograms.pxd, or plain Python."""

from __future__ import annotations

from array import array
from collections.abc import Hashable

import cython

# Seconds. From a delay that nobody notices to 64*T1, after which a transaction is given up.
DELAYS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
ROUND_TRIPS = (0.005, 0.01, 0.02, *DELAYS)
ANSWERS = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0)
DURATIONS = (1.0, 3.0, 6.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
SECOND = 1_000_000_000


@cython.final
@cython.cclass
class Durations:
    """By key, how many durations are at most as long as each bound, and longer than the one before it.

    rows  by key: a count for each bound, one for what is longer, and the sum in nanoseconds
    """

    __slots__ = ("_bounds_ns", "_count", "bounds", "rows")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._bounds_ns = array("q", (round(bound * SECOND) for bound in bounds))
        self._count = len(bounds)
        self.rows: dict[Hashable, list[int]] = {}

    def observe(self, key: Hashable, duration_ns: cython.longlong) -> cython.bint:
        """One that is negative, as packets that were captured out of order make it, counts as none."""
        duration_ns = max(duration_ns, 0)
        place: cython.Py_ssize_t = 0
        row: list[int] | None = self.rows.get(key)
        if row is None:
            row = self.rows[key] = [0] * (len(self.bounds) + 2)
        while place < self._count and self._bounds_ns[place] < duration_ns:
            place += 1
        row[place] += 1
        row[self._count + 1] += duration_ns
        return True
