"""Masks over people's data and keys in a message, before it leaves the agent.

A mask accepts any bytes, never raises, and reads each byte a bounded number of times. All masks except users:hash keep
every length. No mask changes the length of a body, so Content-Length stays correct. Masking a message twice changes
nothing more.

The masks search the whole message for lines, not only the parts that its headers name. So they find lines in nested
multiparts, without boundaries, in any content type, and in text with escaped line ends (\\r\\n). They cannot look into
a compressed or encoded body: they hide all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from capture_agent.emission.rewriting import rewritten
from capture_agent.emission.users import STARS, hashed, hidden_users, truncated, with_group
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.message import SipMessage

Mask = Callable[[bytes, SipMessage], bytes]

_AT_LINE_START = rb"(?i)(?:\A|(?<=[\r\n])|(?<=\\[rn]))[ \t]*+"
_FIELD = rb"(?:[ \t]|\r?\n[ \t])*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"  # the value with its folded lines (RFC 3261 7.3.1)

# rspauth in the Info headers allows guessing passwords, like a response.
_CREDENTIALS = re.compile(_AT_LINE_START + rb"(?:proxy-)?auth(?:orization|entication-info)" + _FIELD)
_SCHEME = re.compile(rb"(?i)[ \t\r\n]*+(?:digest|basic|bearer|ntlm|negotiate|kerberos|aka)(?=[ \t\r\n])")
_IN_URI = re.compile(rb"[?&]([^=&<>\s\"?]{1,120})=([^&>\s\"]*+)")  # RFC 3261 19.1.1: headers of a URI
CREDENTIALS_IN_URI = (b"authorization", b"proxy-authorization")
BODY_IN_URI = (b"body",)

# RFC 3261 20.12, 7.4.1; RFC 2045 6: encodings other than plain text.
_CONTENT_ENCODING = re.compile(_AT_LINE_START + rb"(?:content-encoding|e)[ \t]*+:\s*+(?!identity\s)[^\s]")
_TRANSFER_ENCODING = re.compile(
    _AT_LINE_START + rb"content-transfer-encoding[ \t]*+:\s*+(?!(?:7bit|8bit|binary)[\s;])[^\s]"
)

# RFC 4568 9.1, also as a capability (RFC 5939 3.4.1) and with a scale ([MS-SDPEXT] 3.1.5.3); k= and key-mgmt are older,
# rarer ways to transport keys (RFC 4566 5.12, 4567).
_ATTRIBUTE = _AT_LINE_START + rb"a[ \t]*+=[ \t]*+(?:acap[ \t]*+:[ \t]*+\d++[ \t]++)?"
_CRYPTO = re.compile(_ATTRIBUTE + rb"crypto[ \t]*+:([^\r\n]*+)")
_SCALE = re.compile(_ATTRIBUTE + rb"cryptoscale[ \t]*+:[ \t]*+(?:\d{1,9}[ \t]++)?(?:(?:client|server)\b)?([^\r\n]*+)")
_OTHER_KEYS = re.compile(
    rb"(?i)(?:"
    + _ATTRIBUTE.removeprefix(b"(?i)")
    + rb"key-mgmt[ \t]*+:[ \t]*+(?:mikey\b)?|"
    + _AT_LINE_START.removeprefix(b"(?i)")
    + rb"k[ \t]*+=[ \t]*+(?!prompt\s)(?:(?:clear|base64|uri)[ \t]*+:)?)([^\r\n]*+)"
)
# A key anywhere, even in a line that no RFC describes.
_ANY_KEY = re.compile(rb"(?i)\binline(?::|%3a)[ \t]*+([^\s|;,\"'\\<>&]++)")
_WORD = re.compile(rb"[^ \t]++")
_TAG = re.compile(rb"\d{1,9}")
_SUITE = re.compile(rb"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_SESSION_PARAMETER = re.compile(rb"[A-Z]+(?:_[A-Z]+)*(?:=(?:\d{1,4}|[A-Z]+_[A-Z]+))?")
_INLINE = re.compile(rb"(?i)(?:fec_key=)?inline:")
_LIFETIME_OR_MKI = re.compile(rb"(?:2\^)?\d{1,20}|\d{1,20}:\d{1,3}")


_LINE_END = re.compile(rb"\r\n?|\n")
_HEADER = re.compile(rb"([-.!%*_+`'~0-9A-Za-z]+)[ \t]*:")
# Headers of a MESSAGE (RFC 3428 table 1), with compact forms, and common extensions.
_SIP_NAME = re.compile(
    rb"(?i)accept.*|alert-info|allow.*|authentication-info|(?:proxy-)?auth.*|proxy-.*|www-authenticate|call-id|call-info"
    rb"|contact|content-.*|cseq|date|error-info|expires|from|geolocation.*|history-info|identity.*|in-reply-to"
    rb"|max-forwards|organization|p-.*|path|priority|privacy|reason|record-route|reply-to|request-disposition|require"
    rb"|retry-after|route|security-.*|server|session-id|supported|timestamp|to|unsupported|user-agent|via|warning|x-.*"
    rb"|[abcdefijklmnorstuvxy]"
)


def starred(data: bytes) -> bytes:
    return data.translate(STARS)


def mask_authorization(raw: bytes, sip: SipMessage) -> bytes:
    """Credentials in any line: a body may contain a message (RFC 3420)."""
    raw = without_opaque_body(raw, sip)
    if b"auth" in raw.lower():
        raw = _CREDENTIALS.sub(lambda match: with_group(match, hidden_credentials(match[1])), raw)
    return without_headers_of_uris(raw, CREDENTIALS_IN_URI)


def without_headers_of_uris(raw: bytes, names: tuple[bytes, ...]) -> bytes:
    def hide(match: re.Match[bytes]) -> bytes:
        if unquote_to_bytes(match[1]).lower() not in names:
            return match[0]
        at = match.start(2) - match.start()
        return match[0][:at] + starred(match[2])

    return _IN_URI.sub(hide, raw)


def without_opaque_body(raw: bytes, sip: SipMessage) -> bytes:
    at = sip.body_start - sip.start
    opaque = _CONTENT_ENCODING.search(raw, 0, at) or _TRANSFER_ENCODING.search(raw)
    return raw[:at] + starred(raw[at:]) if opaque else raw


def hidden_credentials(value: bytes) -> bytes:
    """Hides all but a known scheme's name: an unknown word may be the secret."""
    scheme = _SCHEME.match(value)
    kept = scheme.end() if scheme else 0
    return value[:kept] + starred(value[kept:])


