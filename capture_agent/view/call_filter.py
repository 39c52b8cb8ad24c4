"""The filter of calls: its fields, computed from a call when the filter asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from capture_agent.config.filter_fields import FilterField, Predicate, compile_filter
from capture_agent.config.filter_text import parse_filter
from capture_agent.sip.headers import text
from capture_agent.sip.lookup import address, host_of, user_of
from capture_agent.view.aliases import Aliases
from capture_agent.view.call import SipCall


def seconds(value: float | None) -> list[float]:
    return [] if value is None else [value]


def users(call: SipCall) -> list[str]:
    return [call.from_user, call.to_user, text(user_of(call.uri))]


Read = Callable[[SipCall], Sequence[Any]]

# Name, kind and meaning.
CALL_FIELDS: dict[str, tuple[str, str, Read]] = {
    "state": (
        "folded",
        "`ringing`, `in call`, ...: [look.md](look.md) lists them",
        lambda call: [call.state],
    ),
    "failed": ("flag", "refused with 400 to 699, other than 487", lambda call: [call.failed]),
    "method": ("folded", "of its first message; INVITE for anything in a call", lambda call: [text(call.method)]),
    "status": ("number", "of its answer", lambda call: [call.status] if call.status else []),
    "reason": ("folded", "the words of its answer", lambda call: [text(call.reason)]),
    "cause": (
        "folded",
        "headers Reason of a failure, a CANCEL or a BYE",
        lambda call: [text(one) for one in call.causes],
    ),
    "call_id": ("text", "the Call-ID", lambda call: [text(call.call_id)]),
    "correlation_id": ("text", "what its legs share", lambda call: [text(call.correlation_id)]),
    "from_user": ("text", "the user in From", lambda call: [call.from_user]),
    "from_host": ("folded", "the host in From", lambda call: [call.from_host]),
    "from_uri": ("folded", "the URI in From", lambda call: [text(address(call.from_value))]),
    "to_user": ("text", "the user in To", lambda call: [call.to_user]),
    "to_host": ("folded", "the host in To", lambda call: [call.to_host]),
    "to_uri": ("folded", "the URI in To", lambda call: [text(address(call.to_value))]),
    "request_uri": ("folded", "the URI of the first request", lambda call: [text(call.uri)]),
    "request_user": ("text", "its user", lambda call: [text(user_of(call.uri))]),
    "request_host": ("folded", "its host", lambda call: [text(host_of(call.uri))]),
    "user": ("text", "the user in From, in To or of the first request", users),
    "address": ("address", "any address that it passed", lambda call: [one for one, _ in call.endpoints]),
    "port": ("number", "any port that it passed", lambda call: [port for _, port in call.endpoints]),
    "transport": ("folded", "`udp`, `tcp`, `tls`, `sctp`, `ws` or `wss`", lambda call: call.transports),
    "messages": ("number", "how many messages", lambda call: [call.messages]),
    "retransmissions": ("number", "how many of them were sent again", lambda call: [call.retransmissions]),
    "challenges": ("number", "how often a password was asked for", lambda call: [call.challenges]),
    "setup": ("number", "seconds to the first ringing or answer", lambda call: seconds(call.setup_seconds)),
    "duration": ("number", "seconds from the answer to the end", lambda call: seconds(call.seconds)),
    "codec": ("folded", "names of codecs that both ends accept", lambda call: call.codecs),
}
HOST = ("folded", "an alias or address that it passed")


def call_fields(aliases: Aliases) -> dict[str, FilterField]:
    """`aliases`: for the field `host`."""
    fields = {name: FilterField(*field) for name, field in CALL_FIELDS.items()}
    fields["host"] = FilterField(*HOST, lambda call: [aliases.label(*one) for one in call.endpoints])
    return fields


class CallFilter:
    """Whether a call matches. Raises FilterError: the text is wrong, and where."""

    __slots__ = ("matches",)

    def __init__(self, filter_text: str, aliases: Aliases | None = None) -> None:
        self.matches: Predicate[SipCall] = compile_filter(parse_filter(filter_text), call_fields(aliases or Aliases()))
