"""One direction of a TCP connection: how it starts and ends (RFC 9293). Hot: compiled with tcp.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records import Datagram
from capture_agent.streams import limits
from capture_agent.streams.content import Content
from capture_agent.streams.framing import is_torn, start_line
from capture_agent.streams.joining import Joining
from capture_agent.streams.outlet import Outlet
from capture_agent.streams.pieces import Piece, Pieces
from capture_agent.streams.reassembly import Reassembly

FIN = cython.declare(cython.int, 0x01)
SYN = cython.declare(cython.int, 0x02)
RST = cython.declare(cython.int, 0x04)

YES = cython.declare(cython.int, limits.YES)
WINDOW = cython.declare(cython.longlong, limits.WINDOW)
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
@cython.cclass
class Stream(Reassembly):
    """Takes segments as they were captured."""

    __slots__ = ("account", "first", "in_line", "started", "touched_ns")

    def __init__(self, addresses: bytes, outlet: Outlet) -> None:
        Reassembly.__init__(self, addresses, outlet)
        self.started = False
        self.first = 0  # sequence number of the first byte
        # What Streams notes here: bytes in its account, whether the stream is in the line of those that wait, and when
        # it got its place among all.
        self.account = 0
        self.in_line = False
        self.touched_ns = 0

    def accept(self, segment: Datagram) -> cython.bint:
        """The next segment that was captured of this direction. Messages go to the outlet."""
        sequence: cython.uint = segment.sequence
        length: cython.Py_ssize_t = segment.end - segment.start
        self.last_ns = segment.time_ns
        self.outlet.carrier = segment
        if segment.flags & SYN:
            sequence = (sequence + 1) & ALL
            self._synchronise(segment, sequence)
        elif not self.started:
            if length == 0:
                self.outlet.counts.empty += 1
                return True
            self._start(segment, sequence, True)
        if (
            sequence == self.next
            and length
            and not segment.flags & (FIN | RST)
            and not self.held.parts
            and self.joining is None
            and not segment.missing
            and not self.closed
            and self.end_at == OPEN_END
        ):
            self._advance(segment.data, segment.start, segment.end, 0)
            self._count(1)
            return True
        return self._sort(segment, distance(sequence, self.next), length)

    def _start(self, segment: Datagram, sequence: cython.uint, joined: cython.bint) -> cython.bint:
        """A new connection, or one that was there before the capture, or that took the ports of another."""
        last_ns: cython.longlong = self.content.last_ns
        self.content = Content(self.held.addresses, self.outlet, joined)
        self.content.last_ns = last_ns
        self.joining = Joining(self.content) if joined else None
        self.since_ns = segment.time_ns
        self.started = True
        self.first = self.next = sequence
        self.position = 0
        self.end_at = OPEN_END
        self.closed = False
        if joined:
            self.outlet.counts.joined += 1
        return True

    def _synchronise(self, segment: Datagram, first: cython.uint) -> cython.bint:
        """SYN: the first byte of the stream has this sequence number."""
        before: cython.longlong
        if self.started:
            if first == self.first and not self.closed:
                return True  # the same again
            before = distance(self.first, first)
            if self.joining is not None and 0 <= before < limits.MAX_JOINING_BYTES:
                return True  # it comes late
            self.flush()
            self.outlet.carrier = segment
        return self._start(segment, first, False)

    def _sort(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """A segment that is not simply the next one. `ahead`: of the next byte that is awaited."""
        counts = self.outlet.counts
        if segment.flags & RST:
            if length:  # RFC 9293 3.10.7: a text that says why, no part of the stream
                counts.rejected[CLOSED] += 1
            else:
                counts.empty += 1
            if 0 <= ahead < WINDOW:
                self._end(self.position + ahead)
            return True
        end_at: cython.longlong = self.position + ahead + length + segment.missing
        if length == 0 and not segment.missing:
            counts.empty += 1
        elif length == 1 and ahead == -1 and self.joining is None:
            counts.empty += 1  # a keep-alive with a byte of garbage (RFC 9293 3.8.4)
        elif self.closed or not -WINDOW < ahead < WINDOW:
            if not self._reopen(segment, ahead, length):
                return True
            end_at = self.position
        else:
            self._place(segment, ahead, length)
        if segment.flags & FIN and not self.closed and 0 <= end_at - self.position < WINDOW:
            self._end(end_at)
        return True

    def _end(self, end_at: cython.longlong) -> cython.bint:
        if self.end_at == OPEN_END or end_at < self.end_at:
            self.end_at = end_at
        if self.position >= self.end_at:
            self._close()
        return True

    def _close(self) -> cython.bint:
        """The stream is kept a while: of what comes now nearly everything is something captured twice."""
        piece: Piece
        if self.joining is not None:
            self.joining.finish()
            self.joining = None
        self.content.finish()
        self.closed = True
        for piece in self.held.parts:
            self.outlet.counts.waiting -= piece.unit
            self.outlet.counts.rejected[CLOSED] += piece.unit
        self.held = Pieces(self.held.addresses)
        return True

    def _reopen(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """A segment behind the end, or from nowhere: SIP that starts there is a new connection whose SYN was missed."""
        if self.closed and ahead > -WINDOW and ahead + length <= 0:
            self.outlet.counts.retransmitted += 1
            return False
        if start_line(segment.data, segment.start, segment.end) != YES or is_torn(segment.data, segment.start):
            self.outlet.counts.rejected[CLOSED if self.closed else OUTSIDE] += 1
            return False
        self.flush()
        self.outlet.carrier = segment
        self._start(segment, segment.sequence, True)
        self._place(segment, 0, length)
        return True
