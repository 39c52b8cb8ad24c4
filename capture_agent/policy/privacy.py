"""Masks over what a message says of people and keys, before it leaves the agent.

A mask takes any bytes, never raises, and looks at each byte a bounded number of times. All but users:hash keep every
length; none changes the length of a body, so Content-Length stays true. A message that is masked once more stays as
it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from capture_agent.policy.rewriting import rewritten
from capture_agent.policy.users import STARS, hashed, hidden_users, truncated, with_group
from capture_agent.records import CapturedMessage
from capture_agent.sip.message import SipMessage

Mask = Callable[[bytes, SipMessage], bytes]

_AT_LINE_START = rb"(?i)(?:\A|(?<=[\r\n]))[ \t]*+"
_FIELD = rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"  # the value with its folded lines (RFC 3261 7.3.1)

# rspauth of the Info headers can be guessed at like a response.
_CREDENTIALS = re.compile(_AT_LINE_START + rb"(?:proxy-)?auth(?:orization|entication-info)" + _FIELD)
_SCHEME = re.compile(rb"(?i)[ \t\r\n]*+(?:digest|basic|bearer|ntlm|negotiate|kerberos|aka)(?=[ \t\r\n])")
_IN_URI = re.compile(rb"(?i)[?&](?:proxy-)?authorization=([^&>\s\"]*+)")  # RFC 3261 19.1.1: headers of a URI

# RFC 4568 9.1; k= and key-mgmt are older and rarer ways to the same end (RFC 4566 5.12, 4567).
_CRYPTO = re.compile(_AT_LINE_START + rb"a[ \t]*+=[ \t]*+crypto[ \t]*+:([^\r\n]*+)")
_OTHER_KEYS = re.compile(_AT_LINE_START + rb"(?:k=(?:clear|base64|uri):|a=key-mgmt:[-\w]*+)([^\r\n]*+)")
_WORD = re.compile(rb"[^ \t]++")
_TAG = re.compile(rb"\d{1,9}")
_SUITE = re.compile(rb"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_SESSION_PARAMETER = re.compile(rb"[A-Z]+(?:_[A-Z]+)*(?:=(?:\d{1,4}|[A-Z]+_[A-Z]+))?")
_INLINE = re.compile(rb"(?i)(?:fec_key=)?inline:")
_LIFETIME_OR_MKI = re.compile(rb"(?:2\^)?\d{1,20}|\d{1,20}:\d{1,3}")


def starred(data: bytes) -> bytes:
    return data.translate(STARS)


def mask_authorization(raw: bytes, sip: SipMessage) -> bytes:
    """Credentials, wherever a line is one of them: a body may hold a message (RFC 3420)."""
    if b"auth" not in raw.lower():
        return raw
    raw = _CREDENTIALS.sub(lambda match: with_group(match, hidden_credentials(match[1])), raw)
    return _IN_URI.sub(lambda match: with_group(match, starred(match[1])), raw)


def hidden_credentials(value: bytes) -> bytes:
    """All but the name of a scheme that is known: an unknown word may be the secret."""
    scheme = _SCHEME.match(value)
    kept = scheme.end() if scheme else 0
    return value[:kept] + starred(value[kept:])


def mask_sdes(raw: bytes, sip: SipMessage) -> bytes:
    """Keys of SRTP in SDP, in every part of the body."""
    raw = _CRYPTO.sub(lambda match: with_group(match, hidden_crypto(match[1])), raw)
    return _OTHER_KEYS.sub(lambda match: with_group(match, starred(match[1])), raw)


def hidden_crypto(value: bytes) -> bytes:
    """`1 AES_CM_128_HMAC_SHA1_80 inline:****|2^20|1:4 KDR=1`: what is not known to be harmless is hidden."""
    number = 0

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
    at = sip.body_start - sip.start
    return raw[:at] + b"*" * (len(raw) - at)


def mask_users(hide: Callable[[bytes], bytes]) -> Mask:
    return lambda raw, sip: hidden_users(raw, sip.body_start - sip.start, hide)


# In the order in which they are applied: the last may move the body, whose place the others must know.
MASKS: dict[str, Callable[[bytes], Mask]] = {
    "authorization": lambda key: mask_authorization,
    "sdes": lambda key: mask_sdes,
    "message-body": lambda key: mask_message_body,
    "users:hash": lambda key: mask_users(hashed(key)),
    "users:truncate": lambda key: mask_users(truncated),
}


def masker(names: Iterable[str], key: bytes = b"") -> Callable[[CapturedMessage], CapturedMessage]:
    """What applies these masks. A message in which there is nothing to mask is given back as it is.

    Raises ValueError for a name that is none of MASKS, for users:hash without a key, and for both masks of users.
    """
    wanted = set(names)
    if unknown := wanted - set(MASKS):
        raise ValueError(f"mask {min(unknown)!r}, expected {', '.join(MASKS)}")
    if {"users:hash", "users:truncate"} <= wanted:
        raise ValueError("users:hash and users:truncate exclude each other")
    if "users:hash" in wanted and not key:
        raise ValueError("users:hash needs a key")
    masks = [make(key) for name, make in MASKS.items() if name in wanted]

    def mask(message: CapturedMessage) -> CapturedMessage:
        raw = masked = message.raw
        for one in masks:
            masked = one(masked, message.sip)
        return message if masked == raw else rewritten(message, masked)

    return mask
