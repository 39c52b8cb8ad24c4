"""HEP packets of messages that are not SIP: RTCP reports, log events, payloads of other agents."""

from __future__ import annotations

from collections.abc import Callable

from capture_agent.config.targets import HepTarget
from capture_agent.net.connecting import Endpoint
from capture_agent.records.datagram import FROM_HEP, NO_VLAN, Datagram
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from hep import HLOG_ORDER, MAX_BYTES, HepError, Packet, encode
from hep.version3 import PREAMBLE

Endpoints = Callable[[], tuple[Endpoint, Endpoint]]  # of our connection to the collector

OURS = Origin()


def other_packet(traced: TracedMessage, target: HepTarget, endpoints: Endpoints) -> bytes:
    """HEP3 whatever the target's version; empty if it would be too long. Raises SinkError.

    Keeps the sending agent's own identity, and its correlation id unless the trace has one. The chunks are in the order
    of siptrace's hlog(), which writes an empty correlation id, too.
    """
    message, datagram = traced.message, traced.message.datagram
    origin = message.origin or OURS
    if datagram.flags & FROM_HEP == FROM_HEP:
        return relayed_packet(traced, target, origin)
    source, destination, protocol = ends(datagram, target, endpoints)
    seconds, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
    correlation_id = traced.trace.correlation_id or origin.correlation_id
    packet = Packet(
        source=source[0],
        destination=destination[0],
        source_port=source[1],
        destination_port=destination[1],
        protocol=protocol,
        seconds=seconds & 0xFFFFFFFF,
        microseconds=nanoseconds // 1000,
        protocol_type=message.kind,
        capture_id=target.capture_id if origin.capture_id is None else origin.capture_id,
        correlation_id=correlation_id if correlation_id or message.origin is None else None,
        auth_key=target.auth_key.encode() or None,
        vlan=datagram.vlan if target.vlan and datagram.vlan != NO_VLAN else None,
        agent_name=origin.node or target.node_name.encode() or None,
        payload=message.raw,
    )
    try:
        return encode(packet, order=HLOG_ORDER)
    except HepError:
        return b""


def relayed_packet(traced: TracedMessage, target: HepTarget, origin: Origin) -> bytes:
    """What another agent has sent us, as it came, with our key; empty if it would be too long."""
    message, datagram = traced.message, traced.message.datagram
    seconds, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
    addressed = datagram.address_size > 0
    packet = Packet(
        source=datagram.source if addressed else None,
        destination=datagram.destination if addressed else None,
        source_port=datagram.source_port,
        destination_port=datagram.destination_port,
        protocol=22 if datagram.transport == "tls" else datagram.protocol,
        seconds=seconds & 0xFFFFFFFF,
        microseconds=nanoseconds // 1000,
        protocol_type=message.kind,
        capture_id=target.capture_id if origin.capture_id is None else origin.capture_id,
        correlation_id=traced.trace.correlation_id or origin.correlation_id or None,
        auth_key=target.auth_key.encode() or None,
        vlan=datagram.vlan if datagram.vlan != NO_VLAN else None,
        agent_name=origin.node or target.node_name.encode() or None,
    )
    payload = Packet(payload=message.raw)
    try:
        head, body = encode(packet), encode(payload)[PREAMBLE.size :]
    except HepError:
        return b""
    size = len(head) + len(origin.chunks) + len(body)
    return b"" if size > MAX_BYTES else PREAMBLE.pack(head[:4], size) + head[PREAMBLE.size :] + origin.chunks + body


def ends(datagram: Datagram, target: HepTarget, endpoints: Endpoints) -> tuple[Endpoint, Endpoint, int]:
    """Source, destination and protocol.

    A message without addresses gets those of our connection to the collector, and its protocol: siptrace writes UDP
    even over TCP (docs/siptrace.md).
    """
    if datagram.address_size:
        source = (datagram.source, datagram.source_port)
        destination = (datagram.destination, datagram.destination_port)
        return source, destination, datagram.protocol
    return *endpoints(), 17 if target.transport == "udp" else 6
