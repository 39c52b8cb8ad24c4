"""Parts of a stream that wait for earlier ones. Hot: compiled with pieces.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.outlet import Emitter

ALL = cython.declare(cython.longlong, 0xFFFFFFFF)
CLOSED = cython.declare(cython.int, limits.SegmentReject.CLOSED)
OUTSIDE = cython.declare(cython.int, limits.SegmentReject.OUTSIDE)
PIECE_COST = cython.declare(cython.int, limits.PIECE_COST)


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Piece:
    """The bytes from `offset` to `end` of a stream, in a segment of its own: both addresses, then the bytes."""

    __slots__ = ("end", "far", "offset", "segment", "since_ns", "turn", "unit")

    def __init__(self, offset: int, end: int, segment: Datagram, unit: int) -> None:
        self.offset = offset
        self.end = end
        self.segment = segment
        self.unit = unit  # 1 for one piece of each segment: what the books count
        self.since_ns = segment.time_ns  # when it came, and at which turn of the stream
        self.turn = 0
        self.far = False  # it came from farther ahead than a window reaches


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Pieces:
    """Sorted by offset, without overlaps: the bytes that came first stay."""

    __slots__ = ("emitter", "far", "now_ns", "parts", "size", "turn")

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.parts: list[Piece] = []
        self.size = 0  # bytes of payload
        self.now_ns = 0  # what new pieces note
        self.turn = 0
        self.far = False

    def cost(self) -> int:
        """Approximate bytes of memory."""
        return self.size + PIECE_COST * len(self.parts)

    def is_doubtful(self, i: cython.Py_ssize_t) -> cython.bint:
        """Whether this piece lies far ahead and no other adjoins it: one packet that anybody may have sent."""
        piece: Piece
        other: Piece
        if i >= len(self.parts):
            return False
        piece = self.parts[i]
        if not piece.far:
            return False
        if i + 1 < len(self.parts):
            other = self.parts[i + 1]
            if other.offset == piece.end:
                return False
        if i > 0:
            other = self.parts[i - 1]
            if other.end == piece.offset:
                return False
        return True

    def covers(self, offset: cython.longlong) -> cython.bint:
        """Whether the first piece has bytes before this offset."""
        piece: Piece
        if not self.parts:
            return False
        piece = self.parts[0]
        return piece.offset < offset

    def take(self, i: cython.Py_ssize_t) -> Piece:
        """Remove this piece and return it."""
        piece: Piece = self.parts.pop(i)
        self.size -= piece.end - piece.offset
        return piece

    def discard(self, i: cython.Py_ssize_t) -> cython.bint:
        """This piece does not belong to the stream."""
        piece: Piece = self.take(i)
        return self._reject(piece, OUTSIDE)

    def discard_doubtful(self, turn: cython.longlong) -> cython.bint:
        """Discard pieces that lie far ahead, and that no other adjoined while the stream went on to this turn."""
        piece: Piece
        i: cython.Py_ssize_t
        for i in range(len(self.parts) - 1, -1, -1):
            piece = self.parts[i]
            if piece.turn != turn and self.is_doubtful(i):
                self.discard(i)
        return True

    def reject_all(self) -> cython.bint:
        """The stream has ended before them."""
        piece: Piece
        for piece in self.parts:
            self._reject(piece, CLOSED)
        self.parts = []
        self.size = 0
        return True

    def _reject(self, piece: Piece, reason: cython.int) -> cython.bint:
        counts = self.emitter.outlet.counts
        counts.waiting -= piece.unit
        counts.rejected[reason] += piece.unit
        return True

    def cut_off(self, missing: cython.Py_ssize_t, offset: cython.longlong, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Of `missing` bytes that the snap length has cut off before this offset, those that no piece has; i is next.

        The stream never passes a piece that waits.
        """
        piece: Piece
        while missing and i < len(self.parts):
            piece = self.parts[i]
            if piece.offset >= offset + missing:
                break
            if not self.is_doubtful(i):
                return piece.offset - offset
            self.discard(i)
        return missing

    def ends_at(self, offset: cython.longlong) -> cython.bint:
        """Whether a piece ends there that is not doubtful."""
        piece: Piece
        i: cython.Py_ssize_t = self._starting_until(offset) - 1
        if i < 0:
            return False
        piece = self.parts[i]
        return piece.end == offset and not self.is_doubtful(i)

    def insert(
        self,
        segment: Datagram,
        start: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        offset: cython.longlong,
        counted: cython.bint,
    ) -> int:
        """Copy the new bytes of segment.data[start:end], whose first byte has this offset. Returns how many were new.

        counted: whether the first piece represents the segment in the books.
        """
        pieces: list[Piece] = self.parts
        stop: cython.longlong = offset + (end - start)
        until: cython.longlong
        new: cython.longlong = 0
        piece: Piece
        i: cython.Py_ssize_t = self._starting_until(offset)
        at: cython.longlong = offset
        if i > 0:
            piece = pieces[i - 1]
            at = max(at, piece.end)
        while at < stop:
            until = stop
            if i < len(pieces):
                piece = pieces[i]
                until = min(stop, piece.offset)
            if until > at:
                piece = self._piece(segment, start + (at - offset), start + (until - offset), at, counted and new == 0)
                if until == stop:
                    piece.segment.missing = segment.missing
                pieces.insert(i, piece)
                new += until - at
                i += 1
            if i < len(pieces):
                piece = pieces[i]
                at = max(until, piece.end)
                i += 1
            else:
                at = stop
        self.size += new
        return new

    def _starting_until(self, offset: cython.longlong) -> cython.Py_ssize_t:
        """The number of pieces that start at or before this offset."""
        piece: Piece
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = len(self.parts)
        middle: cython.Py_ssize_t
        while low < high:
            middle = (low + high) // 2
            piece = self.parts[middle]
            if piece.offset <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    def _piece(
        self,
        segment: Datagram,
        start: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        offset: cython.longlong,
        first: cython.bint,
    ) -> Piece:
        """A copy: the segment's buffer holds a batch of frames, and would be kept as long as the piece."""
        addresses: bytes = self.emitter.addresses
        size: cython.Py_ssize_t = len(addresses)
        data: bytes = addresses + segment.data[start:end]
        own: Datagram = segment.carrying(data, size, size + (end - start))
        own.sequence = (segment.sequence + (start - segment.start)) & ALL
        own.flags = 0
        piece = Piece(offset, offset + (end - start), own, 1 if first else 0)
        if self.now_ns:
            piece.since_ns = self.now_ns
        piece.turn = self.turn
        piece.far = self.far
        return piece
