"""HEP3 over TCP: packets back to back, framed by their total length."""

from hep.errors import HepError
from hep.packet import Packet
from hep.version3 import HEADER_BYTES, decode3, total_length


class StreamDecoder:
    """Yields packets from the bytes of one connection, in any segmentation.

    >>> for packet in decoder.feed(segment): ...

    It is its own iterator, so that an error loses as little as possible. A bad chunk raises HepError, but the packet's
    length was valid: iterate again for the next packet. An invalid header means that the framing is lost: HepError is
    raised once, `broken` is set, and the rest is discarded. `HepError.offset` counts from the beginning of the stream.

    Once iterated to its end, it holds less than one packet, at most 65,534 bytes.
    """

    __slots__ = ("_pending", "broken", "offset")

    def __init__(self) -> None:
        self._pending = bytearray()
        self.offset = 0  # offset in the stream of the first byte not decoded yet
        self.broken = False

    @property
    def pending(self) -> int:
        """Bytes of an incomplete packet, which are lost if the stream ends here."""
        return len(self._pending)

    def feed(self, data: bytes) -> "StreamDecoder":
        """Take `data` (immediately, even if nobody iterates), and return itself to yield the complete packets."""
        if not self.broken:
            self._pending += data
        return self

    def __iter__(self) -> "StreamDecoder":
        return self

    def __next__(self) -> Packet:
        """The next complete packet. Raises HepError, see the class."""
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