def mask_sdes(raw: bytes, sip: SipMessage) -> bytes:
    """Keys of SRTP in SDP, in every part of the body."""
    raw = without_opaque_body(raw, sip)
    raw = _ANY_KEY.sub(lambda match: with_group(match, starred(match[1])), raw)
    raw = _SCALE.sub(lambda match: with_group(match, hidden_crypto(match[1], 1)), raw)
    raw = without_headers_of_uris(raw, BODY_IN_URI)
    raw = _CRYPTO.sub(lambda match: with_group(match, hidden_crypto(match[1])), raw)
    return _OTHER_KEYS.sub(lambda match: with_group(match, starred(match[1])), raw)


def hidden_crypto(value: bytes, number: int = 0) -> bytes:
    """`1 AES_CM_128_HMAC_SHA1_80 inline:****|2^20|1:4 KDR=1`: hides all words not known to be harmless.

    `number`: how many words came before.
    """

    def hide(match: re.Match[bytes]) -> bytes:
        nonlocal number
        number += 1
        harmless = (_TAG, _SUITE)[number - 1] if number <= 2 else _SESSION_PARAMETER
        return match[0] if harmless.fullmatch(match[0]) else hidden_keys(match[0])

    return _WORD.sub(hide, value)


def hidden_keys(parameter: bytes) -> bytes:
    return b";".join(map(hidden_key, parameter.split(b";")))


def hidden_key(parameter: bytes) -> bytes:
    method = _INLINE.match(parameter)
    if method is None:
        return starred(parameter)
    key, *rest = parameter[method.end() :].split(b"|")
    rest = [part if _LIFETIME_OR_MKI.fullmatch(part) else starred(part) for part in rest]
    return method[0] + b"|".join([starred(key), *rest])


def mask_message_body(raw: bytes, sip: SipMessage) -> bytes:
    """What people write to each other (RFC 3428). Content-Type and the length stay."""
    if b"MESSAGE" not in ((sip.method or b"").upper(), (sip.cseq_method or b"").upper()):
        return raw
    at = text_start(raw, sip.body_start - sip.start)
    return without_headers_of_uris(raw[:at], BODY_IN_URI) + b"*" * (len(raw) - at)


def text_start(raw: bytes, body: int) -> int:
    """The offset of the text. If the empty line before it is missing, the first line that is not a header begins it.

    Without any empty line, it also begins after Content-Length, by custom the last header, or at a line that begins
    with a name unknown in SIP.
    """
    ended = body < len(raw)
    at = start_of_next(raw, 0)  # after the first line
    while at < body:
        after = start_of_next(raw, at)
        line = raw[at:after]
        name = _HEADER.match(line)
        if name is None and line.strip(b"\r\n") and not (ended and line[:1] in b" \t"):
            return at
        if not ended and name is not None and name[1].lower() in (b"content-length", b"l"):
            return after
        if not ended and name is not None and not _SIP_NAME.fullmatch(name[1]):
            return at
        at = after
    return body


def start_of_next(raw: bytes, at: int) -> int:
    """After the end of this line: CR LF, LF or CR."""
    end = _LINE_END.search(raw, at)
    return len(raw) if end is None else end.end()


def mask_users(hide: Callable[[bytes], bytes]) -> Mask:
    return lambda raw, sip: hidden_users(raw, sip.body_start - sip.start, hide)


# In order of application: the last may move the body, whose offset the others need.
MASKS: dict[str, Callable[[bytes], Mask]] = {
    "authorization": lambda key: mask_authorization,
    "sdes": lambda key: mask_sdes,
    "message-body": lambda key: mask_message_body,
    "users:hash": lambda key: mask_users(hashed(key)),
    "users:truncate": lambda key: mask_users(truncated),
}


def masker(names: Iterable[str], key: bytes = b"") -> Callable[[CapturedMessage], CapturedMessage]:
    """A function that applies these masks. It returns a message with nothing to mask unchanged.

    Raises ValueError for a name not in MASKS, for users:hash without a key, and for both masks of users.
    """
    wanted = set(names)
    if unknown := wanted - set(MASKS):
        raise ValueError(f"mask {min(unknown)!r}, expected {', '.join(MASKS)}")
    if {"users:hash", "users:truncate"} <= wanted:
        raise ValueError("users:hash and users:truncate cannot be combined")
    if "users:hash" in wanted and not key:
        raise ValueError("users:hash needs a key")
    masks = [make(key) for name, make in MASKS.items() if name in wanted]

    def mask(message: CapturedMessage) -> CapturedMessage:
        raw = masked = message.raw
        for one in masks:
            masked = one(masked, message.sip)
        return message if masked == raw else rewritten(message, masked)

    return mask
