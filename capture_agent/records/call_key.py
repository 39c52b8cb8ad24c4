"""What the messages of a call have in common. Hot: compiled with call_key.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.message import SipMessage


def call_key(traced: TracedMessage, by_leg: cython.bint) -> bytes:
    """The Call-ID, or the id that the sender of a message without one gives. Empty: nothing is known.

    `by_leg`: the id that the legs of a call share goes first. The origin of a report of a call has the Call-ID.
    """
    message: CapturedMessage
    sip: SipMessage
    origin: Origin | None
    call_id: bytes = b""
    leg: bytes = traced.trace.correlation_id
    if by_leg and leg:
        return leg
    if type(traced.message) is CapturedMessage:
        message = cython.cast(CapturedMessage, traced.message)
        sip = message.sip
        if sip.call_id_start < sip.call_id_end:
            call_id = sip.data[sip.call_id_start : sip.call_id_end]
        origin = message.origin
    else:
        origin = traced.message.origin
    if call_id and not by_leg:
        return call_id
    if origin is not None and origin.correlation_id:
        return origin.correlation_id
    return call_id or leg
