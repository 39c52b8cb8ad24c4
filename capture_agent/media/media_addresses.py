"""Where media goes, by a session description (RFC 8866): RTP and RTCP of each media line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import islice

from capture_agent.media.rtp_formats import described

LONGEST = 16_384  # bytes that are looked at
MOST_LINES = 500  # that are used
MOST_MEDIA = 16
MOST_CANDIDATES = 8  # of one media line

_LINES = re.compile(rb"^[ \t\r\f\v]*+(m=|c=|a=rtcp:|a=candidate:|a=rtpmap:)([^\n]*+)", re.MULTILINE)
_IPV4 = re.compile(rb"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")

Place = tuple[bytes, int]  # address, packed, and port


@dataclass(slots=True)
class Announced:
    """One media line. `rtcp`: where RTCP goes, unless it is the port of RTP or the next one."""

    rtp: Place
    rtcp: list[Place] = field(default_factory=list)
    secure: bool = False  # SRTP
    formats: bytes | None = None  # of RTP, as rtp_formats reads them; None: no RTP


@dataclass(slots=True)
class _Media:
    """What is used of the lines of one media description."""

    words: list[bytes]  # of m=
    host: bytes = b""
    rtcp: list[bytes] = field(default_factory=list)
    candidates: list[bytes] = field(default_factory=list)
    mapped: list[bytes] = field(default_factory=list)


def announced(sdp: bytes) -> list[Announced]:
    """The media lines that are not refused, with an address that is one: a name is not resolved."""
    found: list[Announced] = []
    session, media = read(sdp)
    for part in media:
        words = part.words
        place = placed(part.host or session, words[1].partition(b"/")[0]) if len(words) >= 4 else None
        if place is None:
            continue
        formats = described(part.mapped) if b"RTP/" in words[2] else None
        one = Announced(place, secure=b"SAVP" in words[2], formats=formats)
        if part.rtcp:
            one.rtcp += explicit_rtcp(part.rtcp, place)
        for other in candidates(part.candidates):
            if other != place and other not in one.rtcp:
                one.rtcp.append(other)
        found.append(one)
    return found


def read(sdp: bytes) -> tuple[bytes, list[_Media]]:
    """The host of the session, and its media."""
    session = b""
    media: list[_Media] = []
    now: _Media | None = None
    for line in islice(_LINES.finditer(sdp[:LONGEST]), MOST_LINES):
        kind, text = line.groups()
        if kind == b"m=":
            if len(media) == MOST_MEDIA:
                break
            now = _Media(text.split())
            media.append(now)
        elif kind == b"c=":
            if words := text.split():
                host = words[-1].partition(b"/")[0]
                if now is None:
                    session = session or host
                else:
                    now.host = now.host or host
        elif now is not None:
            (now.mapped if kind == b"a=rtpmap:" else now.rtcp if kind == b"a=rtcp:" else now.candidates).append(text)
    return session, media


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
        if words := line.split():
            host = words[3] if len(words) >= 4 else ip_address(rtp[0]).compressed.encode()
            place = placed(host, words[0])
            if place is not None and place not in (rtp, (rtp[0], rtp[1] + 1)):
                yield place


def candidates(lines: list[bytes]) -> Iterator[Place]:
    """RFC 8839 5.1: a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host, of either component."""
    left = MOST_CANDIDATES
    for line in lines:
        if left and len(words := line.split()) >= 6 and words[2].upper() == b"UDP":
            left -= 1
            if (place := placed(words[4], words[5])) is not None:
                yield place
