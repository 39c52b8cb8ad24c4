"""A call as an object for JSON: docs/look.md describes the fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from capture_agent.sip.headers import text
from capture_agent.view.aliases import Aliases
from capture_agent.view.call import SipCall


def call_object(call: SipCall, aliases: Aliases, legs: Iterable[SipCall] = ()) -> dict[str, Any]:
    """`legs`: all that are known."""
    return {
        "call_id": text(call.call_id),
        "correlation_id": text(call.correlation_id) or None,
        "legs": [text(leg.call_id) for leg in legs if leg is not call],
        "method": text(call.method),
        "state": call.state,
        "failed": call.failed,
        "status": call.status or None,
        "reason": text(call.reason) or None,
        "causes": list(map(text, call.causes)),
        "from_user": call.from_user,
        "from_host": call.from_host,
        "to_user": call.to_user,
        "to_host": call.to_host,
        "request_uri": text(call.uri),
        **{f"{name}_ns": getattr(call, f"{name}_ns") or None for name in ("first", "last", "answered", "ended")},
        "setup_seconds": call.setup_seconds,
        "duration_seconds": call.seconds,
        "messages": call.messages,
        "retransmissions": call.retransmissions,
        "challenges": call.challenges,
        "codecs": list(call.codecs),
        "media": [str(one) for one in call.media],
        "hosts": [aliases.label(*one) for one in call.endpoints],
        "transports": list(call.transports),
    }
