"""The path of a packet, read from its frame again on request. The decoder keeps only the innermost headers."""

from __future__ import annotations

from collections.abc import Iterator

from capture_agent.packet import tunnels
from capture_agent.packet.inner import ETHERNET, ETHERTYPE_VLANS, FIRST_ETHERTYPE, IP, IP_PROTOCOL, Decoder, Inner, be16
from capture_agent.records.datagram import NO_FRAME, Datagram

MAX_STEPS = 64  # more than the decoder follows
UDP = 17
COOKED, COOKED_2 = 113, 276
# The range of a link layer's header that depends on the path, not the packet. Sequence numbers and lengths, as in
# 802.11 and nflog, depend on the packet.
LINK_ADDRESSES = {1: (0, 12), COOKED: (0, 14), COOKED_2: (4, 20)}
RAW = {12: 0, 14: 0, 101: 0, 228: 0, 229: 0, 0: 4, 108: 4}  # link types with IP after this many bytes
# Extension headers that the decoder skips, except authentication, whose length has another unit.
EXTENSIONS = (0, 43, 44, 60, 135, 139, 140)

PROTOCOLS: dict[int, Decoder] = tunnels.BY_IP_PROTOCOL | tunnels.ESP_BY_IP_PROTOCOL
PORTS: dict[int, Decoder] = tunnels.BY_UDP_PORT | tunnels.ESP_BY_UDP_PORT


def outer_addresses(datagram: Datagram) -> tuple[tuple[bytes, bytes], ...]:
    """Source and destination of each IP header around the innermost one, outermost first.

    Empty for a message in several TCP segments or SCTP chunks; for one in fragments it stops at ESP.
    """
    *around, _ = [*_ip_headers(datagram), 0]
    return tuple(_addresses(datagram.data, at) for at in around)


def way(datagram: Datagram) -> tuple[object, ...] | None:
    """Equal for two packets that came the same way, different for others; None if unknown.

    Contains the interface, link-layer addresses, VLAN, hop limit, and the outer addresses of tunnels.
    """
    if datagram.frame_at == NO_FRAME or datagram.interface is None:
        return None
    data, at = datagram.data, datagram.frame_at
    start, end = LINK_ADDRESSES.get(datagram.interface.link_type, (0, 0))
    hops = data[datagram.address_at - (4 if datagram.address_size == 4 else 1)]
    # A datagram made of fragments has their headers in a separate buffer, and so a different place.
    size = datagram.address_at - at
    # Two VLAN tags and IPv4's bytes before the addresses are shorter than this, an outer IP header is longer.
    around = outer_addresses(datagram) if size > end + 24 else ()
    return id(datagram.interface), datagram.vlan, hops, size, data[at + start : at + end], around


def identification(datagram: Datagram) -> int:
    """IPv4's identification; 0 if it says nothing.

    Linux sends 0 with most UDP packets that must not be fragmented (RFC 6864 allows it), and IPv6 has none.
    """
    if datagram.frame_at == NO_FRAME or datagram.address_size != 4:
        return 0
    return be16(datagram.data, datagram.address_at - 8)


def _addresses(data: bytes, at: int) -> tuple[bytes, bytes]:
    start, size = (at + 12, 4) if data[at] >> 4 == 4 else (at + 8, 16)
    return data[start : start + size], data[start + size : start + 2 * size]


def _ip_headers(datagram: Datagram) -> Iterator[int]:
    """Where the IP headers around the innermost one start."""
    if datagram.frame_at == NO_FRAME or datagram.interface is None:
        return
    data, end = datagram.data, len(datagram.data)
    innermost = datagram.address_at - (12 if datagram.address_size == 4 else 8)
    step = _link(datagram.interface.link_type, data, datagram.frame_at, end)
    for _ in range(MAX_STEPS):
        if step is None or step.at >= innermost:
            return
        kind, at, end = step
        if kind in (IP, 0x0800, 0x86DD):
            yield at
            step = _behind_ip(data, at, end)
        else:
            step = _behind(kind, data, at, end)


def _link(link_type: int, data: bytes, at: int, end: int) -> Inner | None:
    if link_type == 1:
        return Inner(ETHERNET, at, end)
    if link_type == COOKED:
        return Inner(be16(data, at + 14), at + 16, end)
    if link_type == COOKED_2:
        return Inner(be16(data, at), at + 20, end)
    if link_type in RAW:
        return Inner(IP, at + RAW[link_type], end)
    decoder = tunnels.BY_LINK_TYPE.get(link_type)
    return decoder(data, at, end) if decoder else None


def _behind(kind: int, data: bytes, at: int, end: int) -> Inner | None:
    if kind == ETHERNET:
        kind, at = be16(data, at + 12), at + 14
        return Inner(kind, at, end) if kind >= FIRST_ETHERTYPE else tunnels.BEHIND_LENGTH(data, at, end)
    if kind in ETHERTYPE_VLANS:
        return Inner(be16(data, at + 2), at + 4, end)
    if kind < FIRST_ETHERTYPE and kind >= IP_PROTOCOL:
        return _behind_protocol(kind - IP_PROTOCOL, data, at, end)
    decoder = tunnels.BY_ETHERTYPE.get(kind, tunnels.BEHIND_LENGTH if kind < FIRST_ETHERTYPE else None)
    return decoder(data, at, end) if decoder else None


def _behind_ip(data: bytes, at: int, end: int) -> Inner | None:
    """ESP's trailer is found from the end of the packet; a datagram made of fragments ends with its buffer."""
    if data[at] >> 4 == 4:
        if not be16(data, at + 6) & 0x3FFF:
            end = min(end, at + (be16(data, at + 2) or end))
        return _behind_protocol(data[at + 9], data, at + (data[at] & 0x0F) * 4, end)
    whole = min(end, at + 40 + (be16(data, at + 4) or end))
    protocol, at = data[at + 6], at + 40
    while protocol in EXTENSIONS and at + 8 <= end:
        size = 8 if protocol == 44 else (data[at + 1] + 1) * 8
        whole = end if protocol == 44 else whole
        protocol, at = data[at], at + size
    end = whole
    return _behind_protocol(protocol, data, at, end)


def _behind_protocol(protocol: int, data: bytes, at: int, end: int) -> Inner | None:
    if protocol == UDP:
        if at + 8 > end:
            return None
        decoder = PORTS.get(be16(data, at + 2)) or PORTS.get(be16(data, at))
        return decoder(data, at + 8, end) if decoder else None
    decoder = PROTOCOLS.get(protocol)
    return decoder(data, at, end) if decoder else None
