"""Session descriptions (RFC 8866): summed up, and explained line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from capture_agent.sip.headers import printable, text

MOST_LINES = 500
MOST_MEDIA = 16
MOST_FORMATS = 32
LONGEST_LINE = 1000  # bytes that are looked at

# RFC 3551 6: payload types that need no rtpmap.
STATIC = {
    "0": "PCMU", "3": "GSM", "4": "G723", "5": "DVI4", "7": "LPC", "8": "PCMA", "9": "G722", "10": "L16", "11": "L16",
    "12": "QCELP", "13": "CN", "14": "MPA", "15": "G728", "18": "G729", "26": "JPEG", "31": "H261", "32": "MPV",
    "33": "MP2T", "34": "H263",
}  # fmt: skip
NOT_CODECS = ("telephone-event", "CN")
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

TYPES = {
    "v": "version",
    "o": "origin",
    "s": "session name",
    "i": "information",
    "u": "URI",
    "e": "e-mail",
    "p": "phone",
    "c": "connection",
    "b": "bandwidth",
    "t": "time",
    "r": "repeat times",
    "z": "time zones",
    "k": "key",
    "a": "attribute",
    "m": "media",
}
ATTRIBUTES = {
    "rtpmap": "the codec of a payload type",
    "fmtp": "parameters of a payload type",
    "ptime": "milliseconds of media in a packet",
    "maxptime": "most milliseconds of media in a packet",
    "sendrecv": "sends and receives",
    "sendonly": "sends only: holds the other end",
    "recvonly": "receives only",
    "inactive": "neither sends nor receives: on hold",
    "rtcp": "where RTCP goes",
    "rtcp-mux": "RTP and RTCP on one port",
    "candidate": "an address to try (ICE, RFC 8839)",
    "ice-ufrag": "ICE user name",
    "ice-pwd": "ICE password",
    "fingerprint": "of the DTLS certificate",
    "setup": "who begins DTLS",
    "crypto": "an SRTP key (SDES, RFC 4568)",
    "mid": "name of this media",
    "group": "media that belong together",
    "ssrc": "an RTP source",
    "label": "name of this media, for others",
}


@dataclass(frozen=True, slots=True)
class Session:
    """One media line, with the connection and direction that hold for it."""

    kind: str  # audio, video
    host: str
    port: int  # 0: refused
    protocol: str  # RTP/AVP
    codecs: tuple[str, ...]
    direction: str

    def __str__(self) -> str:
        codecs = ", ".join(self.codecs)
        place = f"{self.host}:{self.port}" if self.port else "refused"
        direction = "" if self.direction == DIRECTIONS[0] else f" {self.direction}"
        return f"{self.kind} {place} {codecs}{direction}".rstrip()


def lines_of(sdp: bytes) -> list[str]:
    return [
        text(line.rstrip(b"\r")[:LONGEST_LINE]) for line in sdp.split(b"\n", MOST_LINES)[:MOST_LINES] if line.strip()
    ]


def media_lines(sdp: bytes) -> tuple[Session, ...]:
    """The first MOST_MEDIA media lines."""
    host, direction = "", DIRECTIONS[0]
    found: list[list[str]] = []  # per media line: its value, host, direction
    maps: list[dict[str, str]] = []
    for line in lines_of(sdp):
        kind, _, value = line.partition("=")
        if kind == "m":
            if len(found) >= MOST_MEDIA:
                break
            found.append([value, host, direction])
            maps.append({})
        elif kind == "c":
            place = value.split()[-1].partition("/")[0] if value.split() else ""
            if found:
                found[-1][1] = place
            else:
                host = place
        elif kind == "a" and value in DIRECTIONS:
            if found:
                found[-1][2] = value
            else:
                direction = value
        elif kind == "a" and value.startswith("rtpmap:") and maps:
            number, _, name = value[7:].partition(" ")
            maps[-1][number.strip()] = name.partition("/")[0].strip()
    return tuple(session(one, names) for one, names in zip(found, maps, strict=True))


def session(line: list[str], names: dict[str, str]) -> Session:
    words = line[0].split()
    kind, port, protocol, *formats = (*words, "", "", "")[: max(3, len(words))]
    number = port.partition("/")[0]
    codecs = dict.fromkeys(names.get(one) or STATIC.get(one, one) for one in formats[:MOST_FORMATS])
    size = int(number) if number.isascii() and number.isdigit() and len(number) <= 5 else 0
    return Session(kind, line[1], size, protocol, tuple(one for one in codecs if one), line[2])


def codecs_of(sdp: bytes) -> tuple[str, ...]:
    """The names of all codecs, in order, without tones and comfort noise."""
    names = dict.fromkeys(name for one in media_lines(sdp) if one.port for name in one.codecs)
    return tuple(name for name in names if name not in NOT_CODECS)


def explained(sdp: bytes) -> Iterator[tuple[str, str]]:
    """Each line, and what it says; both printable."""
    names: dict[str, str] = {}
    lines = lines_of(sdp)
    for line in lines:
        if line.startswith("a=rtpmap:"):
            number, _, name = line[9:].partition(" ")
            names[number] = name
    for line in lines:
        kind, _, value = line.partition("=")
        yield printable(line), printable(meaning(kind, value, names))


def meaning(kind: str, value: str, names: dict[str, str]) -> str:
    words = value.split()
    if kind == "m" and len(words) >= 3:
        codecs = ", ".join(names.get(one) or STATIC.get(one, one) for one in words[3 : 3 + MOST_FORMATS])
        port = words[1]
        return f"{words[0]} is refused" if port == "0" else f"{words[0]} to port {port} over {words[2]}: {codecs}"
    if kind == "c" and len(words) >= 3:
        held = " (on hold)" if words[2] == "0.0.0.0" else ""
        return f"media goes to {words[2]}{held}"
    if kind == "o" and len(words) >= 6:
        return f"session {words[1]}, version {words[2]}, made at {words[5]}"
    if kind == "b":
        return f"bandwidth: {value.partition(':')[2]} kbit/s" if value.startswith("AS:") else TYPES[kind]
    if kind == "a":
        return ATTRIBUTES.get(value.partition(":")[0], TYPES[kind])
    return TYPES.get(kind, "unknown")
