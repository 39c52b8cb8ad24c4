"""Where media goes, by a session description (RFC 8866): RTP and RTCP of each media line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from capture_agent.media.rtp_formats import described

LONGEST = 16_384  # bytes that are looked at
MOST_LINES = 500
MOST_MEDIA = 16
MOST_CANDIDATES = 8  # of one media line

_IPV4 = re.compile(rb"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")

Place = tuple[bytes, int]  # address, packed, and port


@dataclass(slots=True)
class Announced:
    """One media line. `rtcp`: where RTCP goes, unless it is the port of RTP or the next one."""

    rtp: Place
    rtcp: list[Place] = field(default_factory=list)
    secure: bool = False  # SRTP
    formats: bytes | None = None  # of RTP, as rtp_formats reads them; None: no RTP


def announced(sdp: bytes) -> list[Announced]:
    """The media lines that are not refused, with an address that is one: a name is not resolved."""
    found: list[Announced] = []
    lines = sdp[:LONGEST].split(b"\n", MOST_LINES)[:MOST_LINES]
    session, media = split_up(lines)
    host = connection(session)
    for part in media[:MOST_MEDIA]:
        words = part[0][2:].split()
        place = placed(connection(part) or host, words[1].partition(b"/")[0]) if len(words) >= 4 else None
        if place is None:
            continue
        formats = described(part) if b"RTP/" in words[2] else None
        one = Announced(place, secure=b"SAVP" in words[2], formats=formats)
        one.rtcp += explicit_rtcp(part, place)
        for other in candidates(part):
            if other != place and other not in one.rtcp:
                one.rtcp.append(other)
        found.append(one)
    return found


def split_up(lines: list[bytes]) -> tuple[list[bytes], list[list[bytes]]]:
    """The lines of the session, and those of each media line."""
    session: list[bytes] = []
    media: list[list[bytes]] = []
    for line in map(bytes.strip, lines):
        if line.startswith(b"m="):
            media.append([line])
        else:
            (media[-1] if media else session).append(line)
    return session, media


def connection(lines: list[bytes]) -> bytes:
    for line in lines:
        if line.startswith(b"c=") and (words := line[2:].split()):
            return words[-1].partition(b"/")[0]
    return b""


def placed(host: bytes, port: bytes) -> Place | None:
    """Nothing for a name, a multicast group, an address that means none, or a port that cannot be one."""
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    address = packed(host)
    return (address, int(port)) if address else None


def packed(host: bytes) -> bytes:
    """The address of one host; b"" if it is none."""
    if _IPV4.fullmatch(host):  # ip_address() takes ten times as long
        numbers = [int(number) for number in host.split(b".")]
        first = numbers[0]
        return bytes(numbers) if max(numbers) < 256 and any(numbers) and not 224 <= first < 240 else b""
    try:
        address = ip_address(host.decode("ascii"))
    except ValueError:
        return b""
    if address.version != 6 or address.is_unspecified or address.is_multicast or address.scope_id:
        return b""
    return address.packed


def is_private(address: bytes) -> bool:
    """RFC 1918, 6598, 4193."""
    first, second = address[0], address[1]
    if len(address) == 16:
        return first & 0xFE == 0xFC
    return (
        first == 10
        or (first == 172 and second & 0xF0 == 16)
        or (first == 192 and second == 168)
        or (first == 100 and second & 0xC0 == 64)
    )


def explicit_rtcp(lines: list[bytes], rtp: Place) -> Iterator[Place]:
    """RFC 3605: a=rtcp:53020 [IN IP4 126.16.64.4]."""
    for line in lines:
        if line.startswith(b"a=rtcp:") and (words := line[7:].split()):
            host = words[3] if len(words) >= 4 else ip_address(rtp[0]).compressed.encode()
            place = placed(host, words[0])
            if place is not None and place not in (rtp, (rtp[0], rtp[1] + 1)):
                yield place


def candidates(lines: list[bytes]) -> Iterator[Place]:
    """RFC 8839 5.1: a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host, of either component."""
    left = MOST_CANDIDATES
    for line in lines:
        if left and line.startswith(b"a=candidate:") and len(words := line.split()) >= 6 and words[2].upper() == b"UDP":
            left -= 1
            if (place := placed(words[4], words[5])) is not None:
                yield place
