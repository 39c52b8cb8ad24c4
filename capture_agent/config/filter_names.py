"""The fields of a filter of messages: name, kind and meaning. What reads them is records/message_filter.py."""

from __future__ import annotations

from typing import Any

from capture_agent.config.filter_fields import FilterField, compile_filter
from capture_agent.config.filter_text import parse_filter

# Kinds: filter_fields.FilterField explains them.
MESSAGE_FIELDS: dict[str, tuple[str, str]] = {
    "method": ("folded", "of the request; of a response: its CSeq's"),
    "status": ("number", "of a response; a request has none"),
    "reason": ("folded", "a response's words"),
    "kind": ("folded", "`request`, `response`, `initial` or `in-dialog`"),
    "call_id": ("text", "the Call-ID"),
    "cseq": ("number", "the CSeq's number"),
    "from_tag": ("text", "the From tag"),
    "to_tag": ("text", "the To tag"),
    "from_uri": ("folded", "the URI in From"),
    "from_user": ("text", "its user"),
    "from_host": ("folded", "its host"),
    "to_uri": ("folded", "the URI in To"),
    "to_user": ("text", "its user"),
    "to_host": ("folded", "its host"),
    "request_uri": ("folded", "the URI of the request"),
    "request_user": ("text", "its user"),
    "request_host": ("folded", "its host"),
    "pai_uri": ("folded", "the first URI in P-Asserted-Identity"),
    "pai_user": ("text", "its user"),
    "pai_host": ("folded", "its host"),
    "user": ("text", "the user in From or in To"),
    "source": ("address", "the source's address"),
    "destination": ("address", "the destination's address"),
    "address": ("address", "either address"),
    "source_port": ("number", "the source's port"),
    "destination_port": ("number", "the destination's port"),
    "port": ("number", "either port"),
    "transport": ("folded", "`udp`, `tcp`, `tls`, `sctp`, `ws` or `wss`"),
    "vlan": ("number", "the innermost VLAN"),
    "size": ("number", "bytes of the message"),
    "user_agent": ("folded", "the header User-Agent, otherwise Server"),
    "body": ("text", "the body, a session description for example"),
}
HEADER_FIELD = ("text", "any header, by name: `header:X-Account`")


def nothing(subject: Any) -> tuple[()]:
    return ()


def check_message_filter(text: str) -> str:
    """The text itself. Raises FilterError, a ValueError, with the column of what is wrong."""
    fields = {name: FilterField(kind, meaning, nothing) for name, (kind, meaning) in MESSAGE_FIELDS.items()}
    compile_filter(parse_filter(text), fields, lambda name: FilterField(*HEADER_FIELD, nothing))
    return text
