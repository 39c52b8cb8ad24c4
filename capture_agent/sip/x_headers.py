"""The five header lines that siptrace writes into a duplicate (xheaders_write), and reads back (xheaders_read).

    X-Siptrace-Fromip: udp:192.0.2.1:5060
    X-Siptrace-Toip: udp:192.0.2.2:5060
    X-Siptrace-Time: 1795386683 255621
    X-Siptrace-Method: INVITE
    X-Siptrace-Dir: in

They give the original message's hosts, time and direction; the duplicate itself went elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from capture_agent.addresses import TRANSPORTS

FIRST = b"\r\nX-Siptrace-Fromip: "
# siptrace reads tokens of at most 50 characters; its times are seconds and microseconds, without padding.
_BLOCK = re.compile(
    rb"\r\nX-Siptrace-Fromip: (\S{1,64})"
    rb"\r\nX-Siptrace-Toip: (\S{1,64})"
    rb"\r\nX-Siptrace-Time: ([0-9]{1,10}) ([0-9]{1,6})"
    rb"\r\nX-Siptrace-Method: ([A-Za-z0-9.!%*_+`'~-]{1,50})"
    rb"\r\nX-Siptrace-Dir: (in|out)(?=\r\n)"
)
_ADDRESS = re.compile(rf"({'|'.join(TRANSPORTS)}|any):(.+):([0-9]{{1,5}})")
ANY = "any"  # siptrace's word for an unknown transport


@dataclass(frozen=True, slots=True)
class XHeaders:
    """The lines' content, and their place: from the line end before the first to the one after the last."""

    start: int
    end: int
    source: bytes  # packed
    source_port: int
    destination: bytes
    destination_port: int
    transport: str
    time_ns: int
    direction: str  # in, out


def find_x_headers(data: bytes, start: int, end: int) -> XHeaders | None:
    """The lines among the headers in data[start:end]; None without any. Raises ValueError: incomplete or wrong.

    All five are required, in order and with valid values: nothing is guessed.
    """
    at = data.find(FIRST, start, end)
    if at < 0:
        return None
    match = _BLOCK.match(data, at, end)
    if match is None:
        raise ValueError("not the five lines in order")
    source_transport, source, source_port = address(match[1])
    transport, destination, destination_port = address(match[2])
    if len(source) != len(destination):
        raise ValueError("addresses of two families")
    return XHeaders(
        at,
        match.end(),
        source,
        source_port,
        destination,
        destination_port,
        agreed(source_transport, transport),
        int(match[3]) * 1_000_000_000 + int(match[4]) * 1000,
        match[6].decode(),
    )


def address(text: bytes) -> tuple[str, bytes, int]:
    """`udp:192.0.2.1:5060`; IPv6 with brackets or, as siptrace's script functions write it, without."""
    match = _ADDRESS.fullmatch(text.decode("ascii", "replace"))
    if match is None:
        raise ValueError("not proto:ip:port")
    transport, host, port = match.groups()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if int(port) > 65535:
        raise ValueError("no port")
    return transport, ip_address(host).packed, int(port)


def agreed(source: str, destination: str) -> str:
    """The destination's, as in siptrace's HEP; if it is unknown, the source's."""
    known = destination if destination != ANY else source
    return known if known != ANY else "udp"
