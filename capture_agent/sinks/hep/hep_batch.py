"""Encodes traced messages into an encoder's buffer. Hot: compiled with hep_batch.pxd, or plain Python."""

from __future__ import annotations

import sys
from collections.abc import Callable

import cython

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.message import SipMessage
from hep.batch import Encoder

if not cython.compiled:  # the .pxd cimports it
    from capture_agent.records.datagram import FROM_HEP

# Chunk 0x0002 by transport. Like siptrace, 22 for everything encrypted and for WebSocket.
UDP = sys.intern("udp")
PROTOCOLS = {UDP: 17, "tcp": 6, "sctp": 132, "tls": 22, "ws": 22, "wss": 22}


def no_packet(traced: TracedMessage) -> bytes:
    raise ValueError(f"a message of kind {traced.message.kind}, expected SIP")


def fill(
    encoder: Encoder,
    batch: list[TracedMessage],
    first: cython.Py_ssize_t,
    enough: cython.Py_ssize_t,
    packet_of: Callable[[TracedMessage], bytes] = no_packet,
) -> tuple[int, bool]:
    """Add the packets of batch[first:] until the buffer has `enough` bytes or a message is too long for HEP.

    Returns the number of the first message that is not in it, and whether that one is too long. `packet_of` makes the
    packet of a message that is not SIP; an empty packet means that it is too long.
    """
    protocols: dict[str, int] = PROTOCOLS
    at: cython.Py_ssize_t = first
    count: cython.Py_ssize_t = len(batch)
    traced: TracedMessage
    datagram: Datagram
    sip: SipMessage
    protocol: cython.int
    message: CapturedMessage
    while at < count and encoder.used < enough:
        traced = batch[at]
        if type(traced.message) is not CapturedMessage:
            packet = packet_of(traced)
            if not packet or not encoder.append(packet):
                return at, True
            at += 1
            continue
        message = cython.cast(CapturedMessage, traced.message)
        datagram = message.datagram
        sip = message.sip
        if message.origin is not None:
            if not fill_from(encoder, traced, message):
                return at, True
            at += 1
            continue
        if encoder.with_vlan:
            encoder.set_vlan(datagram.vlan)
        protocol = 17 if datagram.transport is UDP else protocols.get(datagram.transport, 17)  # most need no look-up
        if not encoder.add(
            datagram.data,
            datagram.address_at,
            datagram.address_size,
            datagram.source_port,
            datagram.destination_port,
            protocol,
            datagram.time_ns,
            sip.start,
            sip.end,
            traced.trace.correlation_id,
        ):
            return at, True
        at += 1
    return at, False


def fill_from(encoder: Encoder, traced: TracedMessage, message: CapturedMessage) -> bool:
    """Add a message that another agent has sent us, as that agent would. False: it is too long."""
    datagram: Datagram = message.datagram
    sip: SipMessage = message.sip
    origin: Origin | None = message.origin
    assert origin is not None
    # A protocol without a name here goes on by its number.
    protocol: cython.int = datagram.protocol if datagram.transport is UDP else PROTOCOLS.get(datagram.transport, 17)
    correlation_id: bytes = traced.trace.correlation_id or origin.correlation_id
    return encoder.add_from(
        datagram.data,
        datagram.address_at,
        datagram.address_size,
        datagram.source_port,
        datagram.destination_port,
        protocol,
        datagram.time_ns,
        sip.start,
        sip.end,
        correlation_id,
        -1 if origin.capture_id is None else origin.capture_id,
        origin.node,
        datagram.vlan if (datagram.flags & FROM_HEP) == FROM_HEP or encoder.with_vlan else -1,
        origin.chunks,
    )
