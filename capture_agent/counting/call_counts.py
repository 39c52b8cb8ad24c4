"""What is counted of calls. Hot: compiled with call_counts.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from enum import IntEnum

import cython

from capture_agent.counting.call_record import CallRecord
from capture_agent.counting.durations import ANSWERS, DELAYS, DURATIONS, Durations
from capture_agent.counting.said_counts import SaidCounts
from capture_agent.counting.side_counts import SideCounts

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.counting.call_record import ANSWERED, OVER, PENDING, RINGING

# These are no failure whose delay counts (RFC 6076 4.3.2).
NO_FAILURE = frozenset((*range(300, 400), 401, 402, 407))
CANCELLED_STATUS = cython.declare(cython.int, 487)
OTHER_STATUS = 0


class Count(IntEnum):
    """What is counted for each side; the last three are how many there are now."""

    ATTEMPTS = 0
    ANSWERED = 1
    CANCELLED = 2
    ABANDONED = 3
    RESUMED = 4
    ENDED = 5  # the BYE was answered
    UNANSWERED = 6  # nobody answered the BYE
    UNSEEN = 7  # there was no BYE
    EVICTED_SETUP = 8
    EVICTED_ACTIVE = 9
    SETUP = 10
    EARLY = 11
    ACTIVE = 12


ATTEMPTS = cython.declare(cython.int, Count.ATTEMPTS)
ANSWERS_ = cython.declare(cython.int, Count.ANSWERED)
CANCELLED = cython.declare(cython.int, Count.CANCELLED)
ABANDONED = cython.declare(cython.int, Count.ABANDONED)
RESUMED = cython.declare(cython.int, Count.RESUMED)
UNSEEN = cython.declare(cython.int, Count.UNSEEN)
EVICTED_SETUP = cython.declare(cython.int, Count.EVICTED_SETUP)
EVICTED_ACTIVE = cython.declare(cython.int, Count.EVICTED_ACTIVE)
SETUP = cython.declare(cython.int, Count.SETUP)
EARLY = cython.declare(cython.int, Count.EARLY)
ACTIVE = cython.declare(cython.int, Count.ACTIVE)


@cython.final
@cython.cclass
class CallCounts:
    """Counts what happens to calls, before their records show it.

    counts  each Count by side; failed: by side and status; causes: by side, and outcome and Q.850 cause
    request_delay  by twice the side, and one more if it led to 18x or 2xx; disconnect_delay and the others by side
    """

    __slots__ = ("answer_time", "causes", "counts", "disconnect_delay", "duration", "failed", "request_delay")

    def __init__(self) -> None:
        self.counts = SideCounts(len(Count))
        self.failed: SaidCounts[int] = SaidCounts(OTHER_STATUS)
        self.causes: SaidCounts[tuple[str, int]] = SaidCounts(("other", 0))
        self.request_delay = Durations(DELAYS)
        self.answer_time = Durations(ANSWERS)
        self.duration = Durations(DURATIONS)
        self.disconnect_delay = Durations(DELAYS)

    def began(self, call: CallRecord) -> cython.bint:
        self.counts.add(call.side, ATTEMPTS, 1)
        return self.counts.add(call.side, SETUP, 1)

    def rings(self, call: CallRecord) -> cython.bint:
        return self.counts.add(call.side, EARLY, 1)

    def rings_no_more(self, call: CallRecord) -> cython.bint:
        return self.counts.add(call.side, EARLY, -1) if call.state == RINGING else True

    def goes_on(self, call: CallRecord) -> cython.bint:
        """It is set up anew."""
        self.rings_no_more(call)
        if call.state == OVER:
            self.counts.add(call.side, RESUMED, 1)
            self.counts.add(call.side, SETUP, 1)
        return True

    def shows(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """The caller hears of it: of each INVITE once."""
        if call.shown:
            return True
        call.shown = True
        return self.request_delay.observe(call.side << 1 | 1, now_ns - call.asked_ns)

    def refused(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """With its status."""
        if call.shown or call.status in NO_FAILURE:
            return True
        return self.request_delay.observe(call.side << 1, now_ns - call.asked_ns)

    def answered(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        side: cython.int = call.side
        self.shows(call, now_ns)
        self.answer_time.observe(side, now_ns - call.begun_ns)
        self.rings_no_more(call)
        if call.state == OVER:
            self.counts.add(side, RESUMED, 1)
        else:
            self.counts.add(side, SETUP, -1)
        self.counts.add(side, ANSWERS_, 1)
        return self.counts.add(side, ACTIVE, 1)

    def settled(self, call: CallRecord) -> cython.bint:
        """It has come to nothing."""
        side: cython.int = call.side
        cause: cython.int = call.cause
        self.rings_no_more(call)
        self.counts.add(side, SETUP, -1)
        if call.status == CANCELLED_STATUS or (not call.status and call.cancelled):
            cause = cause or call.cancel_cause
            if cause:
                self.causes.add(side, ("cancelled", cause))
            return self.counts.add(side, CANCELLED, 1)
        if not call.status:
            return self.counts.add(side, ABANDONED, 1)
        if cause:
            self.causes.add(side, ("failed", cause))
        self.failed.add(side, call.status)
        return True

    def ended(self, call: CallRecord) -> cython.bint:
        """With its BYE; or nobody knows when."""
        side: cython.int = call.side
        self.counts.add(side, ACTIVE, -1)
        if call.ending != UNSEEN:
            self.duration.observe(side, call.bye_ns - call.answered_ns)
        if call.cause:
            self.causes.add(side, ("ended", call.cause))
        return self.counts.add(side, call.ending, 1)

    def evicted(self, call: CallRecord) -> cython.bint:
        self.rings_no_more(call)
        if call.state <= PENDING:
            self.counts.add(call.side, SETUP, -1)
            return self.counts.add(call.side, EVICTED_SETUP, 1)
        if call.state == ANSWERED:
            self.counts.add(call.side, ACTIVE, -1)
            return self.counts.add(call.side, EVICTED_ACTIVE, 1)
        return True
