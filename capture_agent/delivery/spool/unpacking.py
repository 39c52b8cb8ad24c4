"""The packets of packet_layout.py back to traced messages. Hot: compiled with unpacking.pxd, or plain Python."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import cython

from capture_agent.delivery.spool.packet_layout import (
    AGENT_NAME,
    CAPTURE_ID,
    CAPTURE_NUMBER,
    CHUNK,
    CORRELATION_ID,
    HAS_ORIGIN,
    INTERFACE,
    INTERFACE_FACTS,
    INTERFACE_NUMBERS,
    LAYOUTS,
    MASK,
    ORIGIN_CHUNKS,
    ORIGIN_CORRELATION_ID,
    ORIGIN_IN,
    ORIGIN_OUT,
    OUT,
    PLAIN_ROW,
    RETRANSMISSION,
    RULE,
    SIP,
    SIZES,
    TABLE,
    TRANSPORT,
    USER,
)
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram, new_datagram
from capture_agent.records.frames import Interface
from capture_agent.records.kinds import not_sip
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage, traced
from capture_agent.sip.message import SipMessage
from capture_agent.sip.scan import scan

if not cython.compiled:
    from capture_agent.records.datagram import NO_FRAME, NO_FRAME_END

CHUNK_SIZE = CHUNK.size
Value = TypeVar("Value")


class UnreadableBatch(ValueError):
    """These bytes are not what `pack` has written."""


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


@cython.final
@cython.cclass
class BatchUnpacker:
    """Reads what BatchPacker has written."""

    def __init__(self) -> None:
        self._traces: dict[tuple[bytes, int, int], Trace] = {}
        self._carriages: dict[bytes, tuple[str, Interface | None]] = {}
        self._origins: dict[tuple[bytes, int], Origin] = {}
        self._at: cython.Py_ssize_t = 0

    def unpack(self, data: bytes) -> list[TracedMessage]:
        """All messages of a batch. Raises UnreadableBatch."""
        messages: list[TracedMessage] = []
        self._at = 0
        try:
            while self._at < len(data):
                messages.append(self._message(data))
        except (struct.error, KeyError, ValueError, OverflowError) as error:
            raise UnreadableBatch(f"byte {self._at}: {type(error).__name__}") from None
        return messages

    def _message(self, data: bytes) -> TracedMessage:
        """The one that begins at self._at, which is its end afterwards."""
        at: cython.Py_ssize_t = self._at
        size: cython.Py_ssize_t = SIZES[data[at + 6 : at + 19] + data[at + 20 : at + 26]]
        layout = LAYOUTS[size]
        values: tuple[Any, ...] = layout.unpack_from(data, at)
        magic, length, protocol = values[:3]
        count: cython.Py_ssize_t = len(values)
        facts: tuple[Any, ...] = values[count - 18 :]
        (
            source_port, destination_port, kind, marks, time_ns, seen_ns, trace_sinks, sinks, vlan, frame, missing,
            sequence, flags, problems, of_trace, of_carriage, of_origin, payload_size,
        ) = facts  # fmt: skip
        start: cython.Py_ssize_t = at + layout.size
        carriage_at: cython.Py_ssize_t = start + of_trace
        origin_at: cython.Py_ssize_t = carriage_at + of_carriage
        payload_at: cython.Py_ssize_t = origin_at + of_origin
        end: cython.Py_ssize_t = at + length
        if magic != b"HEP3" or not payload_at + CHUNK_SIZE <= end <= len(data):
            raise UnreadableBatch("wrong length")
        trace = self._trace(data[start:carriage_at], marks & PLAIN_ROW, trace_sinks)
        transport, interface = self._carriage(data[carriage_at:origin_at])
        origin = self._origin(data[origin_at:payload_at], marks) if marks & HAS_ORIGIN else None
        payload: bytes = data[payload_at + CHUNK_SIZE : end]
        if len(payload) < payload_size:
            payload, end = joined(payload, payload_size, data, end)
        whole: bytes = b"".join((*values[3 : count - 18], payload))
        datagram: Datagram = new_datagram()
        datagram.data = whole
        datagram.start, datagram.end = 2 * size, len(whole)
        datagram.address_at, datagram.address_size = 0, size
        datagram.source_port = source_port
        datagram.destination_port = destination_port
        datagram.time_ns = time_ns
        datagram.frame = frame
        datagram.protocol = protocol
        datagram.transport = transport
        datagram.vlan = vlan
        datagram.interface = interface
        datagram.missing = missing
        datagram.sequence = sequence
        datagram.flags = flags
        datagram.frame_at, datagram.frame_end, datagram.frame_cut = NO_FRAME, NO_FRAME_END, 0
        datagram.frames = datagram.envelope = None
        self._at = end
        direction = Direction.OUT if marks & OUT else Direction.IN
        if kind != SIP:
            return traced(not_sip(kind, datagram, origin, seen_ns), direction, trace, sinks)
        sip: SipMessage | None = scan(whole, datagram.start, datagram.end)
        if sip is None:
            raise UnreadableBatch("not SIP")
        sip.problems = problems
        message: CapturedMessage = CapturedMessage(datagram, sip, origin, seen_ns)
        message.retransmission = bool(marks & RETRANSMISSION)
        return traced(message, direction, trace, sinks)

    def _trace(self, data: bytes, plain_row: cython.int, sinks: cython.ulonglong) -> Trace:
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

    def _origin(self, data: bytes, marks: cython.int) -> Origin:
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
                one(of, ORIGIN_CHUNKS, bytes, b""),
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
