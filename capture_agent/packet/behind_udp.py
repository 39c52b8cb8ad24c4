"""Tunnels announced by a UDP port. SIP runs on any port, so each decoder rejects payloads that break its format.

None of them mistakes a SIP message for its format: SIP begins with a token's characters, all above 0x20.
"""

from __future__ import annotations

from capture_agent.packet.behind_ethertype import next_protocol, ppp
from capture_agent.packet.inner import ETHERNET, Inner, be16, ethernet, ip, ip_or_ethernet, looks_like_ethernet, typed
from capture_agent.packet.wireless import TZSP_WIRELESS

GTP_G_PDU = 255
GTP_NO_EXTENSION = 0
MAX_EXTENSIONS = 16
TZSP_PADDING = 0
TZSP_END = 1


def vxlan(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 7348 5: only flag I is set, or, with the group policy extension, G as well, and its 24 bits."""
    if at + 8 > end:
        return None
    flags = data[at]
    if flags & 0x7F != 0x08 or (flags == 0x08 and (data[at + 1] or data[at + 2] or data[at + 3])):
        return None
    return ethernet(data, at + 8, end)


def vxlan_gpe(data: bytes, at: int, end: int) -> Inner | None:
    """draft-ietf-nvo3-vxlan-gpe 3: flags I and P, version 0, no OAM; without P it is Ethernet."""
    if at + 8 > end or data[at] & 0xF9 != 0x08 or data[at + 1] or data[at + 2]:
        return None
    return next_protocol(data[at + 3] if data[at] & 0x04 else 3, data, at + 8, end)


def geneve(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 8926 3.4: version 0, no control packet; the length of the options counts words of four bytes."""
    # Receivers must ignore the reserved bits, but only they distinguish Geneve from other payloads.
    if at + 8 > end or data[at] & 0xC0 or data[at + 1] & 0xBF or data[at + 7]:
        return None
    return typed(be16(data, at + 2), data, at + 8 + (data[at] & 0x3F) * 4, end)


def gtp_u(data: bytes, at: int, end: int) -> Inner | None:
    """3GPP TS 29.281 5: version 1, a G-PDU; with E, S or PN set there are optional fields."""
    if at + 8 > end or data[at] & 0xF8 != 0x30 or data[at + 1] != GTP_G_PDU:
        return None
    flags = data[at] & 0x07
    end = min(at + 8 + be16(data, at + 2), end)
    at += 8
    if not flags:
        return ip_or_ethernet(data, at, end)
    if at + 4 > end:
        return None
    extension = data[at + 3] if flags & 0x04 else GTP_NO_EXTENSION
    at += 4
    for _ in range(MAX_EXTENSIONS):
        if extension == GTP_NO_EXTENSION:
            return ip_or_ethernet(data, at, end)
        if at >= end or data[at] == 0 or at + data[at] * 4 > end:
            return None
        at += data[at] * 4  # the length counts words of four bytes; the last byte names the next header
        extension = data[at - 1]
    return None


def tzsp(data: bytes, at: int, end: int) -> Inner | None:
    """TaZmen Sniffer Protocol: version 1, a received or transmitted packet, tags up to an end tag."""
    if at + 4 > end or data[at] != 1 or data[at + 1] > 1:
        return None
    protocol = be16(data, at + 2)
    at += 4
    while at < end and data[at] != TZSP_END:
        if data[at] == TZSP_PADDING:
            at += 1
        elif at + 1 < end:
            at += 2 + data[at + 1]
        else:
            return None
    at += 1
    if protocol == 1:
        return ethernet(data, at, end)
    if protocol == 7:
        return ip(data, at, end)
    decoder = TZSP_WIRELESS.get(protocol)
    return decoder(data, at, end) if decoder else None


def hp_erm(data: bytes, at: int, end: int) -> Inner | None:
    """HP ProCurve remote mirroring: twelve bytes without a fixed value, so what follows must look like a frame."""
    return Inner(ETHERNET, at + 12, end) if looks_like_ethernet(data, at + 12, end) else None


def l2tp(data: bytes, at: int, end: int) -> Inner | None:
    """RFC 2661 3.1: version 2, a data message, optional length, Ns and Nr, offset; PPP inside."""
    if at + 6 > end:
        return None
    flags = be16(data, at)
    if flags & 0xB4FF != 0x0002:  # T, the reserved bits and the version
        return None
    bound = end
    at += 2
    if flags & 0x4000:
        bound = at - 2 + be16(data, at)
        at += 2
    at += 4 + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        if at + 2 > end:
            return None
        at += 2 + be16(data, at)
    return ppp(data, at, min(bound, end))
