"""A slow and simple walk over the tables of tunnels, for tests of the tables and of the generator of cases."""

from __future__ import annotations

from collections.abc import Iterator

from capture_agent.packet import tunnels
from capture_agent.packet.inner import ETHERNET, FIRST_ETHERTYPE, IP, IP_PROTOCOL, Inner, be16

MAX_DEPTH = 16
TCP, UDP = 6, 17
VLANS = (0x8100, 0x88A8)


def link(frame: bytes, link_type: int) -> Inner | None:
    end = len(frame)
    if link_type == 1:
        return Inner(ETHERNET, 0, end)
    if link_type == 101:
        return Inner(IP, 0, end)
    if link_type in (0, 108):
        return Inner(IP, 4, end)
    if link_type == 113:
        return Inner(be16(frame, 14), 16, end)
    if link_type == 276:
        return Inner(be16(frame, 0), 20, end)
    return tunnels.BY_LINK_TYPE[link_type](frame, 0, end)


def packets(frame: bytes, link_type: int) -> Iterator[tuple[int, bytes]]:
    """IP protocol and payload of every IP packet in a frame that is not a fragment, outermost first."""
    step = link(frame, link_type)
    for _ in range(MAX_DEPTH):
        if step is None:
            return
        kind, at, end = step
        if kind == ETHERNET:
            size = be16(frame, at + 12)
            step = Inner(size, at + 14, end) if size >= FIRST_ETHERTYPE else tunnels.BEHIND_LENGTH(frame, at + 14, end)
        elif kind in VLANS:
            step = Inner(be16(frame, at + 2), at + 4, end)
        elif kind in (IP, 0x0800, 0x86DD):
            step = behind_ip(frame, at, end)
        elif kind >= FIRST_ETHERTYPE:
            decoder = tunnels.BY_ETHERTYPE.get(kind)
            step = decoder(frame, at, end) if decoder else None
        else:
            protocol = kind - IP_PROTOCOL
            yield protocol, frame[at:end]
            step = behind_protocol(protocol, frame, at, end)


def behind_ip(frame: bytes, at: int, end: int) -> Inner | None:
    """Without options and extension headers, which do not occur here."""
    if frame[at] >> 4 == 4:
        if be16(frame, at + 6) & 0x3FFF:
            return None
        return Inner(IP_PROTOCOL + frame[at + 9], at + (frame[at] & 15) * 4, min(end, at + be16(frame, at + 2)))
    return Inner(IP_PROTOCOL + frame[at + 6], at + 40, min(end, at + 40 + be16(frame, at + 4)))


def behind_protocol(protocol: int, frame: bytes, at: int, end: int) -> Inner | None:
    if decoder := tunnels.BY_IP_PROTOCOL.get(protocol) or tunnels.ESP_BY_IP_PROTOCOL.get(protocol):
        return decoder(frame, at, end)
    port = be16(frame, at + 2)
    if protocol == UDP and (decoder := tunnels.BY_UDP_PORT.get(port) or tunnels.ESP_BY_UDP_PORT.get(port)):
        return decoder(frame, at + 8, end)
    return None
