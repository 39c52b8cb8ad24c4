"""The time of packets, kept from running away. Hot: compiled with clock.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.correlate import limits

ODD_NS = cython.declare(cython.longlong, limits.ODD_NS)
AGREEING = cython.declare(cython.int, limits.AGREEING)


@cython.final
@cython.cclass
class Clock:
    """One packet with a wrong time must not end every call, and a second file may be older than the first.

    now_ns  the latest time that was seen, but for odd ones
    odd     packets an hour or more off it, either way: they count as of now
    jumps   how often so many odd ones agreed that the clock went with them
    """

    __slots__ = ("_agreed", "_other_ns", "jumps", "now_ns", "odd", "started")

    def __init__(self) -> None:
        self.started = False
        self.now_ns = 0
        self.odd = 0
        self.jumps = 0
        self._other_ns = 0
        self._agreed = 0

    def tick(self, time_ns: cython.longlong) -> cython.longlong:
        """The time to take for a packet of this time. Between -2**61 and 2**61, as `packet` gives it."""
        if not self.started:
            self.started = True
            self.now_ns = time_ns
        ahead: cython.longlong = time_ns - self.now_ns
        if -ODD_NS < ahead < ODD_NS:
            self._agreed = 0
            if ahead > 0:
                self.now_ns = time_ns
            return time_ns
        return self._odd(time_ns)

    def _odd(self, time_ns: cython.longlong) -> cython.longlong:
        self.odd += 1
        if self._agreed and -ODD_NS < time_ns - self._other_ns < ODD_NS:
            self._agreed += 1
        else:
            self._agreed = 1
        self._other_ns = time_ns
        if self._agreed <= AGREEING:
            return self.now_ns
        self.jumps += 1
        self._agreed = 0
        self.now_ns = time_ns
        return time_ns
