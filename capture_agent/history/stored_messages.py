"""Rows of a sip_trace table as messages, as if they had just been captured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROTOCOLS = {"udp": 17, "sctp": 132}  # all others are TCP
MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)  # one for each row: freezing it takes longer than making it
class StoredMessage:
    """A row; values that siptrace left NULL are ''."""

    id: int
    time: datetime  # UTC, with microseconds
    message: bytes
    call_id: str
    traced_user: str
    method: str  # in a response: of the request it answers
    status: str  # '' for a request
    from_ip: str  # proto:ip:port
    to_ip: str
    from_tag: str
    to_tag: str
    direction: str
    correlation_id: bytes = b""  # of the agent's own column, if the table has it


def endpoint_of(stored: str) -> tuple[str, str]:
    """Address and port of the table's `udp:[::1]:5060`. siptrace also writes IPv6 without brackets."""
    _, _, place = stored.partition(":")
    address, _, port = place.rpartition(":")
    return address.removeprefix("[").removesuffix("]"), port


def captured_message(row: StoredMessage) -> CapturedMessage | None:
    """None if its addresses are not two of one family, or it is not SIP."""
    found = seen_message(row)
    return found if found is not None and found.datagram.address_size else None


def addresses_of(row: StoredMessage) -> tuple[list[bytes], tuple[int, int]]:
    """Packed, and the ports. Raises ValueError: they are not two of one family."""
    (source, source_port), (destination, destination_port) = endpoint_of(row.from_ip), endpoint_of(row.to_ip)
    addresses = [ip_address(text).packed for text in (source, destination)]
    ports = int(source_port), int(destination_port)
    if len(addresses[0]) != len(addresses[1]) or not all(0 <= port <= 65535 for port in ports):
        raise ValueError("no two endpoints")
    return addresses, ports


def seen_message(row: StoredMessage) -> CapturedMessage | None:
    """Also without addresses, which a view can do without; None if it is not SIP."""
    try:
        addresses, ports = addresses_of(row)
    except ValueError:
        addresses, ports = [], (0, 0)
    data = b"".join((*addresses, row.message))
    start = len(data) - len(row.message)
    sip = scan(data, start, len(data))
    if sip is None:
        return None
    transport = row.from_ip.partition(":")[0].lower()
    datagram = Datagram(
        data,
        start,
        len(data),
        0,
        start // 2,
        *ports,
        time_ns=(row.time - EPOCH) // MICROSECOND * 1000,
        protocol=PROTOCOLS.get(transport, 6),
        transport=transport,
    )
    return CapturedMessage(datagram, sip)
