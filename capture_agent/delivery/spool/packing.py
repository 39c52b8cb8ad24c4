"""Traced messages to the packets of packet_layout.py. Hot: compiled with packing.pxd, or plain Python."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import cython

from capture_agent.delivery.spool.packet_layout import (
    AGENT_NAME,
    CAPTURE_ID,
    CAPTURE_NUMBER,
    CHUNK,
    CONTINUED,
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
    PAYLOAD,
    PLAIN_ROW,
    RETRANSMISSION,
    RULE,
    SIP,
    TABLE,
    TRANSPORT,
    USER,
    VENDOR,
)
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Interface
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.message import SipMessage
from hep import MAX_BYTES

CHUNK_SIZE = CHUNK.size
ORIGIN_MARKS = {None: 0, Direction.IN: ORIGIN_IN, Direction.OUT: ORIGIN_OUT}


class Unpackable(ValueError):
    """A message with a field that is longer, or a number that is larger, than the packets have room for."""


def chunk(kind: int, data: bytes, vendor: int = VENDOR) -> bytes:
    return CHUNK.pack(vendor, kind, 6 + len(data)) + data


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@cython.final
@cython.cclass
class BatchPacker:
    """Packs messages of one batch."""

    def __init__(self) -> None:
        self._traces: dict[int, tuple[Trace, bytes]] = {}  # by id(), with the trace so that the id stays its own
        self._carriages: dict[tuple[str, Interface | None], bytes] = {}
        self._origins: dict[Origin, bytes] = {}
        self._transport = ""  # the last carriage, which most messages share
        self._interface: Interface | None = None
        self._carriage = carriage_chunks("", None)

    def pack(self, traced: TracedMessage) -> bytes:
        """Its packets, back to back. Raises Unpackable."""
        try:
            return self._packets(traced)
        except struct.error as error:
            raise Unpackable(str(error)) from None

    def _packets(self, traced: TracedMessage) -> bytes:
        message = traced.message
        captured: CapturedMessage
        sip: SipMessage
        datagram: Datagram
        marks: cython.int = (OUT if traced.direction is Direction.OUT else 0) | (
            PLAIN_ROW if traced.trace.plain_row else 0
        )
        kind: cython.int = SIP
        problems: cython.int = 0
        seen_ns: cython.longlong
        if type(message) is CapturedMessage:
            captured = cython.cast(CapturedMessage, message)
            datagram, sip = captured.datagram, captured.sip
            problems = sip.problems
            marks |= RETRANSMISSION if captured.retransmission else 0
            seen_ns = captured.seen_ns
            origin = captured.origin
            payload: bytes = sip.raw
        else:
            datagram, kind, seen_ns, origin, payload = (
                message.datagram, message.kind, message.seen_ns, message.origin, message.raw,
            )  # fmt: skip
        of_origin: bytes = b""
        if origin is not None:
            marks |= HAS_ORIGIN | ORIGIN_MARKS[origin.direction]
            of_origin = self._origins.get(origin) or self._origins.setdefault(origin, origin_chunks(origin))
        of_trace: bytes = self._of_trace(traced.trace)
        of_carriage: bytes = self._of_carriage(datagram.transport, datagram.interface)
        size: cython.Py_ssize_t = datagram.address_size
        layout = LAYOUTS[size]
        room: cython.Py_ssize_t = (
            MAX_BYTES - layout.size - len(of_trace) - len(of_carriage) - len(of_origin) - CHUNK_SIZE
        )
        if room < 0:
            raise Unpackable("the texts of its trace are too long")
        first: bytes = payload if len(payload) <= room else payload[:room]
        time_ns: cython.longlong = datagram.time_ns
        seconds: cython.longlong = time_ns // 1_000_000_000
        heads = layout.heads
        ends = (heads[0], datagram.source, heads[1], datagram.destination) if size else ()
        whole: bytes = b"".join(
            (
                layout.pack(
                    b"HEP3", MAX_BYTES - room + len(first), layout.before, datagram.protocol, *ends,
                    layout.of_source_port, datagram.source_port, layout.of_destination_port, datagram.destination_port,
                    layout.of_seconds, seconds & 0xFFFFFFFF,
                    layout.of_microseconds, (time_ns - seconds * 1_000_000_000) // 1000,
                    layout.of_kind, kind, layout.of_facts,
                    marks, time_ns, seen_ns, traced.trace.sinks, traced.sinks, datagram.vlan, datagram.frame,
                    datagram.missing, datagram.sequence, datagram.flags, problems,
                    len(of_trace), len(of_carriage), len(of_origin), len(payload),
                ),
                of_trace, of_carriage, of_origin, payload_head(len(first)), first,
            )
        )  # fmt: skip
        return whole if len(payload) <= room else whole + b"".join(continued(payload, room))

    def _of_trace(self, trace: Trace) -> bytes:
        held = self._traces.get(id(trace))
        if held is None:
            held = self._traces[id(trace)] = trace, trace_chunks(trace)
        return held[1]

    def _of_carriage(self, transport: str, interface: Interface | None) -> bytes:
        if transport is not self._transport or interface is not self._interface:
            key = transport, interface
            found = self._carriages.get(key)
            if found is None:
                found = self._carriages[key] = carriage_chunks(transport, interface)
            self._transport, self._interface, self._carriage = transport, interface, found
        return self._carriage


def payload_head(size: int) -> bytes:
    return CHUNK.pack(0, PAYLOAD, CHUNK_SIZE + size)


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
            *([chunk(ORIGIN_CHUNKS, origin.chunks)] if origin.chunks else []),
        ]
    )
