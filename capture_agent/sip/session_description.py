"""The session description (RFC 8866) in a message."""

from __future__ import annotations

from capture_agent.sip.lookup import header_values
from capture_agent.sip.message import SipMessage


def sdp_of(sip: SipMessage) -> bytes:
    """The session description in a message's body, also as a part (RFC 5621); b"" if there is none."""
    body = sip.body
    kind = (header_values(sip, b"content-type", b"c") or [b"application/sdp"])[0].lower()
    if kind.startswith(b"multipart/"):
        at = body.lower().find(b"application/sdp")
        begin = body.find(b"v=", at) if at >= 0 else -1
        end = body.find(b"\n--", begin)
        return body[begin : end if end >= 0 else len(body)] if begin >= 0 else b""
    return body if kind.startswith(b"application/sdp") and body.startswith(b"v=") else b""
