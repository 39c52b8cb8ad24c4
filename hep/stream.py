"""HEP3 over TCP: packets back to back, framed by their total length."""

from hep.errors import HepError
from hep.packet import Packet
from hep.version3 import HEADER_BYTES, decode3, total_length


class StreamDecoder:
    """Packets out of the bytes of one connection, in whatever segments they come.

    >>> for packet in decoder.feed(segment): ...

    It is its own iterator, so that an error loses no more than it must. A bad chunk raises HepError, but the
    packet's length was good: iterate again and the next packet follows. A header that is none means that the
    framing is lost: HepError is raised once, `broken` is set, and whatever follows is thrown away.
    `HepError.offset` counts from the beginning of the stream.

    Once iterated to its end it holds less than one packet, 65,534 bytes at most.
    """

    __slots__ = ("_pending", "broken", "offset")

    def __init__(self) -> None:
        self._pending = bytearray()
        self.offset = 0  # in the stream, of the first byte not yet decoded
        self.broken = False

    @property
    def pending(self) -> int:
        """Bytes of a packet that is not complete: what is lost if the stream ends here."""
        return len(self._pending)

    def feed(self, data: bytes) -> "StreamDecoder":
        """Take `data` (at once, even if nobody iterates) and give the packets that are complete now."""
        if not self.broken:
            self._pending += data
        return self

    def __iter__(self) -> "StreamDecoder":
        return self

    def __next__(self) -> Packet:
        """The next packet that is complete. Raises HepError, see the class."""
        if len(self._pending) < HEADER_BYTES or len(self._pending) < (length := self._length()):
            raise StopIteration
        message = bytes(memoryview(self._pending)[:length])
        begin = self.offset
        del self._pending[:length]
        self.offset += length
        try:
            return decode3(message)
        except HepError as error:
            raise error.moved(begin) from None

    def _length(self) -> int:
        try:
            return total_length(self._pending, self.offset)
        except HepError:
            self.broken = True
            self._pending.clear()
            raise
