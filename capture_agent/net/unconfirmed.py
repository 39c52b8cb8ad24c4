"""Packets written to a connection whose arrival is not certain: a new connection sends them first."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence

# Limits. More than connection.PROOF: a receiver must be able to acknowledge that much before this is full.
ROOM = 16 << 20  # bytes
OVERHEAD = 640  # bytes of memory that a piece takes in addition to its packets


class UnconfirmedWrite:
    """Packets that were pushed together, in the buffer they were pushed from. Those before `first` have been confirmed.

    Packet n ends in the data at ends[n] - shift: the ends are those of the whole batch.
    """

    __slots__ = ("data", "ends", "first", "held", "shift")

    def __init__(self, data: memoryview, ends: array[int], shift: int) -> None:
        self.data = data
        self.ends = ends
        self.shift = shift
        self.first = 0
        self.held = 8 * len(ends) + OVERHEAD  # bytes of memory, without the buffer


class Unconfirmed:
    """Pieces in stream order, back to back. `packets` counts the packets, `held` is their memory in bytes.

    They stay in their buffers: a buffer counts as a whole, once for all its consecutive pieces.
    A position is the number of bytes since the connection was opened.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.held = 0
        self._pieces: deque[UnconfirmedWrite] = deque()
        self._start = 0  # position of the first piece

    @property
    def oldest(self) -> memoryview | None:
        """The first piece; its buffer and later ones must not change."""
        return self._pieces[0].data if self._pieces else None

    def add(self, data: memoryview, ends: Sequence[int], position: int, shift: int = 0) -> None:
        """Add packets at this position of the stream; packet n ends in the data at ends[n] - shift."""
        pieces = self._pieces
        if not pieces:
            self._start = position
        if not pieces or pieces[-1].data.obj is not data.obj:
            self.held += whole(data)
        piece = UnconfirmedWrite(data, ends if isinstance(ends, array) else array("q", ends), shift)
        pieces.append(piece)
        self.packets += len(ends)
        self.held += piece.held

    def confirm(self, position: int) -> int:
        """Forget the packets that end at or before this position. Returns how many there were."""
        before = self.packets
        while self._pieces:
            piece = self._pieces[0]
            if position < self._start + len(piece.data):
                arrived = max(piece.first, bisect_right(piece.ends, position - self._start + piece.shift))
                self.packets -= arrived - piece.first
                piece.first = arrived
                break
            self.packets -= len(piece.ends) - piece.first
            self._start += len(piece.data)
            self.held -= piece.held
            self._pieces.popleft()
            if not self._pieces or self._pieces[0].data.obj is not piece.data.obj:
                self.held -= whole(piece.data)
        return before - self.packets

    def arrived(self, position: int) -> int:
        """How many of the packets end at or before this position."""
        count, start = 0, self._start
        for piece in self._pieces:
            if position <= start:
                break
            count += max(piece.first, bisect_right(piece.ends, position - start + piece.shift)) - piece.first
            start += len(piece.data)
        return count

    @property
    def size(self) -> int:
        """Bytes, with those before the first packet left of the first piece."""
        return sum(len(piece.data) for piece in self._pieces)

    def clear(self) -> int:
        """Forget all. Returns how many there were."""
        return self.confirm(self._start + self.size)

    def rewind(self) -> None:
        """Start a new connection: the first packet left gets position 0."""
        self._start = 0
        if self._pieces and (first := self._pieces[0].first):
            piece = self._pieces[0]
            at = piece.ends[first - 1] - piece.shift
            self.held -= piece.held
            self._pieces[0] = piece = UnconfirmedWrite(piece.data[at:], piece.ends[first:], piece.shift + at)
            self.held += piece.held

    def some(self, position: int, most: int) -> memoryview:
        """Up to this many packets from this position, a packet's start, in one buffer. Empty: none."""
        at = self._start
        for piece in self._pieces:
            if position < at + len(piece.data):
                first = bisect_right(piece.ends, position - at + piece.shift)
                last = min(first + most, len(piece.ends))
                return piece.data[position - at : piece.ends[last - 1] - piece.shift]
            at += len(piece.data)
        return memoryview(b"")

    def beyond(self, position: int) -> Iterator[memoryview]:
        """All bytes from this position on, after `rewind`."""
        at = self._start
        for piece in self._pieces:
            if position < at + len(piece.data):
                yield piece.data[max(0, position - at) :]
            at += len(piece.data)


def whole(part: memoryview) -> int:
    """The size in bytes of the buffer that this is a part of."""
    return memoryview(part.obj).nbytes
