"""REGISTER and OPTIONS, from the request to its final response. Hot: compiled with exchanges.pxd, or plain Python."""

from __future__ import annotations

from enum import IntEnum

import cython

from capture_agent.counting.bindings import Bindings
from capture_agent.counting.due_times import Deadlines, Timed
from capture_agent.counting.durations import ROUND_TRIPS, Durations
from capture_agent.counting.ids import branch_of, call_of, from_tag_of
from capture_agent.counting.ordered_table import OrderedTable
from capture_agent.counting.said_counts import SaidCounts
from capture_agent.counting.side_counts import SideCounts
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.contacts import aor_of, asked_seconds, granted_seconds
from capture_agent.sip.message import SipMessage
from capture_agent.sip.timer_values import TRANSACTION_NS

if not cython.compiled:
    ASKED = 0
    REFUSED = 1  # in a way that makes the client try again
    DONE = 2  # accepted, refused or given up

SETTLED_NS = cython.declare(cython.longlong, TRANSACTION_NS)
LIMIT = 65_536
# Challenged (RFC 3261 22), redirected (8.1.3.4), or the wanted time was too brief (10.2.8).
RETRIED = frozenset((*range(300, 400), 401, 407, 420, 421, 423, 494))
OTHER_STATUS = 0


class ExchangeCount(IntEnum):
    """What is counted for each side; PINGS are OPTIONS."""

    ATTEMPTS = 0
    ACCEPTED = 1
    UNANSWERED = 2
    PINGS = 3
    UNANSWERED_PINGS = 4


ATTEMPTS = cython.declare(cython.int, ExchangeCount.ATTEMPTS)
ACCEPTED = cython.declare(cython.int, ExchangeCount.ACCEPTED)
UNANSWERED = cython.declare(cython.int, ExchangeCount.UNANSWERED)
PINGS = cython.declare(cython.int, ExchangeCount.PINGS)
UNANSWERED_PINGS = cython.declare(cython.int, ExchangeCount.UNANSWERED_PINGS)


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Exchange(Timed):
    """A request and its response, on the hop where it was seen first. A REGISTER that is tried again goes on with it.

    seconds  how long the binding is to last
    """

    __slots__ = ("asked_ns", "branch", "cseq", "registers", "seconds", "side", "state", "status")

    def begin(self, key: cython.ulonglong, side: cython.int, registers: cython.bint) -> cython.bint:
        self.start(key)
        self.side = side
        self.registers = registers
        self.cseq = 0
        self.state = ASKED
        self.status = 0
        self.branch = 0
        self.asked_ns = 0
        self.seconds = 0
        return True


