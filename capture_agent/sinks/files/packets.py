"""Messages as frames, with the headers and checksums that they could have had."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from struct import Struct

from capture_agent.addresses import UDP
from capture_agent.records.datagram import NO_VLAN, Datagram
from capture_agent.records.frame_building import (
    IPV4,
    IPV6,
    LONGEST_SEGMENT,
    SYN,
    TCP,
    TCP_HEADER,
    UDP_HEADER,
    Ends,
)

ACK, PSH = 0x10, 0x08
MOST_CONNECTIONS = 10_000  # in all files; one that is evicted begins again with a SYN
LONGEST_UDP = {4: 65_535 - IPV4.size - UDP_HEADER.size, 16: 65_535 - UDP_HEADER.size}
MACS = bytes.fromhex("020000000002 020000000001")  # destination and source, locally administered
ETHERNET_IPV4, ETHERNET_IPV6, ETHERNET_VLAN = b"\x08\x00", b"\x86\xdd", b"\x81\x00"
# LINKTYPE_ values, https://www.tcpdump.org/linktypes.html
NULL, ETHERNET, LOOP, LINUX_SLL, LINUX_SLL2 = 0, 1, 108, 113, 276
RAW_LINKS = (12, 14, 101)
SENDER = MACS[6:] + bytes(2)
FAMILIES = {4: 2, 16: 24}  # of BSD loopback: AF_INET, AF_INET6
WINDOW = 65_535
PSEUDO_IPV6 = Struct("!II")

Way = tuple[int, bytes, int, bytes, int]


class Oversize(Exception):
    """It is longer than a datagram can be."""


class Packets:
    """Remembers the sequence numbers of connections, for each file."""

    def __init__(self) -> None:
        self._next: OrderedDict[Way, int] = OrderedDict()

    def frames(self, datagram: Datagram, message: bytes, serial: int, link_type: int = ETHERNET) -> Iterator[bytes]:
        """`serial`: of the file that they are for; `link_type`: a buildable one. Raises Oversize before the first."""
        ends = Ends(datagram.source, datagram.source_port, datagram.destination, datagram.destination_port)
        link = link_header(datagram, link_type)
        if datagram.protocol == UDP:
            if len(message) > LONGEST_UDP[len(ends.source)]:
                raise Oversize
            yield link + udp(ends, message)
            return
        for packet in self._segments(ends, message, serial, datagram.time_ns):
            yield link + packet

    def _segments(self, ends: Ends, message: bytes, serial: int, time_ns: int) -> Iterator[bytes]:
        """What is not TCP (SCTP) is shown as TCP, too."""
        there = (serial, ends.source, ends.source_port, ends.destination, ends.destination_port)
        back = (serial, ends.destination, ends.destination_port, ends.source, ends.source_port)
        if there not in self._next or back not in self._next:
            # RFC 9293 3.4.1: from the clock, so that readers see another connection if its start is written again.
            first = (time_ns >> 12) & 0xFFFF_FFFF
            other = first ^ 0x8000_0000
            yield tcp(ends, first, 0, SYN)
            opposite = Ends(ends.destination, ends.destination_port, ends.source, ends.source_port)
            yield tcp(opposite, other, first + 1, SYN | ACK)
            self._next[there], self._next[back] = first + 1, other + 1
            while len(self._next) > 2 * MOST_CONNECTIONS:
                self._next.popitem(last=False)
        for start in range(0, len(message), LONGEST_SEGMENT):
            piece = message[start : start + LONGEST_SEGMENT]
            yield tcp(ends, self._next[there], self._next[back], PSH | ACK, piece)
            self._next[there] += len(piece)
        self._next.move_to_end(back)
        self._next.move_to_end(there)


def buildable(link_type: int) -> int:
    """This link type, if frames of it can be built; otherwise Ethernet."""
    return link_type if link_type in (NULL, LOOP, LINUX_SLL, LINUX_SLL2, *RAW_LINKS) else ETHERNET


def link_header(datagram: Datagram, link_type: int) -> bytes:
    """With a VLAN tag, if the captured frame had one and the link type has room for it."""
    kind = ETHERNET_IPV4 if datagram.address_size == 4 else ETHERNET_IPV6
    if link_type in RAW_LINKS:
        return b""
    if link_type in (NULL, LOOP):
        return FAMILIES[datagram.address_size].to_bytes(4, "little" if link_type == NULL else "big")
    tag = b"" if datagram.vlan == NO_VLAN else (datagram.vlan & 0x0FFF).to_bytes(2, "big") + kind
    kind = ETHERNET_VLAN if tag else kind
    if link_type == LINUX_SLL:  # sent to us, ARPHRD_ETHER, 6 bytes of address
        return b"\0\0\0\1\0\6" + SENDER + kind + tag
    if link_type == LINUX_SLL2:  # the same, without the interface's number
        return kind + bytes(6) + b"\0\1\0\6" + SENDER + tag
    return MACS + kind + tag


def udp(ends: Ends, payload: bytes) -> bytes:
    size = UDP_HEADER.size + len(payload)
    header = UDP_HEADER.pack(ends.source_port, ends.destination_port, size, 0)
    # RFC 768: zero would mean that there is none.
    total = checksum(pseudo_header(ends, UDP, size) + header + payload) or 0xFFFF
    return ip(ends, UDP, UDP_HEADER.pack(ends.source_port, ends.destination_port, size, total) + payload)


def tcp(ends: Ends, sequence: int, acknowledged: int, flags: int, payload: bytes = b"") -> bytes:
    def header(total: int) -> bytes:
        numbers = sequence & 0xFFFF_FFFF, acknowledged & 0xFFFF_FFFF
        offset = TCP_HEADER.size // 4 << 4
        return TCP_HEADER.pack(ends.source_port, ends.destination_port, *numbers, offset, flags, WINDOW, total, 0)

    pseudo = pseudo_header(ends, TCP, TCP_HEADER.size + len(payload))
    return ip(ends, TCP, header(checksum(pseudo + header(0) + payload)) + payload)


def ip(ends: Ends, protocol: int, payload: bytes) -> bytes:
    if len(ends.source) == 16:
        return IPV6.pack(6 << 28, len(payload), protocol, 64, ends.source, ends.destination) + payload

    def header(total: int) -> bytes:
        dont_fragment = 0x4000  # RFC 6864: then the identification means nothing
        length = IPV4.size + len(payload)
        return IPV4.pack(0x45, 0, length, 0, dont_fragment, 64, protocol, total, ends.source, ends.destination)

    return header(checksum(header(0))) + payload


def pseudo_header(ends: Ends, protocol: int, size: int) -> bytes:
    """RFC 9293 3.1 and RFC 8200 8.1; the order of its parts does not change the sum."""
    return ends.source + ends.destination + PSEUDO_IPV6.pack(size, protocol)


def checksum(data: bytes) -> int:
    """RFC 1071. A sum of 16-bit words with carries added is the number modulo 65,535."""
    if len(data) % 2:
        data += b"\0"
    rest = int.from_bytes(data, "big") % 0xFFFF
    return 0xFFFF - rest if rest else 0
