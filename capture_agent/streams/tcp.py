"""One direction of a TCP connection: how it starts and ends (RFC 9293). Hot: compiled with tcp.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.content import Content
from capture_agent.streams.framing import is_torn, start_line
from capture_agent.streams.joining import Joining
from capture_agent.streams.outlet import Outlet
from capture_agent.streams.pieces import Piece, Pieces
from capture_agent.streams.reassembly import Reassembly
from capture_agent.streams.rivals import Parked, Rival, exchange

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.streams.sip_stream import FOREIGN

FIN = cython.declare(cython.int, 0x01)
SYN = cython.declare(cython.int, 0x02)
RST = cython.declare(cython.int, 0x04)

YES = cython.declare(cython.int, limits.YES)
WINDOW = cython.declare(cython.longlong, limits.WINDOW)
LIKELY = cython.declare(cython.longlong, limits.LIKELY)
PATIENCE_NS = cython.declare(cython.longlong, limits.PATIENCE_NS)
MAX_RIVALS = cython.declare(cython.int, limits.MAX_RIVALS)
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
    """Takes segments as they were captured.

    What real ends would ignore (RFC 5961) changes nothing: another connection on the same ports is one of `rivals`
    until a second segment has followed its first. The one before it is `parked` then, and goes on if it is not over.
    """

    __slots__ = ("account", "first", "in_line", "line_ns", "parked", "rivals", "started", "touched_ns")

    def __init__(self, addresses: bytes, outlet: Outlet) -> None:
        Reassembly.__init__(self, addresses, outlet)
        self.started = False
        self.first = 0  # sequence number of the first byte
        self.rivals: list[Rival] | None = None
        self.parked: Parked | None = None
        # What Streams notes here: bytes in its account, whether the stream is in the line of those that wait and since
        # when, and when it got its place among all.
        self.account = 0
        self.in_line = False
        self.line_ns = 0
        self.touched_ns = 0

    def accept(self, segment: Datagram) -> cython.bint:
        """The next segment that was captured of this direction. Messages go to the outlet."""
        sequence: cython.uint = segment.sequence
        length: cython.Py_ssize_t = segment.end - segment.start
        self.outlet.carrier = segment
        if segment.flags & SYN:
            sequence = (sequence + 1) & ALL
            if not self._synchronise(segment, sequence, length):
                return True
        elif not self.started:
            if length == 0:
                self.outlet.counts.empty += 1
                return True
            if segment.flags & RST:
                self.outlet.counts.rejected[CLOSED] += 1
                return True
            self._start(sequence, True)
        if (
            sequence == self.next
            and length
            and not segment.flags & (FIN | RST)
            and not self.held.parts
            and self.joining is None
            and self.rivals is None
            and self.parked is None
            and not segment.missing
            and not self.closed
            and self.end_at == OPEN_END
        ):
            self._advance(segment.data, segment.start, segment.end, 0)
            self._count(1)
            return True
        if (self.rivals is not None or self.parked is not None) and self._is_rivals(segment, sequence, length):
            return True
        return self._sort(segment, distance(sequence, self.next), length)

    def buffered(self) -> int:
        size: cython.Py_ssize_t = Reassembly.buffered(self)
        if self.parked is not None:
            size += self.parked.buffered
        if self.rivals is not None:
            size += sum([rival.size for rival in self.rivals])
        return size

    def waits(self) -> cython.bint:
        """Whether it holds something that time alone may bring out."""
        if self.held.parts or self.joining is not None:
            return True
        return self.rivals is not None and any(rival.segments for rival in self.rivals)

    def _start(self, sequence: cython.uint, joined: cython.bint) -> cython.bint:
        """A new connection, or one that was there before the capture, or that took the ports of another."""
        last_ns: cython.longlong = self.content.last_ns
        self.content = Content(self.held.addresses, self.outlet, joined)
        self.content.last_ns = last_ns
        self.joining = Joining(self.content) if joined else None
        self.since_ns = self.last_ns
        self.started = True
        self.first = self.next = sequence
        self.position = 0
        self.end_at = OPEN_END
        self.closed = False
        if joined:
            self.outlet.counts.joined += 1
        return True

    def _synchronise(self, segment: Datagram, first: cython.uint, length: cython.Py_ssize_t) -> cython.bint:
        """SYN: the first byte of the stream has this sequence number. False: it is a rival's."""
        before: cython.longlong
        if self.started and not self.closed:
            if first == self.first:
                return True  # the same again
            before = distance(self.first, first)
            if self.joining is not None and 0 <= before < limits.MAX_JOINING_BYTES:
                return True  # it comes late
            self.outlet.counts.unconfirmed += 1
            if length == 0:
                self.outlet.counts.empty += 1
            return self._compete(segment, first, True, length)
        if self.started:
            self.flush()
            self.outlet.carrier = segment
        return self._start(first, False)

    def _compete(
        self, segment: Datagram, first: cython.uint, synchronised: cython.bint, length: cython.Py_ssize_t
    ) -> cython.bint:
        """What real ends would ignore, if no other connection has taken the ports: False, it is not this stream's."""
        if self.rivals is None:
            self.rivals = []
        for rival in self.rivals:
            if rival.synchronised == synchronised and rival.first == first:
                if length:
                    self.outlet.counts.retransmitted += 1
                return False
        if len(self.rivals) == MAX_RIVALS:
            self._reject(self.rivals.pop(0))
        rival = Rival(first, synchronised)
        self.rivals.append(rival)
        if length:
            self._follow(rival, segment, length)
        return False

    def _follow(self, rival: Rival, segment: Datagram, length: cython.Py_ssize_t) -> cython.bint:
        if not self.waits():
            self.since_ns = self.last_ns
        rival.add(segment, self.held.addresses, self.last_ns)
        self.outlet.counts.waiting += 1
        return True

    def _is_rivals(self, segment: Datagram, sequence: cython.uint, length: cython.Py_ssize_t) -> cython.bint:
        """True: a rival has it. Where it is the parked connection's, that one is awake again."""
        if sequence == self.next:
            if length and not segment.flags & RST and not self.closed:
                self._confirm()
            return False
        if self.parked is not None and sequence == self.parked.next and (length or segment.flags & (FIN | RST)):
            exchange(self, self.parked)
            self._confirm()
            return False
        if self.rivals is None or not length or segment.flags & (SYN | RST):
            return False
        for rival in self.rivals:
            if sequence == rival.next:
                self._follow(rival, segment, length)
                if rival.is_confirmed:
                    self._promote(rival)
                return True
        return False

    def _confirm(self) -> cython.bint:
        """This connection goes on: its rivals are none."""
        if self.rivals is not None:
            for rival in self.rivals:
                self._reject(rival)
            self.rivals = None
        if self.parked is not None:
            self.parked.patience -= 1
            if self.parked.patience == 0:
                self._release()
        return True

    def _reject(self, rival: Rival) -> cython.bint:
        self.outlet.counts.waiting -= len(rival.segments)
        self.outlet.counts.rejected[OUTSIDE] += len(rival.segments)
        return True

    def _promote(self, rival: Rival) -> cython.bint:
        """The ports are this rival's now. The connection that had them is kept a while, if it was not closed."""
        if self.rivals is not None:
            for other in self.rivals:
                if other is not rival:
                    self._reject(other)
            self.rivals = None
        if self.parked is not None:
            self._release()
        if self.closed:
            Reassembly.flush(self)
        else:
            self.parked = Parked(self)
            self.held = Pieces(self.held.addresses)
        return self._replay(rival)

    def _replay(self, rival: Rival) -> cython.bint:
        self._start(rival.first, not rival.synchronised)
        for segment in rival.segments:
            self.outlet.counts.waiting -= 1
            self.accept(segment)
        return True

    def _release(self) -> cython.bint:
        """The parked connection is over."""
        carrier: Datagram | None = self.outlet.carrier
        parked = self.parked
        assert parked is not None
        exchange(self, parked)
        Reassembly.flush(self)
        exchange(self, parked)
        self.parked = None
        self.outlet.carrier = carrier
        return True

    def flush(self) -> cython.bint:
        """Nothing more will come. A rival that nothing has contradicted counts as a connection."""
        rivals = self.rivals
        self.rivals = None
        if self.parked is not None:
            self._release()
        Reassembly.flush(self)
        if rivals is not None:
            for rival in rivals:
                if rival.segments:
                    self.held = Pieces(self.held.addresses)
                    self._replay(rival)
                    Reassembly.flush(self)
        return True

    def give_up_waiting(self, now_ns: cython.longlong) -> cython.bint:
        """Skip the gaps that are too old at this time, and believe a rival that this connection has not answered."""
        piece: Piece
        Reassembly.give_up_waiting(self, now_ns)
        if self.held.parts:
            piece = self.held.parts[0]
            if self.held.is_doubtful(0) and now_ns - piece.since_ns >= PATIENCE_NS:
                self.outlet.counts.waiting += 1 - self.held.take(0).unit
                rival = Rival((self.next + (piece.offset - self.position)) & ALL, False)
                rival.add(piece.segment, b"", now_ns)
                self._promote(rival)
        elif self.rivals is not None:
            old = [r for r in self.rivals if r.segments and now_ns - r.since_ns >= PATIENCE_NS]
            if old:
                self._promote(old[-1])
        if now_ns - self.since_ns >= PATIENCE_NS:
            self.since_ns = now_ns
        return True

    def _sort(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """A segment that is not simply the next one. `ahead`: of the next byte that is awaited."""
        counts = self.outlet.counts
        if segment.flags & RST:
            if length:  # RFC 9293 3.10.7: a text that says why, no part of the stream
                counts.rejected[CLOSED] += 1
            else:
                counts.empty += 1
            # RFC 5961 3.2: exactly the next byte that is awaited, or the one after bytes that wait.
            if ahead == 0 or (ahead > 0 and self.held.ends_at(self.position + ahead)):
                self._end(self.position + ahead)
            else:
                counts.unconfirmed += 1
            return True
        end_at: cython.longlong = self.position + ahead + length + segment.missing
        if length == 0 and not segment.missing:
            counts.empty += 1
        elif length == 1 and ahead == -1 and self.joining is None:
            counts.empty += 1  # a keep-alive with a byte of garbage (RFC 9293 3.8.4)
        elif self.closed:
            if not self._reopen(segment, ahead, length):
                return True
            end_at = self.position
        elif not -WINDOW < ahead < WINDOW or (self.content.mode == FOREIGN and ahead > LIKELY):
            counts.unconfirmed += 1
            if length == 0:
                counts.rejected[OUTSIDE] += 1
                return True
            self._compete(segment, segment.sequence, False, length)
            return True
        else:
            self._place(segment, ahead, length)
        if segment.flags & FIN and not self.closed and 0 <= end_at - self.position < WINDOW:
            self._end(end_at)
        return True

    def _end(self, end_at: cython.longlong) -> cython.bint:
        """After this byte nothing comes; bytes that come all the same show that a stranger has said so."""
        self.end_at = end_at
        if self.position == end_at:
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
        self._place(segment, 0, length)
        return True
