"""Makes a libpcap filter, in tcpdump's syntax, that passes packets that may carry SIP on certain ports.

It passes packets that it cannot look into: later fragments, tunnels, unusual headers. intake/ports.py checks their
content. A filter that would pass everything is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from capture_agent.config.endpoints import PortRange
from capture_agent.packet import tunnels

ETHERNET, COOKED = 1, 113
RAW = (12, 14, 101, 228, 229)
EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)  # headers before the ports in IPv6 that libpcap does not skip
VLANS = (0x8100, 0x88A8, 0x9100)  # headers that libpcap takes for VLAN tags
MAX_RANGES = 20
MAX_VLANS = 2  # after this many tags everything passes

# pcap-filter(7): these change the offsets in everything after them.
_MOVES = re.compile(r"\b(vlan|mpls|pppoes|geneve|pppoed)\b")


def moves_offsets(filter_text: str) -> bool:
    """Whether nothing may be appended to this filter."""
    return _MOVES.search(filter_text) is not None


# RTP's version 2; and of RTCP, a packet type from 192 to 223 (RFC 5761 4). libpcap reads UDP only in IPv4.
MEDIA = {
    "": (),
    "rtcp": ("udp[8:2] & 0xc0e0 = 0x80c0", "(ip6 proto 17 and ip6[48:2] & 0xc0e0 = 0x80c0)"),
    "rtp": ("udp[8] & 0xc0 = 0x80", "(ip6 proto 17 and ip6[48] & 0xc0 = 0x80)"),
}


def expression(ports: Iterable[PortRange], link_type: int, esp_null: bool = False, media: str = "") -> str:
    """The filter for this link type; "" passes everything, for types that libpcap may know less well than we do.

    `media`: what passes on any port; RTCP passes with RTP.
    """
    ip = " or ".join([*_on(list(ports)), *_uncertain(esp_null), *MEDIA[media]])
    if link_type in RAW:
        return ip
    if link_type == COOKED:
        return f"{ip} or {_not_ip()}"
    if link_type != ETHERNET:
        return ""
    # Each `vlan` shifts the offsets after it, so conditions without a VLAN come first.
    inside = f"{ip} or {_not_ip()}"
    for _ in range(MAX_VLANS):
        inside = f"{ip} or {_not_ip(VLANS)} or (vlan and ({inside}))"
    return inside


def _on(ports: list[PortRange]) -> Iterable[str]:
    """These ports; for a long list, all between the lowest and highest: the kernel accepts no long program."""
    if len(ports) > MAX_RANGES:
        ports = [PortRange(min(each.first for each in ports), max(each.last for each in ports))]
    for each in ports:
        yield f"port {each}" if each.first == each.last else f"portrange {each}"


def _uncertain(esp_null: bool) -> Iterable[str]:
    """IP packets that must be examined beyond their ports."""
    protocols = sorted({*tunnels.BY_IP_PROTOCOL, *(tunnels.ESP_BY_IP_PROTOCOL if esp_null else ())})
    yield "ip[6:2] & 0x1fff != 0"  # later fragments have no ports
    yield from (f"ip proto {protocol}" for protocol in protocols)
    yield from (f"ip6 proto {protocol}" for protocol in sorted({*protocols, *EXTENSIONS}))
    for port in sorted({*tunnels.BY_UDP_PORT, *(tunnels.ESP_BY_UDP_PORT if esp_null else ())}):
        yield f"udp port {port}"


def _not_ip(besides: Iterable[int] = ()) -> str:
    """Everything else that may contain IP: MPLS, PPPoE, tags, 802.2. ARP does not."""
    known = ["ip", "ip6", "arp", *(f"ether proto {kind:#x}" for kind in besides)]
    return f"not ({' or '.join(known)})"
