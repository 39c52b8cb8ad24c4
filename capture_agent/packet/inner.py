"""The result of a tunnel decoder: the kind and place of the inner packet. Helpers that all decoders share.

A decoder reads the payload data[at:end] of a decoded header, and never outside it: other frames may come before and
after. It copies nothing. None means that the payload is not what its port or type announces, or contains no packet. A
UDP payload on a tunnel's port may well be SIP, so decoders check everything that a format fixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# Kinds. From 0x0600 (IEEE 802.3 3.2.6) a kind is an ethertype; IP_PROTOCOL + n is the payload of IP protocol n.
ETHERNET = 1  # a MAC frame
IP = 2  # version 4 or 6, by its first four bits
IP_PROTOCOL = 0x100
FIRST_ETHERTYPE = 0x0600

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_VLANS = (0x8100, 0x88A8, 0x9100, 0x9200)
ETHERTYPE_MPLS = 0x8847
ETHERTYPE_MPLS_MULTICAST = 0x8848
ETHERTYPE_PPPOE = 0x8864
ETHERTYPE_BRIDGING = 0x6558  # Transparent Ethernet Bridging: a MAC frame follows

# Ethertypes accepted on their two bytes alone: the other tunnels that we can read.
ETHERTYPE_TUNNELS = frozenset((*ETHERTYPE_VLANS, ETHERTYPE_MPLS, ETHERTYPE_MPLS_MULTICAST)) | {
    0x22F3,  # TRILL
    0x88E7,  # 802.1ah
    0x8926,  # VN-tag
    0x893F,  # 802.1BR
    0x894F,  # NSH
}

MAC_HEADER = 14


class Inner(NamedTuple):
    """A packet in a packet: data[at:end] of this kind. There may be padding before the end."""

    kind: int
    at: int
    end: int


Decoder = Callable[[bytes, int, int], Inner | None]


def be16(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def le16(data: bytes, at: int) -> int:
    return data[at + 1] << 8 | data[at]


def be32(data: bytes, at: int) -> int:
    return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


def le32(data: bytes, at: int) -> int:
    return data[at + 3] << 24 | data[at + 2] << 16 | data[at + 1] << 8 | data[at]


def ip(data: bytes, at: int, end: int) -> Inner | None:
    """IP of either version."""
    return Inner(IP, at, end) if at < end and data[at] >> 4 in (4, 6) else None


def ethernet(data: bytes, at: int, end: int) -> Inner | None:
    """A MAC frame, with or without its FCS: IP has its own length."""
    return Inner(ETHERNET, at, end) if at + MAC_HEADER <= end else None


def typed(kind: int, data: bytes, at: int, end: int) -> Inner | None:
    """The payload of this ethertype."""
    if kind == ETHERTYPE_BRIDGING:
        return ethernet(data, at, end)
    return Inner(kind, at, end) if kind >= FIRST_ETHERTYPE and at < end else None


def ip_that_fits(data: bytes, at: int, end: int) -> bool:
    """Whether this is IP with a matching length, where no field says that it is IP."""
    if at + 20 > end:
        return False
    if data[at] >> 4 == 4:
        return 20 <= (data[at] & 0x0F) * 4 <= be16(data, at + 2) <= end - at
    return data[at] >> 4 == 6 and 40 <= 40 + be16(data, at + 4) <= end - at


def looks_like_ethernet(data: bytes, at: int, end: int) -> bool:
    """Whether a MAC frame's ethertype is one we can read, and the first byte after it agrees."""
    if at + MAC_HEADER >= end:
        return False
    kind = be16(data, at + 12)
    if kind == ETHERTYPE_IPV4:
        return data[at + MAC_HEADER] >> 4 == 4
    if kind == ETHERTYPE_IPV6:
        return data[at + MAC_HEADER] >> 4 == 6
    if kind == ETHERTYPE_PPPOE:
        return data[at + MAC_HEADER] == 0x11
    return kind in ETHERTYPE_TUNNELS


def ip_or_ethernet(data: bytes, at: int, end: int) -> Inner | None:
    """IP or a MAC frame, in formats that do not say which. A MAC address may also begin with 4 or 6 (RFC 4928)."""
    if ip_that_fits(data, at, end):
        return Inner(IP, at, end)
    if looks_like_ethernet(data, at, end):
        return Inner(ETHERNET, at, end)
    return ip(data, at, end)  # cut by the snap length
