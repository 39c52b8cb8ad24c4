"""Packet time, protected against outliers. Hot: compiled with clock.pxd, or plain Python.

State that expires by packet time uses a clock instead of the packet itself: one packet with a wrong time must not
expire the state of all others.
"""

from __future__ import annotations

import cython

SECOND_NS = 1_000_000_000
ODD_NS = 3600 * SECOND_NS
STEP_NS = 10 * SECOND_NS
AGREEING = 8

_ODD = cython.declare(cython.longlong, ODD_NS)
_STEP = cython.declare(cython.longlong, STEP_NS)
_AGREEING = cython.declare(cython.int, AGREEING)


@cython.final
@cython.cclass
class Clock:
    """Follows packet time, by at most ten seconds per packet; further only if nine packets in a row agree or, with few
    packets, one that comes much later still. Then it advances to the nearest of them.

    A jump of an hour or more is another clock, not time that has passed: another source or capture. So no time passes,
    nothing expires, and its packets count from here.

    now_ns  the first packet's time plus the time that has passed since, without doubtful packets
    odd     packets an hour or more off, either way: they count as of now
    jumps   how often enough odd packets agreed that the clock followed them
    """

    __slots__ = ("_agreed", "_ahead", "_base_ns", "_nearest_ns", "jumps", "now_ns", "odd", "started")

    def __init__(self) -> None:
        self.odd = 0
        self.jumps = 0
        self.reset()

    def reset(self) -> None:
        """The next packet is the first one: of another capture, or the same one again."""
        self.started = False
        self.now_ns = 0
        self._base_ns = 0  # the packets' time now
        self._ahead = False  # the latest doubtful packets: later, or earlier
        self._nearest_ns = 0  # the least deviation among them
        self._agreed = 0

    def tick(self, time_ns: cython.longlong) -> cython.longlong:
        """The clock's time for a packet with this time, between -2**62 and 2**62, as `packet` ensures.

        A doubtful packet keeps its own time if that is less than an hour off, but the clock does not follow it.
        """
        if not self.started:
            self.started = True
            self.now_ns = self._base_ns = time_ns
        ahead: cython.longlong = time_ns - self._base_ns
        if -_STEP <= ahead <= _STEP:
            self._agreed = 0
            if ahead > 0:
                self._base_ns = time_ns
                self.now_ns += ahead
                return self.now_ns
            return self.now_ns + ahead
        return self._doubted(time_ns, ahead)

    def is_ahead(self, since_ns: cython.longlong, by_ns: cython.longlong) -> cython.bint:
        """Whether this time is so far ahead, and the last packet was not doubtful: the clock did not follow."""
        return not self._agreed and since_ns - self.now_ns >= by_ns

    def _doubted(self, time_ns: cython.longlong, ahead: cython.longlong) -> cython.longlong:
        later: cython.bint = ahead > 0
        if not self._agreed or later != self._ahead:
            self._agreed = 0
            self._ahead = later
            self._nearest_ns = time_ns
        elif later and self._nearest_ns - self._base_ns < _ODD and time_ns - self._nearest_ns > _STEP:
            self._go()
            self._nearest_ns = time_ns
        elif (time_ns < self._nearest_ns) == later:
            self._nearest_ns = time_ns
        self._agreed += 1
        ahead = time_ns - self._base_ns
        self.odd += not -_ODD < ahead < _ODD
        if self._agreed > _AGREEING:
            self._go()
            ahead = time_ns - self._base_ns
        return self.now_ns + ahead if -_ODD < ahead < _ODD else self.now_ns

    @cython.exceptval(check=False)
    def _go(self) -> cython.void:
        """Advance to the nearest doubtful packet."""
        ahead: cython.longlong = self._nearest_ns - self._base_ns
        if -_ODD < ahead < _ODD:
            self.now_ns += ahead
        else:
            self.jumps += 1
        self._base_ns = self._nearest_ns
        self._agreed = 0
