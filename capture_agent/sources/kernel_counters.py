"""Counters of the kernel and of libpcap: 32 bits that wrap, and that may restart when an interface vanishes."""

from __future__ import annotations

WRAP = 1 << 32


class Growing:
    """The total of such a counter. Feed it at least once per 2**31 events."""

    def __init__(self) -> None:
        self.total = 0
        self._last = 0

    def feed(self, value: int) -> int:
        """The counter's current value is `value`. Returns the total."""
        step = (value - self._last) % WRAP
        if step < WRAP // 2:  # otherwise it went backwards: libpcap subtracts drops of a vanished interface
            self.total += step
        self._last = value % WRAP
        return self.total
