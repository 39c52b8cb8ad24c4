"""The payload types of a media line: encoding names and clock rates, by its description or else by RFC 3551."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

MOST = 64  # payload types of a place
LONGEST = 48  # bytes that are kept of each
EVENT = "telephone-event"  # RFC 4733

_MAPPED = re.compile(rb"^([0-9]{1,3})[ \t]+([A-Za-z0-9._+-]{1,32})/([0-9]{1,6})(?![0-9])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RtpFormat:
    codec: str  # as the description writes it; "": unknown
    clock_rate: int  # Hz; 0: unknown

    @property
    def is_event(self) -> bool:
        return self.codec.lower() == EVENT


UNKNOWN = RtpFormat("", 0)

# RFC 3551 6, and the payload types that it reserves for what was in use before.
STATIC = {
    number: RtpFormat(codec, clock_rate)
    for number, codec, clock_rate in (
        (0, "PCMU", 8000), (3, "GSM", 8000), (4, "G723", 8000), (5, "DVI4", 8000), (6, "DVI4", 16000), (7, "LPC", 8000),
        (8, "PCMA", 8000), (9, "G722", 8000), (10, "L16", 44100), (11, "L16", 44100), (12, "QCELP", 8000),
        (13, "CN", 8000), (14, "MPA", 90000), (15, "G728", 8000), (16, "DVI4", 11025), (17, "DVI4", 22050),
        (18, "G729", 8000), (19, "CN", 8000), (25, "CelB", 90000), (26, "JPEG", 90000), (28, "nv", 90000),
        (31, "H261", 90000), (32, "MPV", 90000), (33, "MP2T", 90000), (34, "H263", 90000),
    )
}  # fmt: skip


def described(mapped: Iterable[bytes]) -> bytes:
    """The values of a=rtpmap of one media line, as they are kept: nobody may ask for them."""
    return b"\n".join([one[:LONGEST] for one in islice(mapped, MOST)])


def later(former: bytes | None, new: bytes | None) -> bytes | None:
    """Those of a later description of the same place, or of the next media line there (BUNDLE).

    Former types keep their meaning unless they have another one now: what was counted had it.
    """
    if not former or new is None or former == new:
        return new
    if not new:
        return former
    return described(dict.fromkeys((*new.split(b"\n"), *former.split(b"\n"))))


def format_of(formats: bytes, payload_type: int) -> RtpFormat:
    """`formats`: what `described` has returned."""
    return _read(formats).get(payload_type) or STATIC.get(payload_type, UNKNOWN)


@lru_cache(maxsize=512)
def _read(formats: bytes) -> dict[int, RtpFormat]:
    """The first value of a type counts."""
    return {
        int(number): RtpFormat(codec.decode("ascii"), int(clock_rate))
        for number, codec, clock_rate in reversed(_MAPPED.findall(formats))
    }
