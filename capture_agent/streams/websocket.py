"""One direction of a WebSocket (RFC 6455) that may carry SIP (RFC 7118), compressed (RFC 7692) or not."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from capture_agent.streams.counts import Counts
from capture_agent.streams.framing import start_line
from capture_agent.streams.limits import MAX_BODY, WEBSOCKET_COST, YES

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV23, MASKED = 0x80, 0x40, 0x30, 0x80
MAX_CONTROL = 125
MAX_MESSAGE = MAX_BODY
WINDOW = 32_768  # of DEFLATE: how far back a message may refer
SYNC = b"\x00\x00\xff\xff"  # RFC 7692 7.2.2: what the sender leaves out
SWITCHING = b"HTTP/1.1 101"
LINE_ENDS = b"\r\n\0"
# What compressed messages may grow to. SIP that repeats itself shrinks to a fiftieth, an attack to a thousandth. So
# each message earns its connection a share: about the work that a message costs anyway, and some for each of its
# bytes. A connection that overdraws is not inflated any more.
MAX_PLAIN = 65_536  # of one message: SIP is not larger
CREDIT = 131_072
CREDIT_OF_MESSAGE = 8_192
CREDIT_OF_BYTE = 32
MOST_CREDIT = 1_048_576
STEP = 16_384  # inflated at a time
LEAST_SIP = 16  # bytes of a SIP message, at the very least
FRAMES = 64  # that are passed over before the first one with SIP, in one segment
FRAME_COST = 96  # of memory, in addition to its payload
FIRST_BYTES = 1_024  # that a frame is recognised by


class FrameHeader:
    __slots__ = ("first", "key", "length", "size")

    def __init__(self, first: int, size: int, length: int, key: bytes) -> None:
        self.first = first  # FIN, RSV1 to RSV3, opcode
        self.size = size  # of the header
        self.length = length  # of the payload
        self.key = key  # empty: not masked


def frame_header(data: bytes | bytearray, at: int = 0) -> FrameHeader | None:
    """RFC 6455 5.2. None: it is incomplete."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    extended = {126: 2, 127: 8}.get(second & 0x7F, 0)
    size = 2 + extended + (4 if second & MASKED else 0)
    if len(data) < at + size:
        return None
    length = int.from_bytes(data[at + 2 : at + 2 + extended], "big") if extended else second & 0x7F
    return FrameHeader(first, size, length, bytes(data[at + 2 + extended : at + size]))


