"""A message in a few words: `INVITE`, `200 OK`."""

from __future__ import annotations

import re

from capture_agent.sip.headers import text, uri_user
from capture_agent.sip.message import SipMessage

HOST = re.compile(rb"sips?:([^@>;?\s]+)", re.IGNORECASE)


def label(sip: SipMessage) -> str:
    """`INVITE`, `200 OK`"""
    if sip.is_request:
        return text(sip.method)
    return text(sip.start_line).partition(" ")[2].strip() or "response"


def party(value: bytes | None) -> str:
    """The user in a From or To, otherwise its host."""
    if user := uri_user(value):
        return user
    host = HOST.search(value or b"")
    return text(host[1]) if host else "?"
