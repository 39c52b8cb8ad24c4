"""Fills templates with parts of a message: correlation ids and traced users."""

from __future__ import annotations

from collections.abc import Callable

from capture_agent.config.rule_options import HEADER, Part, Template
from capture_agent.policy.facts import Facts
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import text

LONGEST = 512  # bytes of a filled-in value: a peer chooses it


def first_of(slot: int) -> Callable[[Facts], bytes]:
    def read(facts: Facts) -> bytes:
        values = facts.values(slot)
        return values[0] if values else b""

    return read


def part_of_message(read: Callable[[CapturedMessage], object]) -> Callable[[Facts], bytes]:
    def as_bytes(facts: Facts) -> bytes:
        value = read(facts.message)
        if isinstance(value, bytes):
            return value
        return b"" if value is None else str(value).encode()

    return as_bytes


# Fields of templates.FIELDS that are not SIP addresses.
PARTS: dict[str, Callable[[CapturedMessage], object]] = {
    "call_id": lambda message: message.sip.call_id,
    "method": lambda message: message.sip.method if message.sip.is_request else message.sip.cseq_method,
    "cseq": lambda message: message.sip.cseq if message.sip.cseq >= 0 else None,
    "from_tag": lambda message: message.sip.from_tag,
    "to_tag": lambda message: message.sip.to_tag,
    "source": lambda message: message.datagram.source_text,
    "destination": lambda message: message.datagram.destination_text,
    "source_port": lambda message: message.datagram.source_port,
    "destination_port": lambda message: message.datagram.destination_port,
    "transport": lambda message: message.datagram.transport,
    "interface": lambda message: message.datagram.interface.name if message.datagram.interface else None,
    "vlan": lambda message: message.datagram.vlan if message.datagram.vlan >= 0 else None,
}


def reader(part: Part, facts: Facts) -> Callable[[Facts], bytes]:
    if part.field == HEADER:
        return first_of(facts.slot_of(part.header))
    if part.field in PARTS:
        return part_of_message(PARTS[part.field])
    return first_of(facts.slot_of(part.field))


class Filler:
    """A template. Parts that a message lacks are empty, so a template of only such parts is empty."""

    def __init__(self, template: Template, facts: Facts) -> None:
        self.constant = template.constant
        self._parts = [part.text.encode() if part.text else reader(part, facts) for part in template.parts]

    def filled(self, facts: Facts) -> bytes:
        parts = (part if isinstance(part, bytes) else part(facts) for part in self._parts)
        return b"".join(parts)[:LONGEST]

    def text(self, facts: Facts) -> str:
        return text(self.filled(facts))
