"""Traced messages to the packets of packet_layout.py."""

from __future__ import annotations

import struct
from collections.abc import Iterator

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
from capture_agent.records.captured import CapturedMessage, Direction, Origin
from capture_agent.records.frames import Interface
from capture_agent.records.traced import Trace, TracedMessage
from hep import MAX_BYTES


class Unpackable(ValueError):
    """A message with a field that is longer, or a number that is larger, than the packets have room for."""


def chunk(kind: int, data: bytes, vendor: int = VENDOR) -> bytes:
    return CHUNK.pack(vendor, kind, 6 + len(data)) + data


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


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