def unmask(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 5.3."""
    if not key or not payload:
        return payload
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")


def inflate(payload: bytes, history: bytes, limit: int) -> tuple[bytes | None, int]:
    """RFC 7692 7.2.2: the plain text, no more than limit + 1 bytes, and how many bytes were inflated for it.

    None: it is broken, or refers to what is not in the history.
    A message ends on a byte, and the next one may only refer to the bytes before: no other state is kept.
    """
    engine = zlib.decompressobj(-zlib.MAX_WBITS, zdict=history) if history else zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    size = 0
    rest = payload + SYNC
    while size <= limit:
        try:
            part = engine.decompress(rest, min(STEP, limit + 1 - size))
        except zlib.error:
            return None, size + STEP  # at most
        parts.append(part)
        size += len(part)
        rest = engine.unconsumed_tail
        if not rest or not part:
            break
    return b"".join(parts), size


def recognise(data: bytes, at: int, end: int) -> bool:
    """Whether a frame with the start of a SIP message begins here, or after other complete frames."""
    for _ in range(FRAMES):
        if at >= end:
            return False
        header = frame_header(data[at : min(end, at + 14)])
        if header is None or not plausible(header, None):
            return False
        if header.first & 0x0F in (TEXT, BINARY) and begins_sip(header, data[at + header.size : end]):
            return True
        at += header.size + header.length
    return False


def frame_before(data: bytes, at: int, payload: int) -> int:
    """Where the header of a frame begins that has its payload here, not masked; or -1."""
    for size in (2, 4, 10):
        header = frame_header(data[payload - size : payload]) if payload - size >= at else None
        if header is None or header.size != size or header.first & ~FIN not in (TEXT, BINARY):
            continue
        if LEAST_SIP <= header.length <= MAX_MESSAGE:
            return payload - size
    return -1


def begins_sip(header: FrameHeader, there: bytes) -> bool:
    payload = unmask(there[: min(header.length, FIRST_BYTES)], header.key)
    if header.first & RSV1:
        payload = inflate(payload, b"", FIRST_BYTES)[0] or b"#"
    payload = payload.lstrip(LINE_ENDS)
    return start_line(payload, 0, len(payload)) == YES


def plausible(header: FrameHeader, deflate: bool | None) -> bool:
    """RFC 6455 5.2 and 5.5; RSV1 is for compression (RFC 7692 6)."""
    opcode = header.first & 0x0F
    if header.first & RSV23 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        return False
    if opcode >= CLOSE:
        return bool(header.first & FIN) and not header.first & RSV1 and header.length <= MAX_CONTROL
    if header.first & RSV1 and (opcode == CONTINUATION or deflate is False):
        return False
    return header.length < 1 << 63


def opens_http(line: bytes) -> bool:
    """Whether this may begin a request or response that opens a WebSocket (RFC 6455 4.1)."""
    return line.startswith(b"GET ") or (len(line) >= 5 and line[:12] == SWITCHING[: len(line)])


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one direction is compressed, as the response to an upgrade says (RFC 7692 7.1)."""

    deflate: bool
    remembers: bool  # with context takeover


class WebSocket:
    """Bytes of one direction in, complete messages out."""

    def __init__(self, deflate: bool | None = None, remembers: bool = True) -> None:
        """deflate: whether it was negotiated, None when that was not seen. remembers: with context takeover."""
        self.deflate = deflate
        self.remembers = remembers
        self.failed = False  # these are not frames
        self.told: Agreement | None = None  # what a response says of the other direction
        self._buffer = bytearray()
        self._need = 2  # bytes in the buffer before it is worth another look
        self._skip = 0  # bytes of a payload that is not read
        self._parts: list[bytes] | None = None  # of the message that has begun; None: it is given up
        self._size = 0
        self._compressed = False
        self._history = b""  # the last plain text of compressed messages
        self._credit = CREDIT  # bytes that may still be inflated
        self._overdrawn = False

    def agreement(self) -> Agreement | None:
        """How the other direction is compressed, once."""
        told, self.told = self.told, None
        return told

    def agree(self, agreement: Agreement) -> None:
        self.deflate, self.remembers = agreement.deflate, agreement.remembers

    @property
    def buffered(self) -> int:
        return WEBSOCKET_COST + len(self._buffer) + self._size + len(self._history)

    def feed(self, data: bytes, counts: Counts) -> list[bytes]:
        """The payloads of the messages that these bytes complete."""
        messages: list[bytes] = []
        passing = min(self._skip, len(data))
        self._skip -= passing
        self._buffer += data[passing:] if passing else data
        at = 0
        while not self.failed and len(self._buffer) - at >= self._need:
            header = frame_header(self._buffer, at)
            if header is None:
                self._need += 1
                continue
            if not plausible(header, self.deflate):
                counts.websocket_refused += 1
                self.failed = True
                break
            if header.length > MAX_MESSAGE:
                at += self._pass_over(header, len(self._buffer) - at, counts)
                continue
            if len(self._buffer) - at < header.size + header.length:
                self._need = header.size + header.length
                break
            payload = bytes(self._buffer[at + header.size : at + header.size + header.length])
            at += header.size + header.length
            self._need = 2
            message = self._frame(header, unmask(payload, header.key), counts)
            if message is not None:
                messages.append(message)
        del self._buffer[:at]
        return messages

    def lose(self, size: int) -> bool:
        """The next bytes are missing. True if it is still known where the next frame starts."""
        if size <= self._skip:
            self._skip -= size
        else:
            rest = self._need - len(self._buffer)
            header = frame_header(self._buffer)
            if self._skip or header is None or size > rest:
                return False
            self._buffer.clear()
            self._skip = rest - size
            self._need = 2
        self._give_up()
        return True

    def _pass_over(self, header: FrameHeader, there: int, counts: Counts) -> int:
        """A payload too long to be SIP. Returns how many bytes of the buffer it takes."""
        counts.websocket_refused += 1
        self._give_up()
        self._need = 2
        passing = min(there, header.size + header.length)
        self._skip = header.size + header.length - passing
        return passing

    def _give_up(self) -> None:
        """A message was not read, so messages that refer to it cannot be read either."""
        self._parts = None
        self._size = 0
        self._history = b""

    def _frame(self, header: FrameHeader, payload: bytes, counts: Counts) -> bytes | None:
        """RFC 6455 5.4: the message that this frame completes. Control frames may come between those of a message."""
        opcode = header.first & 0x0F
        if opcode >= CLOSE:
            return None
        if opcode != CONTINUATION:
            self._parts, self._size = [], 0
            self._compressed = bool(header.first & RSV1)
        if self._parts is not None:
            self._size += len(payload) + FRAME_COST
            self._parts.append(payload)
            if self._size > MAX_MESSAGE:
                counts.websocket_refused += 1
                self._give_up()
        if not header.first & FIN or self._parts is None:
            return None
        message = b"".join(self._parts)
        self._parts, self._size = None, 0
        return self._inflated(message, counts) if self._compressed else message

    def _inflated(self, message: bytes, counts: Counts) -> bytes | None:
        """The plain text, at a cost that is bounded by the bytes that came."""
        if self._overdrawn:
            counts.undeflated += 1
            return None
        self._credit = min(self._credit + CREDIT_OF_MESSAGE + CREDIT_OF_BYTE * len(message), MOST_CREDIT)
        plain, size = inflate(message, self._history, self._credit)
        self._overdrawn = size > self._credit
        self._credit -= size
        if plain is None or self._overdrawn:  # messages that refer to it cannot be read either
            self._history = b""
            if self._overdrawn:
                counts.undeflated += 1
            else:
                counts.undecoded += 1
            return None
        if self.remembers:
            self._history = (self._history + plain)[-WINDOW:]
        if len(plain) > MAX_PLAIN:
            counts.websocket_refused += 1
            return None
        return plain


def upgrade(head: bytes) -> WebSocket | None:
    """The WebSocket that an HTTP request or response opens in its direction, or None (RFC 6455 4, RFC 7692 7.1)."""
    first, *lines = head.split(b"\n")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        headers[name] = headers[name] + b"," + value if name in headers else value
    if b"websocket" not in headers.get(b"upgrade", b"").lower():
        return None
    if first.startswith(b"GET "):
        return WebSocket()
    agreed = headers.get(b"sec-websocket-extensions", b"").lower()
    deflate = b"permessage-deflate" in agreed
    socket = WebSocket(deflate, b"server_no_context_takeover" not in agreed)
    socket.told = Agreement(deflate, b"client_no_context_takeover" not in agreed)
    return socket
