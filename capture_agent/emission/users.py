"""The user parts of all URIs in a message's first line and headers, and display names.

It searches every header, because a list of headers with addresses would miss new ones. Bodies are unchanged.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

Hide = Callable[[bytes], bytes]  # a user to its replacement

# Hidden characters become this; blanks and line ends stay, and with them the form of the message.
STARS = bytes(c if c in b" \t\r\n" else 0x2A for c in range(256))
KEPT_BACK = 4  # characters that users:truncate removes

DIGEST_DIGITS = 16  # 64 bits: among a million users, the chance of two equal ones is one in forty million
CHECK_DIGITS = 4
_TOKEN = re.compile(rb"\*([0-9a-f]{%d})([0-9a-f]{%d})" % (DIGEST_DIGITS, CHECK_DIGITS))
_NUMBER = re.compile(rb"\+?[-.()0-9]+")  # RFC 3966 5.1.1: with visual separators
REMEMBERED, LONGEST_REMEMBERED = 4096, 64

# Headers whose value is `name <uri>;parameters`, in either form.
_ADDRESSES = re.compile(
    rb"(?i)(?:\A|(?<=[\r\n]))(?:from|f|to|t|contact|m|reply-to|refer-to|r|referred-by|b|p-asserted-identity"
    rb"|p-preferred-identity|remote-party-id|diversion|history-info|p-called-party-id|p-associated-uri|p-served-user"
    rb"|route|record-route)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)
_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|<[^>]*+>?|[,;]|[^"<,;]+', re.DOTALL)
_USERNAME = re.compile(rb'(?i)(?<![-\w])username[ \t]*+=[ \t]*+"([^"\r\n]*+)"')  # username in credentials

_RUN = re.compile(rb"[^\s<>\"]+")  # no URI extends beyond one
_URI = re.compile(rb"(?i)(?:sips?|im|pres|mailto|xmpp|(tel)):")
_USER_END = re.compile(rb"@")
_USER_PARAMETERS = re.compile(rb"[:;]")
_TEL_END = re.compile(rb"[;,?&]")
_ESCAPED_URI = re.compile(rb"(?i)(?:sips?|im|pres|mailto|xmpp|(tel))%3a")  # in the headers of another URI
_ESCAPED_USER_END = re.compile(rb"%40")
_ESCAPED_TEL_END = re.compile(rb"(?i)[;,?&]|%3[be]")


def hidden_users(raw: bytes, headers_end: int, hide: Hide) -> bytes:
    """The message with every user of raw[:headers_end] hidden."""
    head = _ADDRESSES.sub(lambda match: with_group(match, hidden_names(match[1])), raw[:headers_end])
    head = _USERNAME.sub(lambda match: with_group(match, hidden_name_at(match[1], hide)), head)
    head = _RUN.sub(lambda match: hidden_in_run(match[0], hide), head)
    return head + raw[headers_end:]


def with_group(match: re.Match[bytes], replacement: bytes) -> bytes:
    start = match.start()
    return match[0][: match.start(1) - start] + replacement + match[0][match.end(1) - start :]


def hidden_names(value: bytes) -> bytes:
    """A header's value with stars for display names: quoted strings, and words before `<`."""
    parts = _PART.findall(value)
    words: list[int] = []
    in_parameters = False
    for n, part in enumerate(parts):
        kind = part[:1]
        if kind == b'"' and not in_parameters:
            parts[n] = part[:1] + part[1:-1].translate(STARS) + hidden_end(part[1:])
        elif kind == b"<":
            for word in words:
                parts[word] = parts[word].translate(STARS)
            words.clear()
        elif kind in (b",", b";"):
            words.clear()
            in_parameters = kind == b";"
        elif not in_parameters:
            words.append(n)
    return b"".join(parts)


def hidden_end(rest: bytes) -> bytes:
    """The last byte of a quoted string, which may lack its quote."""
    return rest[-1:] if rest.endswith(b'"') else rest[-1:].translate(STARS)


def hidden_in_run(run: bytes, hide: Hide) -> bytes:
    if b":" in run:
        run = hidden_uris(run, hide, _URI, _USER_END, _TEL_END)
    if b"%" in run:
        run = hidden_uris(run, hide, _ESCAPED_URI, _ESCAPED_USER_END, _ESCAPED_TEL_END)
    return run


def hidden_uris(
    run: bytes, hide: Hide, scheme: re.Pattern[bytes], user_end: re.Pattern[bytes], tel_end: re.Pattern[bytes]
) -> bytes:
    """Examines each byte once for a scheme and once for the end of a user."""
    pieces = []
    done = at = 0
    users_may_follow = True
    while found := scheme.search(run, at):
        at = found.end()
        is_tel = found[1] is not None
        if not is_tel and not users_may_follow:
            continue
        end = (tel_end if is_tel else user_end).search(run, at)
        if end is None and not is_tel:
            users_may_follow = False
            continue
        stop = end.start() if end else len(run)
        pieces += [run[done:at], hidden_user_part(run[at:stop], hide)]
        done = at = stop
    return b"".join([*pieces, run[done:]])


def hidden_user_part(part: bytes, hide: Hide) -> bytes:
    """`user:password`, `+49...;phone-context=...`: hides the user, removes the password, keeps parameters."""
    found = _USER_PARAMETERS.search(part)
    end = found.start() if found else len(part)
    rest, colon, password = part[end:].partition(b":")
    return hidden_user(part[:end], hide) + rest + colon + password.translate(STARS)


def hidden_name_at(value: bytes, hide: Hide) -> bytes:
    """The user name of credentials, which may be `user@realm`, or a URI like any other."""
    if _URI.match(value):
        return value
    user, at, realm = value.partition(b"@")
    return hidden_user(user, hide) + at + realm


def hidden_user(user: bytes, hide: Hide) -> bytes:
    return hide(user) if user else user


def truncated(user: bytes) -> bytes:
    """Without its last characters, so that a number's area stays; a short one is removed entirely."""
    kept = 0 if b"%" in user else max(0, len(user) - KEPT_BACK)
    return user[:kept] + b"*" * (len(user) - kept)


def hashed(key: bytes) -> Hide:
    """The same word for the same user, which nobody can make or guess without the key: `*` and hexadecimal digits.

    The last digits mark it as hashed, so that it is not hashed again; all are allowed in sip: and tel: URIs.
    """

    def digits(text: bytes, count: int) -> bytes:
        return hmac.digest(key, text, "sha256").hex()[:count].encode()

    def word(user: bytes) -> bytes:
        known = _TOKEN.fullmatch(user)
        if known and hmac.compare_digest(known[2], digits(b"check " + known[1], CHECK_DIGITS)):
            return user
        found = digits(b"user " + plain(user), DIGEST_DIGITS)
        return b"*" + found + digits(b"check " + found, CHECK_DIGITS)

    remembered = lru_cache(REMEMBERED)(word)
    return lambda user: remembered(user) if len(user) <= LONGEST_REMEMBERED else word(user)


def plain(user: bytes) -> bytes:
    """One text for the same user: without escapes, and a number without separators."""
    user = unquote_to_bytes(user)
    return user.translate(None, b"-.()") if _NUMBER.fullmatch(user) else user
