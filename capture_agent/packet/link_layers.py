"""Link layers other than Ethernet, Linux cooked, loopback and raw IP, which the packet decoder handles itself."""

from __future__ import annotations

from collections.abc import Callable

from capture_agent.packet.behind_ethertype import ppp
from capture_agent.packet.inner import Inner, be16, ethernet, ip, le16, typed

ERF_HEADER = 16
ERF_EXTENDED = 0x80  # in the type, and in each extension header: another one follows
MOST_ERF_EXTENSIONS = 16
# Endace's ERF types, each in all its variants: coloured, hashed, multi-channel.
ERF_ETHERNET = frozenset((2, 11, 16, 20))
ERF_HDLC = frozenset((1, 5, 10, 15, 17, 19))
ERF_MULTICHANNEL = frozenset((5, 17))  # four bytes before HDLC: the channel
ERF_IP = frozenset((22, 23))

NFLOG_PAYLOAD = 9  # NFULA_PAYLOAD
ATTRIBUTE_TYPE = 0x7FFF  # the highest bit: nested


def ppp_or_hdlc(data: bytes, at: int, end: int) -> Inner | None:
    """LINKTYPE_PPP and LINKTYPE_PPP_HDLC: the address distinguishes PPP from Cisco's HDLC."""
    return cisco_hdlc(data, at, end) or ppp(data, at, end)


def cisco_hdlc(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 1547 4.3.1: address 0x0F or 0x8F (multicast), control 0, an ethertype."""
    if at + 4 > end or data[at] not in (0x0F, 0x8F) or data[at + 1]:
        return None
    return typed(be16(data, at + 2), data, at + 4, end)


def ppp_with_direction(data: bytes, at: int, end: int) -> Inner | None:
    """LINKTYPE_PPP_PPPD, with the direction instead of the address; LINKTYPE_PPP_WITH_DIR, with it before PPP."""
    if at + 2 > end:
        return None
    return ppp(data, at + 2 if data[at + 1] == 0x03 else at + 1, end)


def enc(data: bytes, at: int, end: int) -> Inner | None:
    """OpenBSD's enc(4): family, SPI and flags, four bytes each, before IP."""
    return ip(data, at + 12, end)


def pflog(data: bytes, at: int, end: int) -> Inner | None:
    """OpenBSD's pflog(4): the header's length without its padding, the family."""
    if at >= end or data[at] < 4:
        return None
    return ip(data, at + ((data[at] + 3) & ~3), end)


def nflog(data: bytes, at: int, end: int) -> Inner | None:
    """LINKTYPE_NFLOG: family, version 0, a number; then attributes in the byte order of the host."""
    if at + 4 > end or data[at + 1] != 0:
        return None
    return _nflog_payload(le16, data, at + 4, end) or _nflog_payload(be16, data, at + 4, end)


def _nflog_payload(u16: Callable[[bytes, int], int], data: bytes, at: int, end: int) -> Inner | None:
    while at + 4 <= end:
        length = u16(data, at)
        if length < 4:
            return None
        if u16(data, at + 2) & ATTRIBUTE_TYPE == NFLOG_PAYLOAD:
            return ip(data, at + 4, min(at + length, end))
        at += (length + 3) & ~3  # attributes are padded
    return None


def erf(data: bytes, at: int, end: int) -> Inner | None:
    """LINKTYPE_ERF, Endace's Extensible Record Format: time, type, flags, lengths; then the headers of its type."""
    if at + ERF_HEADER > end:
        return None
    kind = data[at + 8]
    extended, kind = kind & ERF_EXTENDED, kind & ~ERF_EXTENDED
    at += ERF_HEADER
    for _ in range(MOST_ERF_EXTENSIONS):
        if not extended:
            break
        if at + 8 > end:
            return None
        extended = data[at] & ERF_EXTENDED
        at += 8
    if extended:
        return None
    if kind in ERF_ETHERNET:  # two bytes before the MAC frame: offset and padding
        return ethernet(data, at + 2, end)
    if kind in ERF_HDLC:
        return ppp_or_hdlc(data, at + 4 if kind in ERF_MULTICHANNEL else at, end)
    return ip(data, at, end) if kind in ERF_IP else None
