"""A SIP message for people to read, wherever it comes from: a capture file or the sip_trace table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capture_agent.cli.ladder import Step, shared_host
from capture_agent.sip.headers import text, uri_user
from capture_agent.sip.message import SipMessage
from capture_agent.sip.scan import scan


@dataclass(frozen=True, slots=True)
class Seen:
    """One message: when, from where to where, its bytes."""

    time: float  # seconds since the epoch
    source: tuple[str, str]  # address, port
    destination: tuple[str, str]
    raw: bytes


def steps(messages: Iterable[Seen]) -> Iterator[Step]:
    """The ladder's steps, in the order of time."""
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
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def label(sip: SipMessage | None) -> str:
    """`INVITE`, `200 OK`"""
    if sip is None:
        return "not SIP"
    if sip.is_request:
        return text(sip.method)
    return text(sip.start_line).partition(" ")[2].strip() or "response"


def has_sdp(sip: SipMessage) -> bool:
    """Does the body describe a session? In a multipart body it is one of the parts (RFC 5621)."""
    kind = (sip.header("content-type") or b"").lower()
    if kind.startswith(b"multipart/"):
        return b"application/sdp" in sip.body.lower()
    return kind.startswith(b"application/sdp") and bool(sip.body)


def users(raw: bytes) -> tuple[str, str]:
    """The users in From and To; '' where there are none."""
    sip = scan(raw, 0, len(raw))
    return ("", "") if sip is None else (uri_user(sip.from_value), uri_user(sip.to_value))


def endpoint_of(stored: str) -> tuple[str, str]:
    """`udp:[::1]:5060`, as the table has it, to address and port. siptrace writes IPv6 without brackets, too."""
    _, _, place = stored.partition(":")
    address, _, port = place.rpartition(":")
    return address.removeprefix("[").removesuffix("]"), port
