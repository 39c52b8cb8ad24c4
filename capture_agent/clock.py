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
    """Goes with the packets, ten seconds at a time at most; further only where nine packets in a row agree, or, where
    packets are few, one that comes much later yet. Then it goes as far as the nearest of them.

    An hour or more is no time that has passed, but another clock: a source or a capture of its own. So no time passes
    with it, and nothing expires; its packets count from here.

    now_ns  the time of the last packet, but for what is in doubt: the first one's time, and what has passed since
    odd     packets an hour or more off it, either way: they count as of now
    jumps   how often so many odd ones agreed that the clock went with them
    """

    __slots__ = ("_agreed", "_ahead", "_base_ns", "_nearest_ns", "jumps", "now_ns", "odd", "started")

    def __init__(self) -> None:
        self.odd = 0
        self.jumps = 0
        self.reset()

    def reset(self) -> None:
        """The next packet is the first one: the same capture comes again, or another."""
        self.started = False
        self.now_ns = 0
        self._base_ns = 0  # what packets call now
        self._ahead = False  # the last ones in doubt: later, or earlier
        self._nearest_ns = 0  # the one among them that is least off
        self._agreed = 0

    def tick(self, time_ns: cython.longlong) -> cython.longlong:
        """The time to take for a packet of this time, between -2**62 and 2**62, as `packet` gives it.

        One that is in doubt has its own time while that is less than an hour off, but the clock does not go with it.
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
        """Whether this time lies so far ahead, and the last packet was not in doubt: the clock did not go there."""
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
        """As far as the nearest of those in doubt."""
        ahead: cython.longlong = self._nearest_ns - self._base_ns
        if -_ODD < ahead < _ODD:
            self.now_ns += ahead
        else:
            self.jumps += 1
        self._base_ns = self._nearest_ns
        self._agreed = 0
