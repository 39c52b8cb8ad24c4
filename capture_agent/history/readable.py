"""A SIP message as readable text, whether it comes from a capture file or the sip_trace table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from capture_agent.addresses import endpoint_text
from capture_agent.history.ladder import Step, shared_host
from capture_agent.history.text import printable, shortened, width
from capture_agent.sip.headers import text, uri_user
from capture_agent.sip.message import SipMessage
from capture_agent.sip.scan import scan

LONGEST_PARTY = 40  # columns
HOST = re.compile(rb"sips?:([^@>;?\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """One message: time, source, destination, bytes."""

    time: float  # seconds since the epoch
    source: tuple[str, str]  # address, port
    destination: tuple[str, str]
    raw: bytes
    transport: str = ""


def steps(messages: Iterable[ShownMessage]) -> Iterator[Step]:
    """The ladder's steps, sorted by time."""
    ordered = sorted(messages, key=lambda message: message.time)  # stable: equal times keep their order
    with_ports = shared_host((message.source[0], message.destination[0]) for message in ordered)
    before: set[tuple[tuple[str, str], tuple[str, str], bytes]] = set()
    for message in ordered:
        sip = scan(message.raw, 0, len(message.raw))
        known = (message.source, message.destination, message.raw)
        yield Step(
            seconds=message.time - ordered[0].time,
            source=host(message.source, with_ports),
            destination=host(message.destination, with_ports),
            label=label(sip),
            has_sdp=sip is not None and has_sdp(sip),
            repeated=known in before,
        )
        before.add(known)


def host(endpoint: tuple[str, str], with_port: bool) -> str:
    address, port = endpoint
    if not with_port:
        return address
    return endpoint_text(address, port)


def label(sip: SipMessage | None) -> str:
    """`INVITE`, `200 OK`"""
    if sip is None:
        return "not SIP"
    if sip.is_request:
        return text(sip.method)
    return text(sip.start_line).partition(" ")[2].strip() or "response"


def has_sdp(sip: SipMessage) -> bool:
    """Whether the body describes a session; a multipart body has it as a part (RFC 5621)."""
    kind = (sip.header("content-type") or b"").lower()
    if kind.startswith(b"multipart/"):
        return b"application/sdp" in sip.body.lower()
    return kind.startswith(b"application/sdp") and bool(sip.body)


def title(messages: Sequence[ShownMessage], columns: int) -> Iterator[str]:
    """Date, zone, from, to, transport and Call-ID of a call: in one line if they fit."""
    first = min(messages, key=lambda message: message.time)
    sip = scan(first.raw, 0, len(first.raw))
    parties = [printable(party(value)) for value in ((sip.from_value, sip.to_value) if sip else (b"", b""))]
    source, destination = (shortened(each, LONGEST_PARTY) for each in parties)
    transports = ", ".join(dict.fromkeys(message.transport for message in messages if message.transport))
    line = f"{clock(first.time)}  {source} -> {destination}  {printable(transports)}".rstrip()
    call_id = "Call-ID " + printable(text(sip.call_id) if sip else "")
    if width(line) + 2 + width(call_id) <= columns:
        yield f"{line}  {call_id}"
    else:
        yield line
        yield call_id


def clock(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # outside the calendar
        return f"{seconds:.0f} s"


def party(value: bytes | None) -> str:
    """The user in a From or To, otherwise its host."""
    if user := uri_user(value):
        return user
    host = HOST.search(value or b"")
    return text(host[1]) if host else "?"


def endpoint_of(stored: str) -> tuple[str, str]:
    """Address and port of the table's `udp:[::1]:5060`. siptrace also writes IPv6 without brackets."""
    _, _, place = stored.partition(":")
    address, _, port = place.rpartition(":")
    return address.removeprefix("[").removesuffix("]"), port
