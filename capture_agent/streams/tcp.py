"""One direction of a TCP connection: how it starts and ends (RFC 9293). Hot: compiled with tcp.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.framing import is_torn, start_line
from capture_agent.streams.layers import MakeLayers
from capture_agent.streams.outlet import Emitter, Outlet
from capture_agent.streams.pieces import Piece
from capture_agent.streams.reassembly import Reassembly
from capture_agent.streams.rivals import Contest, Parked, Rival

FIN = cython.declare(cython.int, 0x01)
SYN = cython.declare(cython.int, 0x02)
RST = cython.declare(cython.int, 0x04)

YES = cython.declare(cython.int, limits.YES)
WINDOW = cython.declare(cython.longlong, limits.WINDOW)
LIKELY = cython.declare(cython.longlong, limits.LIKELY)
PATIENCE_NS = cython.declare(cython.longlong, limits.PATIENCE_NS)
OUTSIDE = cython.declare(cython.int, limits.SegmentReject.OUTSIDE)
CLOSED = cython.declare(cython.int, limits.SegmentReject.CLOSED)
OPEN_END = cython.declare(cython.longlong, -1)
HALF = cython.declare(cython.longlong, 0x80000000)  # of the sequence space; numbers of this size are Python's own else
ALL = cython.declare(cython.longlong, 0xFFFFFFFF)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def distance(to: cython.uint, of: cython.uint) -> cython.longlong:
    """How far `to` lies ahead in the sequence space, from -2**31 on (RFC 9293 3.4)."""
    return ((cython.cast(cython.longlong, to) - of + HALF) & ALL) - HALF  # type: ignore[no-any-return]


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Stream:
    """Takes the segments of one direction as they were captured; `order` puts their bytes in order.

    What real ends would ignore (RFC 5961) changes nothing: another connection on the same ports is a rival until a
    second segment has followed its first. The one before it is parked then, and goes on if it is not over.
    """

    __slots__ = (
        "account",
        "contest",
        "emitter",
        "in_line",
        "last_ns",
        "line_ns",
        "make_layers",
        "order",
        "outlet",
        "touched_ns",
    )

    def __init__(self, first: Datagram, emitter: Emitter, make_layers: MakeLayers, now_ns: int) -> None:
        """`first`: a SYN, or a segment with bytes; it has yet to be accepted."""
        joined: cython.bint = not first.flags & SYN
        self.emitter = emitter
        self.outlet: Outlet = emitter.outlet
        self.make_layers = make_layers
        self.contest: Contest | None = None
        self.last_ns = now_ns
        self.order = self._ordered(first.sequence if joined else (first.sequence + 1) & ALL, joined)
        # What Streams keeps here: the bytes it has accounted for, whether and since when the stream is among those that
        # wait, and when it got its place among all.
        self.account = 0
        self.in_line = False
        self.line_ns = 0
        self.touched_ns = now_ns

    def accept(self, segment: Datagram, now_ns: cython.longlong) -> cython.bint:
        """The next segment that was captured of this direction. Messages go to the outlet.

        True: what it keeps may have changed.
        """
        order: Reassembly = self.order
        sequence: cython.uint = segment.sequence
        length: cython.Py_ssize_t = segment.end - segment.start
        self.outlet.carrier = segment
        self.last_ns = order.last_ns = now_ns
        if segment.flags & SYN:
            sequence = (sequence + 1) & ALL
            if not self._synchronise(segment, sequence, length):
                return True
            order = self.order
        if (
            sequence == order.next
            and length
            and not segment.flags & (FIN | RST)
            and not order.held.parts
            and order.joining is None
            and self.contest is None
            and not segment.missing
            and not order.closed
            and order.end_at == OPEN_END
        ):
            order.take(segment.data, segment.start, segment.end)
            return self.account != 0 or order.layer.buffered() != 0
        if self.contest is None or not self._is_rivals(segment, sequence, length):
            self._sort(segment, distance(sequence, self.order.next), length)
        return True

    def buffered(self) -> int:
        size: cython.Py_ssize_t = self.order.buffered()
        if self.contest is not None:
            size += self.contest.buffered()
        return size

    def waits(self) -> cython.bint:
        """Whether it holds something that time alone may bring out."""
        return self.order.waits() or (self.contest is not None and self.contest.waits())

    def _start(self, sequence: cython.uint, joined: cython.bint) -> cython.bint:
        """Another connection than before."""
        order: Reassembly = self._ordered(sequence, joined)
        order.turn = self.order.turn
        self.order = order
        return True

    def _ordered(self, sequence: cython.uint, joined: cython.bint) -> Reassembly:
        """Of a new connection, or of one that was there before the capture."""
        if joined:
            self.outlet.counts.joined += 1
        return Reassembly(self.make_layers(self.emitter, joined), sequence, joined, self.last_ns)

    def _synchronise(self, segment: Datagram, first: cython.uint, length: cython.Py_ssize_t) -> cython.bint:
        """SYN: the first byte of the stream has this sequence number. False: it is a rival's."""
        order: Reassembly = self.order
        before: cython.longlong
        if order.closed:
            self.flush()
            self.outlet.carrier = segment
            return self._start(first, False)
        if first == order.first:
            return True  # the same again
        before = distance(order.first, first)
        if order.joining is not None and 0 <= before < limits.MAX_JOINING_BYTES:
            return True  # it comes late
        self.outlet.counts.unconfirmed += 1
        if length == 0:
            self.outlet.counts.empty += 1
        self._compete(segment, first, True, length)
        return False

    def _compete(
        self, segment: Datagram, first: cython.uint, synchronised: cython.bint, length: cython.Py_ssize_t
    ) -> cython.bint:
        """A segment that real ends would ignore, if no other connection has taken the ports."""
        if self.contest is None:
            self.contest = Contest(self.emitter)
        rival = self.contest.enter(first, synchronised)
        if rival is None:
            if length:
                self.outlet.counts.retransmitted += 1
        elif length:
            self._follow(rival, segment)
        return True

    def _follow(self, rival: Rival, segment: Datagram) -> cython.bint:
        assert self.contest is not None
        if not self.waits():
            self.order.since_ns = self.last_ns
        self.contest.follow(rival, segment, self.last_ns)
        return True

    def _is_rivals(self, segment: Datagram, sequence: cython.uint, length: cython.Py_ssize_t) -> cython.bint:
        """True: a rival has it. If it is the parked connection's, that one is awake again."""
        contest: Contest | None = self.contest
        assert contest is not None
        parked = contest.parked
        if sequence == self.order.next:
            if length and not segment.flags & RST and not self.order.closed:
                contest.confirm(self.order)
        elif parked is not None and sequence == parked.order.next and (length or segment.flags & (FIN | RST)):
            self.order = contest.exchange(self.order)
            contest.confirm(self.order)
        elif length and not segment.flags & (SYN | RST):
            rival = contest.awaiting(sequence)
            if rival is None:
                return False
            self._follow(rival, segment)
            if rival.is_confirmed:
                self._promote(rival)
            return True
        if contest.is_over:
            self.contest = None
        return False

    def _promote(self, rival: Rival) -> cython.bint:
        """The ports are this rival's now. The connection that had them is kept a while, if it was not closed."""
        contest: Contest = self.contest or Contest(self.emitter)
        contest.dismiss(winner=rival)
        contest.release(self.order)
        if self.order.closed:
            self.order.flush()
            self.contest = None
        else:
            contest.parked = Parked(self.order)
            self.contest = contest
        return self._replay(rival)

    def _replay(self, rival: Rival) -> cython.bint:
        self._start(rival.first, not rival.synchronised)
        for segment in rival.segments:
            self.outlet.counts.waiting -= 1
            self.accept(segment, self.last_ns)
        return True

    def flush(self) -> cython.bint:
        """Nothing more will come. A rival that nothing has contradicted counts as a connection."""
        rivals: list[Rival] = []
        if self.contest is not None:
            rivals = self.contest.rivals
            self.contest.release(self.order)
            self.contest = None
        self.order.flush()
        for rival in rivals:
            if rival.segments:
                self._replay(rival)
                self.order.flush()
        return True

    def give_up_waiting(self, now_ns: cython.longlong) -> cython.bint:
        """Skip the gaps that are too old at this time, and believe a rival that this connection has not answered."""
        order: Reassembly = self.order
        piece: Piece
        order.give_up_waiting(now_ns)
        if order.held.parts:
            piece = order.held.parts[0]
            if order.held.is_doubtful(0) and now_ns - piece.since_ns >= PATIENCE_NS:
                self.outlet.counts.waiting += 1 - order.held.take(0).unit
                rival = Rival(piece.segment.sequence, False)
                rival.add(piece.segment, now_ns)
                self._promote(rival)
        elif self.contest is not None:
            awaited = self.contest.awaited_longest(now_ns)
            if awaited is not None:
                self._promote(awaited)
        if now_ns - self.order.since_ns >= PATIENCE_NS:
            self.order.since_ns = now_ns
        return True

    def _sort(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """A segment that is not simply the next one. `ahead`: of the next byte that is awaited."""
        counts = self.outlet.counts
        order: Reassembly = self.order
        if segment.flags & RST:
            return self._reset(ahead, length)
        end_at: cython.longlong = order.position + ahead + length + segment.missing
        if length == 0 and not segment.missing:
            counts.empty += 1
        elif length == 1 and ahead == -1 and order.joining is None:
            counts.empty += 1  # a keep-alive with a byte of garbage (RFC 9293 3.8.4)
        elif order.closed:
            if not self._reopen(segment, ahead, length):
                return True
            order = self.order
            end_at = order.position
        elif not -WINDOW < ahead < WINDOW or (ahead > LIKELY and order.layer.is_foreign()):
            counts.unconfirmed += 1
            if length == 0:
                counts.rejected[OUTSIDE] += 1
            else:
                self._compete(segment, segment.sequence, False, length)
            return True
        else:
            order.place(segment, ahead, length)
        if segment.flags & FIN and not order.closed and 0 <= end_at - order.position < WINDOW:
            order.end(end_at)
        return True

    def _reset(self, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        counts = self.outlet.counts
        order: Reassembly = self.order
        if length:  # RFC 9293 3.10.7: a text with the reason, not a part of the stream
            counts.rejected[CLOSED] += 1
        else:
            counts.empty += 1
        # RFC 5961 3.2: exactly the next byte that is awaited, or the one after bytes that wait.
        if ahead == 0 or (ahead > 0 and order.held.ends_at(order.position + ahead)):
            order.end(order.position + ahead)
        else:
            counts.unconfirmed += 1
        return True

    def _reopen(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """A segment after the end: SIP that starts there is a new connection whose SYN was missed."""
        if ahead > -WINDOW and ahead + length <= 0:
            self.outlet.counts.retransmitted += 1
            return False
        if start_line(segment.data, segment.start, segment.end) != YES or is_torn(segment.data, segment.start):
            self.outlet.counts.rejected[CLOSED] += 1
            return False
        self.flush()
        self.outlet.carrier = segment
        self._start(segment.sequence, True)
        self.order.place(segment, 0, length)
        return True
