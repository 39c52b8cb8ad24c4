"""A log event as HEP3, with its chunks in the order of siptrace's hlog()."""

from __future__ import annotations

from capture_agent.config.targets import HepTarget
from capture_agent.net.connecting import Endpoint
from capture_agent.net.sender import Sender
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import PROTOCOLS
from hep import HLOG_ORDER, HepError, Packet, encode


def log_packet(traced: TracedMessage, target: HepTarget, sender: Sender) -> bytes:
    """HEP3 whatever the target's version; empty when it would be too long. Raises SinkError.

    An event without addresses gets the addresses and protocol of our connection to the collector. siptrace says UDP
    even over TCP.
    """
    source, destination, protocol = ends(traced, target, sender)
    datagram, trace = traced.message.datagram, traced.trace
    seconds, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
    packet = Packet(
        source=source[0],
        destination=destination[0],
        source_port=source[1],
        destination_port=destination[1],
        protocol=protocol,
        seconds=seconds & 0xFFFFFFFF,
        microseconds=nanoseconds // 1000,
        protocol_type=trace.payload_type,
        capture_id=target.capture_id,
        correlation_id=trace.correlation_id,
        auth_key=target.auth_key.encode() or None,
        agent_name=target.node_name.encode() or None,
        payload=traced.message.raw,
    )
    try:
        return encode(packet, order=HLOG_ORDER)
    except HepError:
        return b""


def ends(traced: TracedMessage, target: HepTarget, sender: Sender) -> tuple[Endpoint, Endpoint, int]:
    datagram = traced.message.datagram
    if any(datagram.source) or any(datagram.destination):
        source = (datagram.source, datagram.source_port)
        destination = (datagram.destination, datagram.destination_port)
        return source, destination, PROTOCOLS.get(datagram.transport, 17)
    return *sender.endpoints(), 17 if target.transport == "udp" else 6
