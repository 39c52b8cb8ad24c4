"""Calls: attempts, and what becomes of each. Hot: compiled with followed_calls.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.counting.call_counts import CallCounts, Count
from capture_agent.counting.call_record import CallRecord
from capture_agent.counting.call_table import LIMIT, CallTable
from capture_agent.counting.causes import cause_of
from capture_agent.counting.ids import branch_of, call_of, depth_of, from_tag_of, to_tag_of
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.message import SipMessage
from capture_agent.sip.methods import Method
from capture_agent.sip.timer_values import TRANSACTION_NS

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.counting.call_record import ANSWERED, ENDED, OPEN, OVER, PENDING, RINGING

SECOND = 1_000_000_000
# So long a caller waits for a first response, and what has ended may come again. The caller and a proxy may take turns.
SETTLED_NS = cython.declare(cython.longlong, TRANSACTION_NS)
CALLING_NS = cython.declare(cython.longlong, 2 * TRANSACTION_NS)
# A callee repeats what it says each minute (13.3.1.1), a proxy gives up after timer C: more than 3 minutes (16.6).
RINGING_NS = cython.declare(cython.longlong, 240 * SECOND)

IDLE_SECONDS = 14_400

# After these a caller tries again, under the same Call-ID: it was redirected, challenged, or asked for something else
# (RFC 3261 8.1.3.4, 8.1.3.5; 421: 21.4.16; 422: RFC 4028; 428, 436-438: RFC 8224; 484: RFC 3578; 494: RFC 3329).
RETRIED = frozenset((*range(300, 400), 401, 407, 413, 415, 416, 420, 421, 422, 428, 436, 437, 438, 484, 494))

BY_BYE = cython.declare(cython.int, Count.ENDED)
UNANSWERED = cython.declare(cython.int, Count.UNANSWERED)
UNSEEN = cython.declare(cython.int, Count.UNSEEN)
INVITE = cython.declare(cython.int, Method.INVITE)
ACK = cython.declare(cython.int, Method.ACK)
CANCEL = cython.declare(cython.int, Method.CANCEL)
BYE = cython.declare(cython.int, Method.BYE)


@cython.final
@cython.cclass
class Calls:
    """Follows calls from their first INVITE; counting/__init__.py has the states."""

    __slots__ = ("_from", "_idle_ns", "counts", "table")

    def __init__(self, limit: int = LIMIT, idle_seconds: int = IDLE_SECONDS) -> None:
        self.counts = CallCounts()
        self.table = CallTable(self.counts, limit)
        self._idle_ns = idle_seconds * SECOND
        self._from = 0  # the tag in From of the current message

    def pass_time(self, now_ns: cython.longlong) -> None:
        """What is due by now is over."""
        call: CallRecord
        for one in self.table.past(now_ns):
            call = cython.cast(CallRecord, one)
            self._expire(call, now_ns)

    def close(self, now_ns: int) -> None:
        """The capture has ended: what is known of each call by now is what became of it."""
        call: CallRecord
        for one in self.table.all():
            call = cython.cast(CallRecord, one)
            self._decide(call, now_ns)
            if call.state == ANSWERED:
                self._give_up(call, now_ns)
            if call.state == ANSWERED:  # a BYE was for nobody
                self._end(call, now_ns)
            self.table.remove(call)

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

    def _invited(self, sip: SipMessage, side: cython.int, now_ns: cython.longlong) -> cython.bint:
        """An INVITE without To tag: a call begins, is tried again, or is seen on another hop."""
        call: CallRecord | None = self.table.find(sip)
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
                self.table.remove(call)
                return self._begin(sip, tag, side, now_ns)
            return True  # the other leg of a server that keeps the Call-ID
        if sip.cseq > call.cseq:
            if call.state == ENDED:
                self.table.remove(call)
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
        call: CallRecord = CallRecord.__new__(CallRecord)
        call.begin(call_of(sip, 0), tag, side, now_ns)
        call.ask(sip.cseq, depth_of(sip), branch_of(sip), now_ns)
        self.table.add(call, now_ns + CALLING_NS)
        return self.counts.began(call)

    def _ask_again(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """With credentials, to where it was redirected, or with what was asked for."""
        self.counts.goes_on(call)
        call.ask(sip.cseq, depth_of(sip), branch_of(sip), now_ns)
        return self.table.due(call, now_ns + CALLING_NS)

    def _resume(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        self.counts.goes_on(call)
        if call.status in RETRIED:  # this is what it led to
            call.status = call.cause = 0
        call.state = OPEN
        return self.table.due(call, now_ns + CALLING_NS)

    def _cancelled(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """By the caller: proxies cancel farther branches."""
        call: CallRecord | None = self.table.find(sip)
        if call is None or call.state > RINGING or sip.cseq != call.cseq or self._from != call.tag:
            return True
        if call.has_branch(branch_of(sip)):
            call.cancelled = True
            call.cancel_cause = cause_of(sip)
            self.table.due(call, now_ns + CALLING_NS)
        return True

    def _hung_up(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self.table.find(sip)
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
        return self.table.due(call, now_ns + SETTLED_NS)

    def _touched(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        """A request inside the call: it goes on."""
        call: CallRecord | None = self.table.find(sip)
        if call is not None and call.state == ANSWERED and not call.bye_branch:
            self.table.due(call, now_ns + self._idle_ns)
        return True

    def _invite_response(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self.table.find(sip)
        if call is None or sip.cseq != call.cseq or sip.status < 100 or self._from != call.tag:
            return True
        if sip.status < 200:
            return self._provisional(call, sip, now_ns)
        return self._success(call, sip, now_ns) if sip.status < 300 else self._failure(call, sip, now_ns)

    def _provisional(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state > RINGING or not call.has_branch(branch_of(sip)):
            return True
        self.table.due(call, now_ns + RINGING_NS)
        if sip.status == 100 or sip.status == 199:  # of the next hop; of a branch that has failed (RFC 6228)
            return True
        if call.state == OPEN:
            self.counts.rings(call)
            call.state = RINGING
        return self.counts.shows(call, now_ns)

    def _success(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state == ENDED:
            return True
        call.add_leg(to_tag_of(sip))
        if call.state == ANSWERED:
            return True
        if call.has_branch(branch_of(sip)) or (call.state > RINGING and depth_of(sip) <= call.depth):
            return self._answer(call, now_ns)
        if not call.accepted_ns:  # the nearest hop will have it next
            call.accepted_ns = now_ns
            self.table.due(call, now_ns + SETTLED_NS)
        return True

    def _failure(self, call: CallRecord, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        if call.state > RINGING or not call.fail(branch_of(sip), sip.status, cause_of(sip)):
            return True
        self.counts.refused(call, now_ns)
        if call.status not in RETRIED:
            return self._settle(call, now_ns)
        self.counts.rings_no_more(call)
        call.state = PENDING
        return self.table.due(call, now_ns + SETTLED_NS)

    def _bye_response(self, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        call: CallRecord | None = self.table.find(sip)
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
                self.counts.disconnect_delay.observe(call.side, now_ns - sent_ns)
            call.ending = BY_BYE
            return self._end(call, now_ns)
        return True if call.bye_branch else self._go_on(call, now_ns)

    def _go_on(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """No BYE has ended it."""
        call.ending = UNSEEN
        call.cause = 0
        return self.table.due(call, now_ns + self._idle_ns)

    def _give_up(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """Nothing comes for it any more: it has ended, unless its BYEs were for others."""
        if call.bye_branch and not call.end_unanswered():
            return self._go_on(call, now_ns)
        return self._end(call, now_ns)

    def _answer(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        self.counts.answered(call, now_ns)
        call.state = ANSWERED
        call.answered_ns = now_ns
        call.ending = UNSEEN
        call.close_branches()
        call.cause = 0
        self.table.activate(call, True)
        return self.table.due(call, now_ns + self._idle_ns)

    def _settle(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """It has come to nothing, as far as is known by now."""
        self.counts.settled(call)
        call.state = OVER
        return self.table.due(call, now_ns + SETTLED_NS)

    def _end(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        self.counts.ended(call)
        call.state = ENDED
        self.table.activate(call, False)
        return self.table.due(call, now_ns + SETTLED_NS)

    def _decide(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        """Its time to be answered is over."""
        if call.state <= RINGING and call.accepted_ns:
            return self._answer(call, call.accepted_ns)
        return self._settle(call, now_ns) if call.state <= PENDING else True

    def _expire(self, call: CallRecord, now_ns: cython.longlong) -> cython.bint:
        if call.state <= PENDING:
            return self._decide(call, now_ns)
        return self._give_up(call, now_ns) if call.state == ANSWERED else self.table.remove(call)
