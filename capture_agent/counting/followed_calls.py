"""Calls: attempts, and what becomes of each. Hot: compiled with followed_calls.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterator
from enum import IntEnum

import cython

from capture_agent.counting.call_record import CallRecord
from capture_agent.counting.causes import cause_of
from capture_agent.counting.due_times import Deadlines
from capture_agent.counting.durations import ANSWERS, DELAYS, DURATIONS, Durations
from capture_agent.counting.ids import branch_of, call_of, depth_of, from_tag_of, to_tag_of
from capture_agent.counting.said_counts import SaidCounts, grown
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.message import SipMessage
from capture_agent.sip.methods import Method

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.counting.call_record import ANSWERED, ENDED, OPEN, OVER, PENDING, RINGING

SECOND = 1_000_000_000
# 64*T1 (RFC 3261 17): so long a caller waits for a first response, and what has ended may come again. The caller and a
# proxy may take turns.
SETTLED_NS = cython.declare(cython.longlong, 32 * SECOND)
CALLING_NS = cython.declare(cython.longlong, 64 * SECOND)
# A callee repeats what it says each minute (13.3.1.1), a proxy gives up after timer C: more than 3 minutes (16.6).
RINGING_NS = cython.declare(cython.longlong, 240 * SECOND)

LIMIT = 100_000
IDLE_SECONDS = 14_400

# After these a caller tries again, under the same Call-ID: it was redirected, challenged, or asked for something else
# (RFC 3261 8.1.3.4, 8.1.3.5; 421: 21.4.16; 422: RFC 4028; 428, 436-438: RFC 8224; 484: RFC 3578; 494: RFC 3329).
RETRIED = frozenset((*range(300, 400), 401, 407, 413, 415, 416, 420, 421, 422, 428, 436, 437, 438, 484, 494))
# These are no failure whose delay counts (RFC 6076 4.3.2).
NO_FAILURE = frozenset((*range(300, 400), 401, 402, 407))
CANCELLED_STATUS = cython.declare(cython.int, 487)
OTHER_STATUS = 0
NO_BRANCHES: list[int] = []  # of all that are answered

INVITE = cython.declare(cython.int, Method.INVITE)
ACK = cython.declare(cython.int, Method.ACK)
CANCEL = cython.declare(cython.int, Method.CANCEL)
BYE = cython.declare(cython.int, Method.BYE)


class Count(IntEnum):
    """What is counted for each side; the last four are how many there are now."""

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


COUNTS = cython.declare(cython.int, 16)  # room for each side
ATTEMPTS = cython.declare(cython.int, Count.ATTEMPTS)
ANSWERS_ = cython.declare(cython.int, Count.ANSWERED)
CANCELLED = cython.declare(cython.int, Count.CANCELLED)
ABANDONED = cython.declare(cython.int, Count.ABANDONED)
RESUMED = cython.declare(cython.int, Count.RESUMED)
BY_BYE = cython.declare(cython.int, Count.ENDED)
UNANSWERED = cython.declare(cython.int, Count.UNANSWERED)
UNSEEN = cython.declare(cython.int, Count.UNSEEN)
EVICTED_SETUP = cython.declare(cython.int, Count.EVICTED_SETUP)
EVICTED_ACTIVE = cython.declare(cython.int, Count.EVICTED_ACTIVE)
SETUP = cython.declare(cython.int, Count.SETUP)
EARLY = cython.declare(cython.int, Count.EARLY)
ACTIVE = cython.declare(cython.int, Count.ACTIVE)


@cython.final
@cython.cclass
class Calls:
    """Follows calls from their first INVITE; counting/__init__.py has the states.

    Bounded: `limit` calls. When it is full, the oldest goes of those in progress or of the answered ones, whichever are
    more: a flood of INVITEs evicts itself.

    failed  by side and status; causes: by side, and outcome and Q.850 cause
    request_delay  by twice the side, and one more if it led to 18x or 2xx; disconnect_delay and the others by side
    """

    __slots__ = (
        "_active", "_calls", "_counts", "_deadlines", "_from", "_idle_ns", "_passing", "answer_time", "begun", "causes",
        "disconnect_delay", "duration", "evicted", "failed", "limit", "over", "request_delay",
    )  # fmt: skip

    def __init__(self, limit: int = LIMIT, idle_seconds: int = IDLE_SECONDS) -> None:
        self.limit = limit
        self.begun = self.over = self.evicted = 0
        self.request_delay = Durations(DELAYS)
        self.answer_time = Durations(ANSWERS)
        self.duration = Durations(DURATIONS)
        self.disconnect_delay = Durations(DELAYS)
        self.failed: SaidCounts[int] = SaidCounts(OTHER_STATUS)
        self.causes: SaidCounts[tuple[str, int]] = SaidCounts(("other", 0))
        self._idle_ns = idle_seconds * SECOND
        self._from = 0  # the tag in From of the current message
        # Ordered, so that the first one is found at once. Those not answered yet, or over:
        self._passing: OrderedDict[int, CallRecord] = OrderedDict()
        self._active: OrderedDict[int, CallRecord] = OrderedDict()
        self._calls: dict[int, CallRecord] = {}  # both of them
        self._deadlines = Deadlines()
        self._counts = array("q")

    @property
    def held(self) -> int:
        return len(self._calls)

    def counted(self, which: int) -> Iterator[tuple[int, int]]:
        """By side, one of Count."""
        counts = self._counts
        for side in range(len(counts) // COUNTS):
            yield side, counts[side * COUNTS + which]

    def pass_time(self, now_ns: cython.longlong) -> None:
        """What is due by now is over."""
        call: CallRecord
        for one in self._deadlines.over(now_ns):
            call = cython.cast(CallRecord, one)
            self._expire(call, now_ns)

    def close(self, now_ns: int) -> None:
        """The capture has ended: what is known of each call by now is what became of it."""
        call: CallRecord
        for one in self._deadlines.all():
            call = cython.cast(CallRecord, one)
            self._decide(call, now_ns)
            if call.state == ANSWERED:
                self._give_up(call, now_ns)
            if call.state == ANSWERED:  # a BYE was for nobody
                self._end(call, now_ns)
            self._remove(call)

    def request(
        self, message: CapturedMessage, side: cython.int, kind: cython.int, now_ns: cython.longlong
    ) -> cython.bint:
        sip: SipMessage = message.sip
        self._from = from_tag_of(message)
        if kind == INVITE and not to_tag_of(sip):
            return self._invited(sip, side, now_ns)
        if kind == BYE:
            return self._hung_up(sip, now_ns)
        if kind == CANCEL:
            return self._cancelled(sip, now_ns)
        if kind == ACK:
            return True
        return self._touched(sip, now_ns)

    def response(self, message: CapturedMessage, kind: cython.int, now_ns: cython.longlong) -> cython.bint:
        self._from = from_tag_of(message)
        if kind == INVITE:
            return self._invite_response(message.sip, now_ns)
        return self._bye_response(message.sip, now_ns) if kind == BYE else True

    def _find(self, sip: SipMessage) -> CallRecord | None:
        if sip.call_id_start < 0:
            return None
        return self._calls.get(call_of(sip))

    def _invited(self, sip: SipMessage, side: cython.int, now_ns: cython.longlong) -> cython.bint:
        """An INVITE without To tag: a call begins, is tried again, or is seen on another hop."""
        call: CallRecord | None = self._find(sip)
        if sip.call_id_start < 0 or sip.cseq < 0:
            return True
        tag: cython.ulonglong = self._from
        if call is None:
            return self._begin(sip, tag, side, now_ns)
        if call.bye_branch and (tag != call.tag or sip.cseq > call.cseq):
            self._give_up(call, now_ns)  # the next call
        if tag != call.tag:
            if call.state == PENDING:
                call.tag = tag
                return self._ask_again(call, sip, now_ns)
            if call.state == OVER or call.state == ENDED:
                self._remove(call)
                return self._begin(sip, tag, side, now_ns)
            return True  # the other leg of a server that keeps the Call-ID
        if sip.cseq > call.cseq:
            if call.state == ENDED:
                self._remove(call)
                return self._begin(sip, tag, side, now_ns)
            return True if call.state == ANSWERED else self._ask_again(call, sip, now_ns)
        if sip.cseq < call.cseq or call.state == ANSWERED or call.state == ENDED:
            return True
        if call.state == PENDING and call.status in (401, 407) and depth_of(sip) <= call.depth:
            return self._ask_again(call, sip, now_ns)  # of a caller that does not count on
        if call.add_branch(depth_of(sip), branch_of(sip)) and call.state in (PENDING, OVER):
            self._resume(call, now_ns)  # the next target
        return True

    def _begin(self, sip: SipMessage, tag: cython.ulonglong, side: cython.int, now_ns: cython.longlong) -> cython.bint:
        self._make_room()
        call: CallRecord = CallRecord(call_of(sip), tag, side, now_ns)
        call.ask(sip.cseq, depth_of(sip), branch_of(sip), now_ns)
        self._passing[call.key] = self._calls[call.key] = call
        self._deadlines.add(call, now_ns + CALLING_NS)
        self.begun += 1
        self._add(side, ATTEMPTS, 1)
        return self._add(side, SETUP, 1)

    def _ask_again(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """With credentials, to where it was redirected, or with what was asked for."""
        if call.state == RINGING:
            self._add(call.side, EARLY, -1)
        elif call.state == OVER:
            self._add(call.side, RESUMED, 1)
            self._add(call.side, SETUP, 1)
        call.ask(sip.cseq, depth_of(sip), branch_of(sip), now_ns)
        self._deadlines.move(call, now_ns + CALLING_NS)
        return True

    def _resume(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        if call.state == OVER:
            self._add(call.side, RESUMED, 1)
            self._add(call.side, SETUP, 1)
        if call.status in RETRIED:  # this is what it led to
            call.status = call.cause = 0
        call.state = OPEN
        self._deadlines.move(call, now_ns + CALLING_NS)
        return True

    def _cancelled(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """By the caller: proxies cancel farther branches."""
        call: CallRecord | None = self._find(sip)
        if call is None or call.state > RINGING or sip.cseq != call.cseq or self._from != call.tag:
            return True
        if branch_of(sip) in call.branches:
            call.cancelled = True
            call.cancel_cause = cause_of(sip)
            self._deadlines.move(call, now_ns + CALLING_NS)
        return True

    def _hung_up(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self._find(sip)
        tag: cython.ulonglong = to_tag_of(sip)
        if call is None or (self._from != call.tag and tag != call.tag):
            return True
        if call.state <= RINGING and call.accepted_ns:
            self._answer(call, call.accepted_ns)
        if call.state != ANSWERED:
            return True
        by_caller: cython.bint = self._from == call.tag
        leg: cython.ulonglong = tag if by_caller else self._from
        if call.waits_for(leg, by_caller):
            return True  # on another hop
        if call.add_bye(leg, by_caller, branch_of(sip), now_ns):
            call.ending = UNANSWERED
        call.cause = cause_of(sip) or call.cause
        self._deadlines.move(call, now_ns + SETTLED_NS)
        return True

    def _touched(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """A request inside the call: it goes on."""
        call: CallRecord | None = self._find(sip)
        if call is not None and call.state == ANSWERED and not call.bye_branch:
            self._deadlines.move(call, now_ns + self._idle_ns)
        return True

    def _invite_response(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self._find(sip)
        if call is None or sip.cseq != call.cseq or sip.status < 100 or self._from != call.tag:
            return True
        if sip.status < 200:
            return self._provisional(call, sip, now_ns)
        return self._success(call, sip, now_ns) if sip.status < 300 else self._failure(call, sip, now_ns)

    def _provisional(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state > RINGING or branch_of(sip) not in call.branches:
            return True
        self._deadlines.move(call, now_ns + RINGING_NS)
        if sip.status == 100 or sip.status == 199:  # of the next hop; of a branch that has failed (RFC 6228)
            return True
        if call.state == OPEN:
            call.state = RINGING
            self._add(call.side, EARLY, 1)
        if not call.shown:
            call.shown = True
            self.request_delay.observe(call.side << 1 | 1, now_ns - call.asked_ns)
        return True

    def _success(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state == ENDED:
            return True
        call.add_leg(to_tag_of(sip))
        if call.state == ANSWERED:
            return True
        if branch_of(sip) in call.branches or (call.state > RINGING and depth_of(sip) <= call.depth):
            return self._answer(call, now_ns)
        if not call.accepted_ns:  # the nearest hop will have it next
            call.accepted_ns = now_ns
            self._deadlines.move(call, now_ns + SETTLED_NS)
        return True

    def _failure(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state > RINGING or not call.fail(branch_of(sip), sip.status, cause_of(sip)):
            return True
        if not call.shown and call.status not in NO_FAILURE:
            self.request_delay.observe(call.side << 1, now_ns - call.asked_ns)
        if call.status not in RETRIED:
            return self._settle(call, now_ns)
        if call.state == RINGING:
            self._add(call.side, EARLY, -1)
        call.state = PENDING
        self._deadlines.move(call, now_ns + SETTLED_NS)
        return True

    def _bye_response(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self._find(sip)
        status: cython.int = sip.status
        if call is None or call.state != ANSWERED or status < 200 or not call.bye_branch:
            return True
        by_caller: cython.bint = self._from == call.tag
        leg: cython.ulonglong = to_tag_of(sip) if by_caller else self._from
        refused: cython.bint = status in (401, 407)
        sent_ns: cython.longlong = call.take_bye(branch_of(sip))
        if sent_ns < 0:
            if not refused and call.waits_for(leg, by_caller):
                call.ending = BY_BYE  # on a farther hop: the nearest will have it next
            return True
        if not refused and call.end_leg(leg):
            if status < 300:
                self.disconnect_delay.observe(call.side, now_ns - sent_ns)
            call.ending = BY_BYE
            return self._end(call, now_ns)
        return True if call.bye_branch else self._go_on(call, now_ns)

    def _go_on(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """No BYE has ended it."""
        call.ending = UNSEEN
        call.cause = 0
        self._deadlines.move(call, now_ns + self._idle_ns)
        return True

    def _give_up(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """Nothing comes for it any more: it has ended, unless its BYEs were for others."""
        if call.bye_branch and not call.end_unanswered():
            return self._go_on(call, now_ns)
        return self._end(call, now_ns)

    def _answer(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        side: cython.int = call.side
        if not call.shown:
            call.shown = True
            self.request_delay.observe(side << 1 | 1, now_ns - call.asked_ns)
        self.answer_time.observe(side, now_ns - call.begun_ns)
        if call.state == RINGING:
            self._add(side, EARLY, -1)
        if call.state == OVER:
            self._add(side, RESUMED, 1)
        else:
            self._add(side, SETUP, -1)
        call.state = ANSWERED
        call.answered_ns = now_ns
        call.ending = UNSEEN
        call.branches = NO_BRANCHES
        call.cause = 0
        self._add(side, ANSWERS_, 1)
        self._add(side, ACTIVE, 1)
        self._passing.pop(call.key, None)
        self._active[call.key] = call
        self._deadlines.move(call, now_ns + self._idle_ns)
        return True

    def _settle(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """It has come to nothing, as far as is known by now."""
        side: cython.int = call.side
        if call.state == RINGING:
            self._add(side, EARLY, -1)
        self._add(side, SETUP, -1)
        call.state = OVER
        if call.status == CANCELLED_STATUS or (not call.status and call.cancelled):
            self._add(side, CANCELLED, 1)
            if call.cause or call.cancel_cause:
                self.causes.add(side, ("cancelled", call.cause or call.cancel_cause))
        elif call.status:
            self.failed.add(side, call.status)
            if call.cause:
                self.causes.add(side, ("failed", call.cause))
        else:
            self._add(side, ABANDONED, 1)
        self._deadlines.move(call, now_ns + SETTLED_NS)
        return True

    def _end(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """With its BYE; or nobody knows when."""
        side: cython.int = call.side
        self._add(side, ACTIVE, -1)
        self._add(side, call.ending, 1)
        if call.ending != UNSEEN:
            self.duration.observe(side, call.bye_ns - call.answered_ns)
        if call.cause:
            self.causes.add(side, ("ended", call.cause))
        call.state = ENDED
        self._active.pop(call.key, None)
        self._passing[call.key] = call
        self._deadlines.move(call, now_ns + SETTLED_NS)
        return True

    def _decide(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """Its time to be answered is over."""
        if call.state <= RINGING and call.accepted_ns:
            return self._answer(call, call.accepted_ns)
        return self._settle(call, now_ns) if call.state <= PENDING else True

    def _expire(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        if call.state <= PENDING:
            return self._decide(call, now_ns)
        return self._give_up(call, now_ns) if call.state == ANSWERED else self._remove(call)

    def _remove(self, call: CallRecord) -> cython.bint:
        (self._active if call.state == ANSWERED else self._passing).pop(call.key, None)
        self._calls.pop(call.key, None)
        self._deadlines.remove(call)
        self.over += 1
        return True

    def _make_room(self) -> cython.bint:
        """The oldest goes, of those that are more."""
        call: CallRecord
        if len(self._calls) < self.limit:
            return True
        fuller = self._passing if len(self._passing) >= len(self._active) else self._active
        _, call = fuller.popitem(last=False)
        del self._calls[call.key]
        if call.state == RINGING:
            self._add(call.side, EARLY, -1)
        if call.state <= PENDING:
            self._add(call.side, SETUP, -1)
            self._add(call.side, EVICTED_SETUP, 1)
        elif call.state == ANSWERED:
            self._add(call.side, ACTIVE, -1)
            self._add(call.side, EVICTED_ACTIVE, 1)
        self._deadlines.remove(call)
        self.evicted += 1
        return True

    def _add(self, side: cython.int, which: cython.int, number: cython.int) -> cython.bint:
        place: cython.Py_ssize_t = side * COUNTS + which
        if place >= len(self._counts):
            self._counts = grown("q", self._counts, (side + 1) * COUNTS, 0)
        if cython.compiled:  # there is room for it now
            self._counts.data.as_longlongs[place] += number
        else:
            self._counts[place] += number
        return True
