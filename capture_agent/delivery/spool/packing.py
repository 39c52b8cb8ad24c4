"""Traced messages as HEP3 packets, with chunks of our own for what HEP3 lacks.

Any decoder of HEP3 reads the packets. Here they have one layout, so that most fields are read with one struct: the
fixed chunks, then those of the trace, of the carriage (transport, interface), of the origin, and the payload. Messages
share traces, interfaces and origins: each is packed and unpacked once for a batch.

A payload that is too long for one packet goes on in packets that have the chunk CONTINUED and a payload.

What is left out: the message's transaction and dialog, which belong to the process, and the packet that carried it. The
payload is what sinks send, so a mask that was applied holds.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from capture_agent.records.captured import CapturedMessage, Direction, Origin
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Interface
from capture_agent.records.kinds import Captured, ForeignPayload, LogEvent, RtcpReport
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan
from hep import MAX_BYTES, Family, ProtocolType

SIP = int(ProtocolType.SIP)
VENDOR = 0xCA9E  # of our chunks; HEP3 rev. 37 has assigned 0 to 8

FIXED, CONTINUED = 1, 2
# Their types differ from those of HEP3's own chunks beside them.
USER, TABLE, RULE, MASK = 0x101, 0x102, 0x103, 0x104
TRANSPORT, INTERFACE, INTERFACE_FACTS = 0x201, 0x202, 0x203
ORIGIN_CORRELATION_ID = 0x301

AGENT_NAME, CORRELATION_ID, PAYLOAD = 0x0013, 0x0011, 0x000F  # HEP3's own
CAPTURE_ID = 0x000C
CHUNK = struct.Struct("!HHH")
INTERFACE_NUMBERS = struct.Struct("!qq")  # link type, decimals of its times
CAPTURE_NUMBER = struct.Struct("!I")

# Bits of `marks` in the fixed chunk.
OUT, PLAIN_ROW, RETRANSMISSION, HAS_ORIGIN, ORIGIN_IN, ORIGIN_OUT = (1 << n for n in range(6))

# Of the fixed chunk: marks; time and time seen; sinks of the trace and of the message; VLAN, frame, missing bytes,
# TCP sequence and flags, problems; bytes of the trace's, the carriage's and the origin's chunks; bytes of the payload.
FACTS = "BqqQQiqqqqqHHHI"
FACTS_SIZE = struct.calcsize("!" + FACTS)

Value = TypeVar("Value")


class UnreadableBatch(ValueError):
    """These bytes are not what `pack` has written."""


class Unpackable(ValueError):
    """A message with a field that is longer, or a number that is larger, than the packets have room for."""


class Layout:
    """The fixed chunks of a message with addresses of this size: 4, 16, or 0 for none."""

    def __init__(self, size: int) -> None:
        kinds = {4: (3, 4), 16: (5, 6), 0: ()}[size]
        family = bytes([Family.IPV6 if size == 16 else Family.IPV4])
        self.before = CHUNK.pack(0, 1, 7) + family + CHUNK.pack(0, 2, 7)
        self.heads = [
            *(CHUNK.pack(0, kind, 6 + size) for kind in kinds),
            *(CHUNK.pack(0, kind, 6 + width) for kind, width in ((7, 2), (8, 2), (9, 4), (10, 4), (11, 1))),
            CHUNK.pack(VENDOR, FIXED, 6 + FACTS_SIZE),
        ]
        addresses = f"6s{size}s" * len(kinds)
        self.pack = struct.Struct(f"!4sH13sB{addresses}6sH6sH6sI6sI6sB6s{FACTS}").pack
        skipping = f"6x{size}s" * len(kinds)
        reading = struct.Struct(f"!4sH13xB{skipping}6xH6xH6x4x6x4x6xB6x{FACTS}")
        self.size = reading.size
        self.unpack_from = reading.unpack_from


LAYOUTS = {size: Layout(size) for size in (4, 16, 0)}
SIZES = {layout.before + layout.heads[0]: size for size, layout in LAYOUTS.items()}


def chunk(kind: int, data: bytes, vendor: int = VENDOR) -> bytes:
    return CHUNK.pack(vendor, kind, 6 + len(data)) + data


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class BatchPacker:
    """Packs messages of one batch."""

    def __init__(self) -> None:
        self._traces: dict[int, tuple[Trace, bytes]] = {}  # by id(), with the trace so that the id stays its own
        self._carriages: dict[tuple[str, Interface | None], bytes] = {}
        self._origins: dict[Origin, bytes] = {}

    def pack(self, traced: TracedMessage) -> bytes:
        """Its packets, back to back. Raises Unpackable."""
        try:
            return self._packets(traced)
        except struct.error as error:
            raise Unpackable(str(error)) from None

    def _packets(self, traced: TracedMessage) -> bytes:
        message, datagram, trace = traced.message, traced.message.datagram, traced.trace
        held = self._traces.get(id(trace))
        if held is None:
            held = self._traces[id(trace)] = trace, trace_chunks(trace)
        of_trace = held[1]
        key = datagram.transport, datagram.interface
        of_carriage = self._carriages.get(key)
        if of_carriage is None:
            of_carriage = self._carriages[key] = carriage_chunks(*key)
        marks = (OUT if traced.direction is Direction.OUT else 0) | (PLAIN_ROW if trace.plain_row else 0)
        kind, problems, of_origin, origin = SIP, 0, b"", message.origin
        if type(message) is not CapturedMessage:
            kind = message.kind
        else:
            problems = message.sip.problems
            marks |= RETRANSMISSION if message.retransmission else 0
        if origin is not None:
            marks |= HAS_ORIGIN | {None: 0, Direction.IN: ORIGIN_IN, Direction.OUT: ORIGIN_OUT}[origin.direction]
            of_origin = self._origins.get(origin) or self._origins.setdefault(origin, origin_chunks(origin))
        payload = message.raw
        size = datagram.address_size
        layout = LAYOUTS[size]
        room = MAX_BYTES - layout.size - len(of_trace) - len(of_carriage) - len(of_origin) - CHUNK.size
        if room < 0:
            raise Unpackable("the texts of its trace are too long")
        first = payload[:room]
        seconds, rest = divmod(datagram.time_ns, 1_000_000_000)
        heads = layout.heads
        ends = (heads[0], datagram.source, heads[1], datagram.destination) if size else ()
        head = layout.pack(
            b"HEP3", MAX_BYTES - room + len(first), layout.before, datagram.protocol, *ends,
            heads[-6], datagram.source_port, heads[-5], datagram.destination_port,
            heads[-4], seconds & 0xFFFFFFFF, heads[-3], rest // 1000, heads[-2], kind, heads[-1],
            marks, datagram.time_ns, message.seen_ns, trace.sinks, traced.sinks, datagram.vlan, datagram.frame,
            datagram.missing, datagram.sequence, datagram.flags, problems,
            len(of_trace), len(of_carriage), len(of_origin), len(payload),
        )  # fmt: skip
        whole = b"".join((head, of_trace, of_carriage, of_origin, CHUNK.pack(0, PAYLOAD, 6 + len(first)), first))
        return whole if len(payload) <= room else whole + b"".join(continued(payload, room))


def continued(payload: bytes, at: int) -> Iterator[bytes]:
    mark = chunk(CONTINUED, b"")
    room = MAX_BYTES - 6 - len(mark) - CHUNK.size
    for start in range(at, len(payload), room):
        chunks = mark + chunk(PAYLOAD, payload[start : start + room], 0)
        yield struct.pack("!4sH", b"HEP3", 6 + len(chunks)) + chunks


def trace_chunks(trace: Trace) -> bytes:
    """Empty texts are left out."""
    return b"".join(
        [
            *([chunk(CORRELATION_ID, trace.correlation_id, 0)] if trace.correlation_id else []),
            *(chunk(USER, encoded(user)) for user in trace.users),
            *(chunk(kind, encoded(text)) for kind, text in ((TABLE, trace.table), (RULE, trace.rule)) if text),
            *(chunk(MASK, encoded(mask)) for mask in trace.masks),
        ]
    )


def carriage_chunks(transport: str, interface: Interface | None) -> bytes:
    chunks = chunk(TRANSPORT, encoded(transport))
    if interface is not None:
        chunks += chunk(INTERFACE, encoded(interface.name))
        chunks += chunk(INTERFACE_FACTS, INTERFACE_NUMBERS.pack(interface.link_type, interface.time_decimals))
    return chunks


def origin_chunks(origin: Origin) -> bytes:
    return b"".join(
        [
            *([] if origin.capture_id is None else [chunk(CAPTURE_ID, CAPTURE_NUMBER.pack(origin.capture_id), 0)]),
            *([chunk(ORIGIN_CORRELATION_ID, origin.correlation_id)] if origin.correlation_id else []),
            *([chunk(AGENT_NAME, origin.node, 0)] if origin.node else []),
        ]
    )


class BatchUnpacker:
    """Reads what BatchPacker has written."""

    def __init__(self) -> None:
        self._traces: dict[tuple[bytes, int, int], Trace] = {}
        self._carriages: dict[bytes, tuple[str, Interface | None]] = {}
        self._origins: dict[tuple[bytes, int], Origin] = {}

    def unpack(self, data: bytes) -> list[TracedMessage]:
        """All messages of a batch. Raises UnreadableBatch."""
        messages: list[TracedMessage] = []
        at = 0
        try:
            while at < len(data):
                message, at = self._message(data, at)
                messages.append(message)
        except (struct.error, KeyError, ValueError, OverflowError) as error:
            raise UnreadableBatch(f"byte {at}: {type(error).__name__}") from None
        return messages

    def _message(self, data: bytes, at: int) -> tuple[TracedMessage, int]:
        size = SIZES[data[at + 6 : at + 19] + data[at + 20 : at + 26]]
        layout = LAYOUTS[size]
        values = layout.unpack_from(data, at)
        magic, length, protocol = values[:3]
        source_port, destination_port, kind = values[-18:-15]
        (
            marks, time_ns, seen_ns, trace_sinks, sinks, vlan, frame, missing, sequence, flags, problems,
            of_trace, of_carriage, of_origin, payload_size,
        ) = values[-15:]  # fmt: skip
        start = at + layout.size
        carriage_at, origin_at = start + of_trace, start + of_trace + of_carriage
        payload_at = origin_at + of_origin
        end = at + length
        if magic != b"HEP3" or not payload_at + CHUNK.size <= end <= len(data):
            raise UnreadableBatch("wrong length")
        trace = self._trace(data[start:carriage_at], marks & PLAIN_ROW, trace_sinks)
        transport, interface = self._carriage(data[carriage_at:origin_at])
        origin = self._origin(data[origin_at:payload_at], marks) if marks & HAS_ORIGIN else None
        payload = data[payload_at + CHUNK.size : end]
        if len(payload) < payload_size:
            payload, end = joined(payload, payload_size, data, end)
        addresses = b"".join(values[3:-18])
        whole = addresses + payload
        datagram = Datagram(
            whole, 2 * size, len(whole), 0, size, source_port, destination_port, time_ns, frame, protocol, transport,
            vlan, interface, missing, sequence, flags,
        )  # fmt: skip
        message = message_of(kind, datagram, origin, seen_ns)
        if type(message) is CapturedMessage:
            message.sip.problems = problems
            message.retransmission = bool(marks & RETRANSMISSION)
        return TracedMessage(message, Direction.OUT if marks & OUT else Direction.IN, trace, sinks), end

    def _trace(self, data: bytes, plain_row: int, sinks: int) -> Trace:
        key = data, plain_row, sinks
        known = self._traces.get(key)
        if known is None:
            of = by_kind(data)
            known = self._traces[key] = Trace(
                sinks,
                one(of, CORRELATION_ID, bytes, b""),
                tuple(map(decoded, of.get(USER, ()))),
                one(of, TABLE, decoded, ""),
                bool(plain_row),
                one(of, RULE, decoded, ""),
                tuple(map(decoded, of.get(MASK, ()))),
            )
        return known

    def _carriage(self, data: bytes) -> tuple[str, Interface | None]:
        known = self._carriages.get(data)
        if known is None:
            of = by_kind(data)
            interface = None
            if INTERFACE in of:
                link_type, decimals = INTERFACE_NUMBERS.unpack(of[INTERFACE_FACTS][0])
                interface = Interface(decoded(of[INTERFACE][0]), link_type, decimals)
            known = self._carriages[data] = sys.intern(decoded(of[TRANSPORT][0])), interface
        return known

    def _origin(self, data: bytes, marks: int) -> Origin:
        key = data, marks & (ORIGIN_IN | ORIGIN_OUT)
        known = self._origins.get(key)
        if known is None:
            of = by_kind(data)
            direction = Direction.IN if marks & ORIGIN_IN else Direction.OUT if marks & ORIGIN_OUT else None
            known = self._origins[key] = Origin(
                direction,
                one(of, ORIGIN_CORRELATION_ID, bytes, b""),
                one(of, AGENT_NAME, bytes, b""),
                CAPTURE_NUMBER.unpack(of[CAPTURE_ID][0])[0] if CAPTURE_ID in of else None,
            )
        return known


def one(of: dict[int, list[bytes]], kind: int, read: Callable[[bytes], Value], absent: Value) -> Value:
    return read(of[kind][0]) if kind in of else absent


def by_kind(data: bytes) -> dict[int, list[bytes]]:
    """The chunks in it. Their vendors follow from their types here."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        _, kind, size = CHUNK.unpack_from(data, at)
        if size < CHUNK.size or at + size > len(data):
            raise UnreadableBatch("wrong length of a chunk")
        found.setdefault(kind, []).append(data[at + CHUNK.size : at + size])
        at += size
    return found


def joined(payload: bytes, size: int, data: bytes, at: int) -> tuple[bytes, int]:
    parts, have = [payload], len(payload)
    before = 6 + 2 * CHUNK.size
    while have < size:
        magic, length = struct.unpack_from("!4sH", data, at)
        if magic != b"HEP3" or length <= before or at + length > len(data):
            raise UnreadableBatch("wrong length of a continued payload")
        parts.append(data[at + before : at + length])
        have += length - before
        at += length
    return b"".join(parts), at


def message_of(kind: int, datagram: Datagram, origin: Origin | None, seen_ns: int) -> Captured:
    if kind == SIP:
        sip = scan(datagram.data, datagram.start, datagram.end)
        if sip is None:
            raise UnreadableBatch("not SIP")
        return CapturedMessage(datagram, sip, origin, seen_ns)
    if kind == RtcpReport.kind:
        return RtcpReport(datagram, origin, seen_ns)
    if kind == LogEvent.kind:
        return LogEvent(datagram, origin, seen_ns)
    return ForeignPayload(kind, datagram, origin, seen_ns)
