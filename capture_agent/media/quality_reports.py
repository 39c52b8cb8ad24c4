"""Quality reports of phones (RFC 6035): PUBLISH or NOTIFY with application/vq-rtcpxr, sent once more for their call.

The message has a Call-ID of its own; that of the call which was measured is in its body. Homer keeps such reports apart
from SIP: protocol type 35, the whole message as payload (docs/media.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import ForeignPayload
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.lookup import header_values
from hep import ProtocolType

METHODS = (b"PUBLISH", b"NOTIFY")
CONTENT_TYPE = b"application/vq-rtcpxr"
LOOKED_AT = 16_384  # bytes of a body
LONGEST = 512  # bytes of a Call-ID

_CALL_ID = re.compile(rb"(?:\A|\n)[ \t]*+CallID[ \t]*+:[ \t]*+([^\r\n]++)", re.IGNORECASE)


def with_quality_reports(traced: list[TracedMessage], leg_id: Callable[[bytes], bytes]) -> Iterator[TracedMessage]:
    """These messages; after each that is such a report, the same as one of its call.

    `leg_id`: what the legs of the call with this Call-ID share, or nothing.
    """
    for one in traced:
        yield one
        message = one.message
        if isinstance(message, CapturedMessage) and (call_id := measured_call(message)):
            whole = message.datagram.with_payload(message.raw)
            origin = of_call(message.origin, call_id)
            report = ForeignPayload(ProtocolType.MOS_SHORT_JSON, whole, origin, message.seen_ns)
            yield TracedMessage(report, one.direction, one.trace.changed(correlation_id=leg_id(call_id)), one.sinks)


def of_call(origin: Origin | None, call_id: bytes) -> Origin:
    """As RTCP of this call has it."""
    sender = origin or Origin()
    return Origin(sender.direction, call_id, sender.node, sender.capture_id, sender.chunks)


def measured_call(message: CapturedMessage) -> bytes:
    """b"": it is no report, or does not say of which call."""
    sip = message.sip
    if not sip.is_request or sip.method not in METHODS:
        return b""
    kind = (header_values(sip, b"content-type", b"c") or [b""])[0].partition(b";")[0].strip().lower()
    found = _CALL_ID.search(sip.body[:LOOKED_AT]) if kind == CONTENT_TYPE else None
    return found[1].strip()[:LONGEST] if found else b""
