"""Rows of a sip_trace table as messages, as if they had just been captured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from capture_agent.history.readable import endpoint_of
from capture_agent.history.stored_calls import StoredMessage
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROTOCOLS = {"udp": 17, "sctp": 132}  # all others are TCP
MICROSECOND = timedelta(microseconds=1)


def captured_message(row: StoredMessage) -> CapturedMessage | None:
    """None if its addresses are not two of one family, or it is not SIP."""
    (source, source_port), (destination, destination_port) = endpoint_of(row.from_ip), endpoint_of(row.to_ip)
    try:
        addresses = [ip_address(text).packed for text in (source, destination)]
        ports = int(source_port), int(destination_port)
    except ValueError:
        return None
    if len(addresses[0]) != len(addresses[1]) or not all(0 <= port <= 65535 for port in ports):
        return None
    start = 2 * len(addresses[0])
    data = b"".join((*addresses, row.message))
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
        ports[0],
        ports[1],
        time_ns=(row.time - EPOCH) // MICROSECOND * 1000,
        protocol=PROTOCOLS.get(transport, 6),
        transport=transport,
    )
    return CapturedMessage(datagram, sip)
