"""Tunnels announced by an IP protocol number: IP in IP, GRE with ERSPAN and PPP in it, AH, EtherIP."""

from __future__ import annotations

from capture_agent.packet.behind_ethertype import ppp
from capture_agent.packet.inner import ETHERNET, IP, IP_PROTOCOL, Inner, be16, ethernet, ip, looks_like_ethernet, typed

GRE_CHECKSUM = 0x8000
GRE_KEY = 0x2000
GRE_SEQUENCE = 0x1000
GRE_ACKNOWLEDGE = 0x0080
GRE_VERSION = 0x0007
# RFC 2784 2.3: a receiver without RFC 1701 MUST discard a packet with any of these set: routing, strict source route
# and the first bit of recursion.
GRE_REFUSED = 0x4C00

PPP_IN_GRE = 0x880B
ERSPAN = 0x88BE  # type I and II
ERSPAN_3 = 0x22EB


def ipv4(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 2003; in IPv6, RFC 2473."""
    return Inner(IP, at, end) if at < end and data[at] >> 4 == 4 else None


def ipv6(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 4213; in IPv6, RFC 2473."""
    return Inner(IP, at, end) if at < end and data[at] >> 4 == 6 else None


def ah(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 4302 2: the length counts words of four bytes, less two."""
    if at + 12 > end or be16(data, at + 2):
        return None
    size = (data[at + 1] + 2) * 4
    return Inner(IP_PROTOCOL + data[at], at + size, end) if size >= 12 and at + size < end else None


def etherip(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 3378 3: version 3, the rest 0."""
    return ethernet(data, at + 2, end) if at + 2 <= end and be16(data, at) == 0x3000 else None


def gre(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 2784, 2890 (version 0) and 2637 (version 1)."""
    if at + 4 > end:
        return None
    flags = be16(data, at)
    if flags & GRE_REFUSED or flags & GRE_VERSION > 1:
        return None
    protocol = be16(data, at + 2)
    if flags & GRE_VERSION:
        return _gre_of_pptp(flags, protocol, data, at, end)
    at += 4 + 4 * (flags >> 15) + 4 * (flags >> 13 & 1) + 4 * (flags >> 12 & 1)
    if protocol == ERSPAN and not flags & GRE_SEQUENCE:
        return _erspan_without_sequence(data, at, end)
    if protocol in (ERSPAN, ERSPAN_3):
        return erspan(data, at, end)
    if protocol == PPP_IN_GRE:
        return ppp(data, at, end)
    return typed(protocol, data, at, end)


def plain_gre(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 8086 5: version 0 of GRE, in UDP. Only the reserved bits identify it."""
    return None if at + 4 > end or be16(data, at) & 0x4FFF else gre(data, at, end)


def _gre_of_pptp(flags: int, protocol: int, data: bytes, at: int, end: int) -> Inner | None:
    """RFC 2637 4.1: no checksum, a key with the payload's length; payload only with a sequence number."""
    if protocol != PPP_IN_GRE or flags & GRE_CHECKSUM or not flags & GRE_KEY or not flags & GRE_SEQUENCE:
        return None
    if at + 8 > end:
        return None
    length = be16(data, at + 4)
    at += 12 + (4 if flags & GRE_ACKNOWLEDGE else 0)
    return ppp(data, at, min(at + length, end))


def _erspan_without_sequence(data: bytes, at: int, end: int) -> Inner | None:
    """Type I has no header. Some send type II without its sequence number: then the frame decides."""
    if not looks_like_ethernet(data, at, end) and looks_like_ethernet(data, at + 8, end) and data[at] >> 4 == 1:
        return Inner(ETHERNET, at + 8, end)
    return ethernet(data, at, end)


def erspan(data: bytes, at: int, end: int) -> Inner | None:
    """draft-foschiano-erspan 4: version 1 is type II, version 2 is type III."""
    if at >= end:
        return None
    if data[at] >> 4 == 1:
        return ethernet(data, at + 8, end)
    if data[at] >> 4 != 2 or at + 12 > end:
        return None
    last = be16(data, at + 10)
    frame_type = last >> 10 & 0x1F
    at += 20 if last & 1 else 12  # the platform's subheader
    if frame_type == 0:
        return ethernet(data, at, end)
    return ip(data, at, end) if frame_type == 2 else None
