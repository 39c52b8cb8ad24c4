"""The path of a request by its Via headers: whether it has passed a host twice (RFC 3261 16.3, 16.8)."""

from __future__ import annotations

import re

from capture_agent.addresses import bracketed
from capture_agent.correlate.timers import MOST_VIAS
from capture_agent.records.datagram import Datagram
from capture_agent.sip.message import SipMessage

LINE = re.compile(rb"\n(?:via|v)[ \t]*:((?:[^\n]|\n[ \t])*)", re.I)
SENT_BY = re.compile(rb"(?:^|,)\s*SIP\s*/\s*2\.0\s*/\s*\w+\s+(\[[^\]]*\]|[^\s:;,]+)(?:\s*:\s*(\d+))?", re.I)
DEFAULT_PORT = b"5060"

Hop = tuple[bytes, bytes]  # host and port, as text


def via_stack(sip: SipMessage) -> list[Hop]:
    """The hosts that have sent the request on, the last one first."""
    hops: list[Hop] = []
    for line in LINE.finditer(sip.data, max(sip.headers_start - 1, 0), sip.body_start):
        hops += [(host.lower(), port or DEFAULT_PORT) for host, port in SENT_BY.findall(line[1])]
        if len(hops) > MOST_VIAS:
            break
    return hops[:MOST_VIAS]


def is_spiral(sip: SipMessage, datagram: Datagram) -> bool:
    """Whether a Via occurs twice, or the request goes to a host that has already added one."""
    hops = via_stack(sip)
    if len(set(hops)) < len(hops):
        return True
    if len(datagram.destination) not in (4, 16):
        return False
    host = datagram.destination_text
    return (bracketed(host).encode(), b"%d" % datagram.destination_port) in hops