@cython.final
@cython.cclass
class Exchanges:
    """Bounded: `limit` of them, the oldest is evicted.

    A client sends all of its REGISTERs with one Call-ID (RFC 3261 10.2.4): each is a new attempt, but for one that
    answers a challenge.

    Counts are by side: attempts = accepted + refused + unanswered + those that wait + evicted; pings = answered (the
    count of round_trip) + unanswered_pings + those that wait + evicted.
    """

    __slots__ = (
        "_deadlines", "_waiting", "begun", "bindings", "counts", "evicted", "limit", "over", "refused",
        "registration_delay", "round_trip",
    )  # fmt: skip

    def __init__(self, limit: int = LIMIT, bindings: Bindings | None = None) -> None:
        self.limit = limit
        self.begun = self.over = self.evicted = 0
        self.registration_delay = Durations(ROUND_TRIPS)
        self.round_trip = Durations(ROUND_TRIPS)
        self.counts = SideCounts(len(ExchangeCount))
        self.refused: SaidCounts[int] = SaidCounts(OTHER_STATUS)
        self.bindings = bindings or Bindings()
        self._waiting = OrderedTable()
        self._deadlines = Deadlines()

    @property
    def held(self) -> int:
        return self._waiting.count

    def request(
        self, message: CapturedMessage, side: cython.int, registers: cython.bint, now_ns: cython.longlong
    ) -> cython.bint:
        sip: SipMessage = message.sip
        if sip.call_id_start < 0 or sip.cseq < 0:
            return True
        branch: cython.ulonglong = branch_of(sip)
        key: cython.ulonglong = self._key(message, registers)
        one: Exchange | None = self._find(key)
        if one is not None:
            # On another hop; or late. After the answer, it is another request of a client that does not count on.
            if sip.cseq < one.cseq or (sip.cseq == one.cseq and (one.state == ASKED or branch == one.branch)):
                return True
            if one.state != REFUSED:
                self._finish(one)
                one = None
        if one is None:
            one = self._begin(key, side, registers, now_ns)
        one.state = ASKED
        one.status = 0
        one.cseq = sip.cseq
        one.branch = branch
        one.asked_ns = now_ns
        one.seconds = asked_seconds(sip) if registers else 0
        self._deadlines.move(one, now_ns + SETTLED_NS)
        return True

    def response(self, message: CapturedMessage, registers: cython.bint, now_ns: cython.longlong) -> cython.bint:
        sip: SipMessage = message.sip
        status: cython.int = sip.status
        if status < 200 or sip.call_id_start < 0:
            return True
        one: Exchange | None = self._find(self._key(message, registers))
        if one is None or one.state != ASKED or sip.cseq != one.cseq or branch_of(sip) != one.branch:
            return True
        one.status = status
        self._deadlines.move(one, now_ns + SETTLED_NS)
        if not registers:
            one.state = DONE
            return self.round_trip.observe(one.side, now_ns - one.asked_ns)
        if status < 300:
            return self._registered(one, sip, now_ns)
        one.state = REFUSED
        if status not in RETRIED:
            self._count_failure(one)
        return True

    def pass_time(self, now_ns: cython.longlong) -> None:
        """What is due by now is over."""
        for one in self._deadlines.over(now_ns):
            self._finish(cython.cast(Exchange, one))
        self.bindings.pass_time(now_ns)

    def close(self) -> None:
        """The capture has ended."""
        for one in self._deadlines.all():
            self._finish(cython.cast(Exchange, one))
        self.bindings.close()

    def _key(self, message: CapturedMessage, registers: cython.bint) -> cython.ulonglong:
        """REGISTER by Call-ID: its CSeq counts on. OPTIONS by Call-ID, CSeq, From tag: in a dialog, both sides ask."""
        sip: SipMessage = message.sip
        if registers:
            return call_of(sip, 1)
        number: cython.ulonglong = sip.cseq
        return call_of(sip, number << 1 ^ from_tag_of(message))

    def _find(self, key: cython.ulonglong) -> Exchange | None:
        found = self._waiting.find(key)
        return None if found is None else cython.cast(Exchange, found)

    def _registered(self, one: Exchange, sip: SipMessage, now_ns: cython.longlong) -> cython.bint:
        one.state = DONE
        self.counts.add(one.side, ACCEPTED, 1)
        self.registration_delay.observe(one.side, now_ns - one.asked_ns)
        self.bindings.put(aor_of(sip), one.side, granted_seconds(sip, one.seconds), now_ns)
        return True

    def _count_failure(self, one: Exchange) -> cython.bint:
        """Of one that nobody has accepted or answered."""
        if one.state == REFUSED:
            self.refused.add(one.side, one.status)
        elif one.state == ASKED:
            self.counts.add(one.side, UNANSWERED if one.registers else UNANSWERED_PINGS, 1)
        one.state = DONE
        return True

    def _finish(self, one: Exchange) -> cython.bint:
        self._count_failure(one)
        self._waiting.remove(one)
        self._deadlines.remove(one)
        self.over += 1
        return True

    def _begin(
        self, key: cython.ulonglong, side: cython.int, registers: cython.bint, now_ns: cython.longlong
    ) -> Exchange:
        if self._waiting.count >= self.limit:
            oldest = self._waiting.first(0)
            self._waiting.remove(oldest)
            self._deadlines.remove(oldest)
            self.evicted += 1
        one: Exchange = Exchange.__new__(Exchange)
        one.begin(key, side, registers)
        self._waiting.add(one, 0)
        self._deadlines.add(one, now_ns + SETTLED_NS)
        self.begun += 1
        self.counts.add(side, ATTEMPTS if registers else PINGS, 1)
        return one
