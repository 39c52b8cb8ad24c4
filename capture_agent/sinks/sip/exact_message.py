"""Ensures that every receiver sees exactly one message on a stream: RFC 3261 18.3, 7.5, 20.14.

The end of a datagram ends its message, whatever the Content-Length says. On a stream the Content-Length decides where
the next message begins: a wrong one swallows that message, or turns bytes that a stranger put after a body into one.
"""

from __future__ import annotations

import re

from capture_agent.books import Account
from capture_agent.sinks.sink import NOT_SIP

HEADERS_END = b"\r\n\r\n"
BEFORE = b" \t\r\n"  # may come before a start line, and is not part of the message

# Reasons why a message is not sent.
NO_HEADER_END, FRAMING = "no_header_end", "framing"
ACCOUNT = Account("sink", rejected=(NO_HEADER_END, FRAMING, NOT_SIP))

# All patterns expect lower-case headers and take linear time.
_START_LINE = re.compile(rb"sip/2\.0 |[^\r\n]* sip/2\.0[ \t]*[\r\n]")
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n")) + b"\x7f"
# Folded lines that a receiver may misread: as a header or, if they are all white space, as the end of the headers.
_FOLDED = re.compile(rb"\A[^\r]*\r\n[ \t]|\r\n[ \t]+(?:\r\n|(?:content-length|l)[ \t]*:)")
# The complete name Content-Length: `Content-Lengthy` is another header.
_LENGTH = re.compile(rb"\r\n(?:content-length|l)(?![-.!%*_+`'~0-9a-z])")
_VALUE = re.compile(rb"([ \t]*:)((?:[^\r]|\r\n[ \t])*)")
_NUMBER = re.compile(rb":[ \t]*([0-9]+)[ \t]*")


def framed(message: bytes) -> bytes | str:
    """The message with a Content-Length that makes all bytes after its headers its body; or why it cannot be sent.

    Changes only Content-Length: each one is corrected in place, without folding; if there is none, one is added as the
    last header. White space before the start line is removed.
    """
    if message[:1] in (b" ", b"\t", b"\r", b"\n"):
        message = message.lstrip(BEFORE)
    end = message.find(HEADERS_END)
    if end < 0:
        return NO_HEADER_END
    headers = message[: end + 2]
    lower = headers.lower()
    if _START_LINE.match(lower) is None:
        return NOT_SIP
    if is_ambiguous(lower):
        return FRAMING
    size = b"%d" % (len(message) - end - len(HEADERS_END))
    parts: list[bytes] = []
    at = 0
    missing = True
    for name in _LENGTH.finditer(lower):
        missing = False
        value = _VALUE.match(lower, name.end())
        if value is None:  # unexpected bytes between the name and the colon
            return FRAMING
        number = _NUMBER.fullmatch(lower, *value.span())
        if number is None or number[1] != size:
            parts += [headers[at : name.end()], b": ", size]
            at = value.end()
    if parts:
        return b"".join((*parts, message[at:]))
    if missing:
        return b"%bContent-Length: %b%b" % (headers, size, message[end:])
    return message


def is_ambiguous(headers: bytes) -> bool:
    """Whether receivers may disagree about line ends: a lone CR or LF, other control characters, folding."""
    lines = headers.count(b"\r\n")
    if headers.count(b"\n") != lines or headers.count(b"\r") != lines:
        return True
    if len(headers.translate(None, _CONTROLS)) != len(headers):
        return True
    folded = b"\r\n " in headers or b"\r\n\t" in headers
    return folded and _FOLDED.search(headers) is not None
