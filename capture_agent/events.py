"""Messages we send that were never captured: siptrace's hlog() and sip_trace_msg(), for commands and hooks."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.addresses import TRANSPORTS, UDP, parse_address, split_endpoint
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import LogEvent
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan, unscanned

# By the prefix of fromip and toip in the table; `any` is siptrace's for an unknown transport, and UDP in HEP.
PROTOCOLS = TRANSPORTS | {"any": UDP}
PLACE = "PROTO:IP:PORT"

NO_ADDRESSES = (0, 0, 0, 0)  # their offset and size, and the ports


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a message, in the form of fromip and toip."""

    transport: str
    address: bytes  # packed
    port: int


def parse_place(text: str) -> Place:
    """`udp:192.0.2.1:5060`, `tcp:[2001:db8::1]:5060`. Raises ValueError with the problem.

    As in siptrace, a missing port is 0, and an IPv6 address with a port may lack brackets.
    """
    transport, _, rest = text.partition(":")
    if transport.lower() not in PROTOCOLS:
        raise ValueError(f"protocol {transport!r}, expected {', '.join(PROTOCOLS)}")
    host, port = split_place(rest)
    address = parse_address(host).packed
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"port {port!r}, expected 0 to 65535")
    return Place(transport.lower(), address, int(port))


def split_place(text: str) -> tuple[str, str]:
    if text.startswith("["):
        bare, number = split_endpoint(text)
        return bare, "0" if number is None else number
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, "0")


def log_event(text: bytes, time_ns: int, correlation_id: bytes = b"", sinks: int = 0) -> TracedMessage:
    """A log line for HEP collectors (HEP3, type 100). `sinks`: ConfiguredSinks.log_events.

    It has no addresses: each sink adds those of its connection, as siptrace does.
    """
    datagram = Datagram(text, 0, len(text), *NO_ADDRESSES, time_ns=time_ns)
    return TracedMessage(LogEvent(datagram), Direction.OUT, Trace(sinks, correlation_id, plain_row=False))


def message_event(
    message: bytes, source: Place, destination: Place, time_ns: int, correlation_id: bytes = b"", sinks: int = 0
) -> TracedMessage:
    """Bytes that are sent as SIP, whether or not they are, from one place to another. Raises ValueError.

    The protocol is the destination's, as in siptrace.
    """
    if len(source.address) != len(destination.address):
        raise ValueError("one address is IPv4 and the other IPv6")
    return TracedMessage(made(message, source, destination, time_ns), Direction.OUT, Trace(sinks, correlation_id))


def made(payload: bytes, source: Place, destination: Place, time_ns: int) -> CapturedMessage:
    size = len(source.address)
    data = source.address + destination.address + payload
    start, end = 2 * size, len(data)
    datagram = Datagram(
        data,
        start=start,
        end=end,
        address_at=0,
        address_size=size,
        source_port=source.port,
        destination_port=destination.port,
        time_ns=time_ns,
        protocol=PROTOCOLS[destination.transport],
        transport=destination.transport,
    )
    return CapturedMessage(datagram, scan(data, start, end) or unscanned(data, start, end))
