"""Header names and values that the scan does not find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture_agent.sip.message import SipMessage

# RFC 3261 7.3.3 and the IANA registry "SIP Header Fields", column "compact".
COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
_LINE_END = re.compile(rb"\r?\n")
_URI_USER = re.compile(rb"sips?:([^@>;?]*)@", re.IGNORECASE)
_TEL_USER = re.compile(rb"tel:([^@>;?]*)", re.IGNORECASE)


def canonical(name: str) -> str:
    """The long form of a header name, in lower case."""
    lower = name.strip().lower()
    return COMPACT.get(lower, lower)


def split_headers(block: bytes) -> list[tuple[str, bytes]]:
    """The header lines of a message, unfolded (RFC 3261 7.3.1), without lines that lack a colon."""
    headers = []
    for line in _LINE_END.split(_FOLD.sub(b" ", block)):
        name, colon, value = line.partition(b":")
        if colon:
            headers.append((canonical(name.decode("latin-1")), value.strip()))
    return headers


def uri_user(value: bytes | None) -> str:
    """The user part of the URI in a From, To or request line, readable; '' if there is none."""
    if not value:
        return ""
    match = _URI_USER.search(value) or _TEL_USER.search(value)
    return text(match[1]) if match else ""


def reason_phrase(sip: SipMessage) -> bytes:
    """The words of a status line (RFC 3261 7.2); b"" for a request."""
    return b"" if sip.is_request else sip.start_line.partition(b" ")[2].partition(b" ")[2].strip()


def text(value: bytes | None) -> str:
    """Header bytes as text that can be stored and shown: invalid UTF-8 is escaped."""
    return "" if value is None else value.decode("utf-8", "backslashreplace")


def printable(value: str) -> str:
    """Control characters, escape sequences, line ends and bidirectional overrides as escapes: \\x1b, \\u202e.

    str.isprintable is False for all of Unicode's categories C* and Z*, the space excepted.
    """
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)


def call_id_forms(call_id: bytes) -> set[str]:
    """Every form in which this Call-ID is shown, and so may be searched: escaped, or with U+FFFD for invalid UTF-8."""
    shown = {text(call_id), call_id.decode("utf-8", "replace")}
    return shown | set(map(printable, shown))
