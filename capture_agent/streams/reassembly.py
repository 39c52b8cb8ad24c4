"""Puts the bytes of a stream in order (RFC 9293 3.4). Hot: compiled with reassembly.pxd, or plain Python.

Offsets count the bytes of the stream from where it was first seen; sequence numbers wrap, offsets do not.
"""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.joining import Joining
from capture_agent.streams.layer import Layer
from capture_agent.streams.outlet import Outlet
from capture_agent.streams.pieces import Piece, Pieces

MAX_HELD = cython.declare(cython.int, limits.MAX_HELD)
MAX_HELD_BYTES = cython.declare(cython.int, limits.MAX_HELD_BYTES)
PATIENCE_NS = cython.declare(cython.longlong, limits.PATIENCE_NS)
LIKELY = cython.declare(cython.longlong, limits.LIKELY)
NOT_SIP = cython.declare(cython.int, limits.SegmentReject.NOT_SIP)
OPEN_END = cython.declare(cython.longlong, -1)
ALL = cython.declare(cython.longlong, 0xFFFFFFFF)  # sequence numbers; a literal of this size would be Python's own


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Reassembly:
    """Gives its layer every byte once; of bytes that come twice the first stay."""

    __slots__ = (
        "closed",
        "end_at",
        "first",
        "held",
        "joining",
        "last_ns",
        "layer",
        "next",
        "outlet",
        "position",
        "since_ns",
        "turn",
    )

    def __init__(self, layer: Layer, first: int, joined: bool, now_ns: int) -> None:
        self.layer = layer
        self.outlet: Outlet = layer.outlet
        self.held = Pieces(layer.emitter)
        self.joining: Joining | None = Joining(layer) if joined and layer.is_seeking() else None
        self.first = self.next = first  # sequence numbers: of the first byte, and of the next one
        self.position = 0  # offset of the next one
        self.end_at = OPEN_END  # offset after the last byte, once FIN or RST has said it
        self.closed = False
        self.since_ns = now_ns  # since when something has been waiting
        self.last_ns = now_ns  # of the last segment
        self.turn = 0  # segments that came in order while others waited

    def buffered(self) -> int:
        """Bytes that are kept, here and by the layers."""
        size: cython.Py_ssize_t = self.held.cost() + self.layer.buffered()
        if self.joining is not None:
            size += self.joining.size
        return size

    def waits(self) -> cython.bint:
        """Whether it holds something that time alone may bring out."""
        return self.joining is not None or len(self.held.parts) > 0

    def go_on_from(self, other: Reassembly) -> cython.bint:
        """This connection has the ports now, which the other one had: its segments were turns of this one, too."""
        self.last_ns = other.last_ns
        self.since_ns = other.since_ns
        self.turn = other.turn
        return True

    def take(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """The next segment has the awaited bytes data[start:end], and nothing waits for them."""
        self._advance(data, start, end, 0)
        return self._count(1)

    def _count(self, segments: cython.int) -> cython.bint:
        if self.layer.is_foreign():
            self.outlet.counts.rejected[NOT_SIP] += segments
        else:
            self.outlet.counts.delivered += segments
        return True

    def _advance(
        self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, missing: cython.Py_ssize_t
    ) -> cython.bint:
        """The bytes at `position`."""
        length: cython.Py_ssize_t = end - start
        if self.joining is not None:
            self._advance_joining(data, start, end)
        else:
            self.layer.deliver(data, start, end)
        self.position += length + missing
        self.next = (self.next + length + missing) & ALL
        if missing:
            self._lose(missing, True)
        return True

    def _lose(self, size: cython.longlong, cut: cython.bint) -> cython.bint:
        self.outlet.counts.lost_bytes += size
        return self.layer.lose(size, cut)

    def _advance_joining(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Until the first boundary is found, keep what is passed by: the start of its message may come late."""
        joining: Joining | None = self.joining
        seeking: cython.bint = self.layer.is_seeking()
        passed: cython.longlong = self.layer.passed()
        carrier: Datagram | None = self.outlet.carrier
        assert joining is not None
        assert carrier is not None
        self.layer.deliver(data, start, end)
        if self.layer.is_foreign():
            self.joining = None
        elif seeking:
            passed = min(self.layer.passed() - passed, end - start)
            joining.pass_by(carrier.carrying(data, start, start + passed), self.position)
        return True

    def place(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """Put its bytes in their place in the stream."""
        counts = self.outlet.counts
        start: cython.Py_ssize_t = segment.start
        new: cython.longlong
        if ahead > 0 and not self.layer.needs_order():
            ahead = self._jump(segment, ahead)
        if ahead < 0:
            if self.joining is not None and self._place_early(segment, ahead, length) and ahead + length <= 0:
                return True
            if ahead + length <= 0:
                counts.retransmitted += 1
                return True
            counts.overlap_bytes -= ahead
            start -= ahead
            ahead = 0
        if ahead == 0:
            self._next_in_order(segment, start)
            self._count(1)
            return True
        self.held.now_ns = self.last_ns
        self.held.turn = self.turn
        self.held.far = ahead > LIKELY
        new = self.held.insert(segment, start, segment.end, self.position + ahead, True)
        counts.overlap_bytes += length - new if new else 0
        if new == 0:
            counts.retransmitted += 1
            return True
        counts.waiting += 1
        if len(self.held.parts) == 1 and self.joining is None:
            self.since_ns = self.last_ns
        if self.held.size > MAX_HELD_BYTES or len(self.held.parts) > MAX_HELD:
            self.held.discard_doubtful(self.turn)
        while self.held.size > MAX_HELD_BYTES or len(self.held.parts) > MAX_HELD:
            self._skip_gap()
        if self.held.covers(self.position + 1) and not self.held.is_doubtful(0):
            self._drain(False)
        return True

    def _jump(self, segment: Datagram, ahead: cython.longlong) -> cython.longlong:
        """Where order does not matter any more, nothing waits. Returns how far the segment lies ahead then."""
        offset: cython.longlong = self.position + ahead
        while self.held.parts:
            self._skip_gap()
        self.outlet.carrier = segment
        if self.layer.needs_order() or offset <= self.position:
            return offset - self.position
        self.next = (self.next + (offset - self.position)) & ALL
        self.position = offset
        return 0

    def _place_early(self, segment: Datagram, ahead: cython.longlong, length: cython.Py_ssize_t) -> cython.bint:
        """Before the first boundary of a stream joined in the middle: True if it helps."""
        joining: Joining | None = self.joining
        assert joining is not None
        offset: cython.longlong = self.position + ahead
        end: cython.longlong = min(offset + length, joining.origin)
        if offset >= end:
            return False
        if not joining.add(segment, segment.start, segment.start + (end - offset), offset):
            return False
        if ahead + length <= 0:
            self.outlet.counts.delivered += 1
        joining.complete()
        return True

    def _next_in_order(self, segment: Datagram, start: cython.Py_ssize_t) -> cython.bint:
        """The awaited bytes start at segment.data[start]: they go to the layer, and so does what waited for them."""
        end: cython.Py_ssize_t = segment.end
        piece: Piece
        room: cython.longlong
        new: cython.longlong
        self.turn += 1
        while self.held.is_doubtful(0) and self.held.covers(self.position + end - start):
            self.held.discard(0)
        if self.held.covers(self.position + end - start):
            piece = self.held.parts[0]
            room = piece.offset - self.position
            new = self.held.insert(segment, start + room, end, piece.offset, False)
            self.outlet.counts.overlap_bytes += end - start - room - new
            self._advance(segment.data, start, start + room, 0)
        else:
            self._advance(segment.data, start, end, self.held.cut_off(segment.missing, self.position + end - start, 0))
        return self._drain(True)

    def _drain(self, filled: cython.bint) -> cython.bint:
        """Pieces that follow without a gap go to the layer. `filled`: the segment that has just come filled the gap."""
        piece: Piece
        done: cython.Py_ssize_t = 0
        segment: Datagram
        while done < len(self.held.parts):
            piece = self.held.parts[done]
            if piece.offset > self.position or self.held.is_doubtful(done):
                break
            done += 1
            self.held.size -= piece.end - piece.offset
            segment = piece.segment
            if not filled:
                self.outlet.carrier = segment
            self._advance(segment.data, segment.start, segment.end, self.held.cut_off(segment.missing, piece.end, done))
            self.outlet.counts.waiting -= piece.unit
            self._count(piece.unit)
        if done:
            del self.held.parts[:done]
        if self.held.parts:
            piece = self.held.parts[0]
            self.since_ns = piece.since_ns if self.held.is_doubtful(0) else self.last_ns
        if self.end_at != OPEN_END and not self.closed:
            if self.position == self.end_at:
                self._close()
            elif self.position > self.end_at:
                self.end_at = OPEN_END
        return True

    def _skip_gap(self) -> cython.bint:
        """The missing segment will not come."""
        piece: Piece = self.held.parts[0]
        size: cython.longlong = piece.offset - self.position
        piece.far = False
        if size:
            self.outlet.counts.gaps += 1
            self._lose(size, False)
            self.position += size
            self.next = (self.next + size) & ALL
        return self._drain(False)

    def give_up_waiting(self, now_ns: cython.longlong) -> cython.bint:
        """Skip the gaps that are too old at this time."""
        piece: Piece
        self._finish_joining()
        while self.held.parts:
            piece = self.held.parts[0]
            self.since_ns = piece.since_ns
            if now_ns - self.since_ns < PATIENCE_NS:
                break
            if not self.held.is_doubtful(0):
                self._skip_gap()
            elif piece.offset == self.position:
                self._skip_gap()  # it fits, and no other came for its place
            elif piece.turn != self.turn:
                self.held.discard(0)  # the stream went on, and not from there
            else:
                break
        return True

    def flush(self) -> cython.bint:
        """Nothing more will come: emit what is complete, count what is not."""
        self._finish_joining()
        self.held.discard_doubtful(self.turn)
        while self.held.parts:
            self._skip_gap()
        return self.layer.finish()

    def end(self, end_at: cython.longlong) -> cython.bint:
        """Nothing comes after this byte. If bytes do come, it was not this connection's end that said so."""
        self.end_at = end_at
        if self.position == end_at:
            self._close()
        return True

    def _close(self) -> cython.bint:
        """The stream is kept for a while: what comes now is nearly always something captured twice."""
        self._finish_joining()
        self.layer.finish()
        self.closed = True
        self.held.reject_all()
        return True

    def _finish_joining(self) -> cython.bint:
        if self.joining is not None:
            self.joining.finish()
            self.joining = None
        return True
