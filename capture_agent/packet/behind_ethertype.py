"""Tunnels announced by an ethertype: MPLS, PPPoE and the PPP in it, and tags that hold another ethertype."""

from __future__ import annotations

from capture_agent.packet.inner import (
    ETHERNET,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_MULTICAST,
    IP,
    Inner,
    be16,
    ethernet,
    ip_or_ethernet,
    ip_that_fits,
    looks_like_ethernet,
    typed,
)

MAX_LABELS = 16

# RFC 1332, 5072, 3032: PPP protocol, and the matching ethertype.
PPP_PROTOCOLS = {
    0x0021: ETHERTYPE_IPV4,
    0x0057: ETHERTYPE_IPV6,
    0x0281: ETHERTYPE_MPLS,
    0x0283: ETHERTYPE_MPLS_MULTICAST,
}

# RFC 8300 2.2 and VXLAN-GPE's registry: next protocol, and the matching kind. 3 is Ethernet.
NEXT_PROTOCOLS = {1: ETHERTYPE_IPV4, 2: ETHERTYPE_IPV6, 4: 0x894F, 5: ETHERTYPE_MPLS}


def behind_labels(data: bytes, at: int, end: int) -> int:
    """The offset after an MPLS label stack (RFC 3032 2.1), or -1."""
    for _ in range(MAX_LABELS):
        if at + 4 > end:
            return -1
        at += 4
        if data[at - 2] & 1:  # the bottom of the stack
            return at
    return -1


def mpls(data: bytes, at: int, end: int) -> Inner | None:
    """IP, or an Ethernet pseudowire with or without a control word (RFC 4448, 8469). No field says which."""
    at = behind_labels(data, at, end)
    if at < 0 or at >= end:
        return None
    if data[at] >> 4 == 1:  # RFC 4385 5: an associated channel, not traffic
        return None
    if data[at] >> 4 == 0 and looks_like_ethernet(data, at + 4, end):
        return Inner(ETHERNET, at + 4, end)
    return ip_or_ethernet(data, at, end)


def mpls_that_fits(data: bytes, at: int, end: int) -> Inner | None:
    """MPLS as a guess only: the inner packet must be complete."""
    inner = mpls(data, at, end)
    if inner is None or (inner.kind == IP and not ip_that_fits(data, inner.at, end)):
        return None
    return inner


def ppp(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 1661 2 and 6.5, RFC 1662 3.1: address and control, and the protocol's first byte, may be left out."""
    if at + 2 <= end and data[at] == 0xFF and data[at + 1] == 0x03:
        at += 2
    if at >= end:
        return None
    protocol = data[at]
    at += 1
    if not protocol & 1:  # the last byte of a protocol number is odd
        if at >= end:
            return None
        protocol = protocol << 8 | data[at]
        at += 1
    kind = PPP_PROTOCOLS.get(protocol)
    if kind is None or at >= end:
        return None
    if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return Inner(kind, at, end) if data[at] >> 4 == (4 if kind == ETHERTYPE_IPV4 else 6) else None
    return Inner(kind, at, end)


def pppoe(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 2516 4, session stage: version and type 1, code 0."""
    if at + 6 > end or data[at] != 0x11 or data[at + 1] != 0:
        return None
    # If the length exceeds the end, the snap length has cut the frame.
    return ppp(data, at + 6, min(at + 6 + be16(data, at + 4), end))


def llc(data: bytes, at: int, end: int) -> Inner | None:
    """IEEE 802.2 LLC with SNAP, RFC 1042 and 802.1H: announced by a length in place of the ethertype."""
    if at + 8 > end or data[at] != 0xAA or data[at + 1] != 0xAA or data[at + 2] != 0x03:
        return None
    if data[at + 3] or data[at + 4] or data[at + 5] not in (0x00, 0xF8):  # another organisation's numbers
        return None
    return typed(be16(data, at + 6), data, at + 8, end)


def next_protocol(number: int, data: bytes, at: int, end: int) -> Inner | None:
    """By NSH's and VXLAN-GPE's number of the next protocol."""
    if number == 3:
        return ethernet(data, at, end)
    return typed(NEXT_PROTOCOLS.get(number, 0), data, at, end)


def nsh(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 8300 2.2: version 0, no OAM; the length counts words of four bytes, the first two included."""
    if at + 8 > end or data[at] & 0xE0:
        return None
    size = (data[at + 1] & 0x3F) * 4
    return next_protocol(data[at + 3], data, at + size, end) if size >= 8 else None


def trill(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 6325 3: version 0; an Ethernet frame after the options, whose length counts words of four bytes."""
    if at + 6 > end or data[at] >> 6:
        return None
    return ethernet(data, at + 6 + (be16(data, at) >> 6 & 0x1F) * 4, end)


def backbone(data: bytes, at: int, end: int) -> Inner | None:
    """IEEE 802.1ah 9.7: a customer's frame after the I-TAG."""
    return ethernet(data, at + 4, end)


def extension_tag(data: bytes, at: int, end: int) -> Inner | None:
    """802.1BR E-TAG: six bytes, then another ethertype."""
    return typed(be16(data, at + 6), data, at + 8, end) if at + 8 <= end else None


def vn_tag(data: bytes, at: int, end: int) -> Inner | None:
    """Cisco VN-tag: four bytes, then another ethertype."""
    return typed(be16(data, at + 4), data, at + 6, end) if at + 6 <= end else None
