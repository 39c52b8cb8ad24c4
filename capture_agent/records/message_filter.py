"""The filter of messages: reads a captured message's fields when the filter asks. docs/filters.md describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from capture_agent.config.filter_fields import FilterField, Predicate, compile_filter
from capture_agent.config.filter_names import HEADER_FIELD, MESSAGE_FIELDS
from capture_agent.config.filter_text import parse_filter
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import COMPACT, reason_phrase, text
from capture_agent.sip.lookup import address, addresses, header_values, host_of, user_of
from capture_agent.sip.message import SipMessage

SHORT = {name: compact.encode() for compact, name in COMPACT.items()}
Values = Callable[[CapturedMessage], Sequence[Any]]


def part(get: Callable[[SipMessage], bytes | None]) -> Values:
    def values(message: CapturedMessage) -> list[str]:
        value = get(message.sip)
        return [text(value)] if value else []

    return values


def uri_parts(name: str, get: Callable[[SipMessage], bytes]) -> dict[str, Values]:
    return {
        f"{name}_uri": part(get),
        f"{name}_user": part(lambda sip: user_of(get(sip))),
        f"{name}_host": part(lambda sip: host_of(get(sip))),
    }


def asserted(sip: SipMessage) -> bytes:
    found = [one for value in header_values(sip, b"p-asserted-identity", b"") for one in addresses(value)]
    return found[0] if found else b""


def kinds(message: CapturedMessage) -> list[str]:
    sip = message.sip
    if not sip.is_request:
        return ["response"]
    return ["request", "in-dialog" if sip.to_tag else "initial"]


def user_agent(sip: SipMessage) -> bytes:
    return [*header_values(sip, b"user-agent", b""), *header_values(sip, b"server", b""), b""][0]


def users(message: CapturedMessage) -> list[str]:
    sip = message.sip
    return [text(user_of(address(value))) for value in (sip.from_value, sip.to_value) if value]


READ: dict[str, Values] = {
    "method": part(lambda sip: sip.method if sip.is_request else sip.cseq_method),
    "status": lambda message: [message.sip.status] if message.sip.status else [],
    "reason": part(reason_phrase),
    "kind": kinds,
    "call_id": part(lambda sip: sip.call_id),
    "cseq": lambda message: [message.sip.cseq],
    "from_tag": part(lambda sip: sip.from_tag),
    "to_tag": part(lambda sip: sip.to_tag),
    **uri_parts("from", lambda sip: address(sip.from_value or b"")),
    **uri_parts("to", lambda sip: address(sip.to_value or b"")),
    **uri_parts("request", lambda sip: sip.uri or b""),
    **uri_parts("pai", asserted),
    "user": users,
    "source": lambda message: [message.datagram.source],
    "destination": lambda message: [message.datagram.destination],
    "address": lambda message: [message.datagram.source, message.datagram.destination],
    "source_port": lambda message: [message.datagram.source_port],
    "destination_port": lambda message: [message.datagram.destination_port],
    "port": lambda message: [message.datagram.source_port, message.datagram.destination_port],
    "transport": lambda message: [message.datagram.transport],
    "vlan": lambda message: [message.datagram.vlan] if message.datagram.vlan >= 0 else [],
    "size": lambda message: [message.datagram.end - message.datagram.start],
    "user_agent": part(user_agent),
    "body": part(lambda sip: sip.body),
}
FIELDS = {name: FilterField(kind, meaning, READ[name]) for name, (kind, meaning) in MESSAGE_FIELDS.items()}


def header(name: str) -> FilterField:
    long_name = COMPACT.get(name.lower(), name.lower())
    wanted, short = long_name.encode(), SHORT.get(long_name, b"")
    return FilterField(*HEADER_FIELD, lambda message: [text(one) for one in header_values(message.sip, wanted, short)])


class MessageFilter:
    """Whether a message matches. Raises FilterError: the text is wrong, and where."""

    __slots__ = ("matches",)

    def __init__(self, filter_text: str) -> None:
        self.matches: Predicate[CapturedMessage] = compile_filter(parse_filter(filter_text), FIELDS, header)
