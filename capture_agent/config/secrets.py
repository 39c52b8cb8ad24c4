"""Values that must not be shown: passwords in database URLs, keys in HEP URIs, authentication keys, package options.

A value of an option that may hold a secret is never quoted: an error names its place and what was expected. In a
mistyped URL the password can be anywhere, so no search for it is complete. `mask` is for valid
values: it keeps what it knows to be harmless, and hides the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "***"
_DRIVERS = "psycopg|psycopg2|asyncpg|pg8000|pymysql|mysqldb|mysqlconnector|aiomysql|pysqlite|aiosqlite|pysqlcipher"

_URI = re.compile(
    rf"((?:hep(?:\+(?:udp|tcp|tls))?|sips?):|(?:sqlite|postgres(?:ql)?|mysql|mariadb)(?:\+(?:{_DRIVERS}))?://)([^?]*)(\?.*)?",
    re.IGNORECASE | re.DOTALL,
)

# Nothing in these needs to be escaped in a URL: a part with any other character may be half of a password.
_PLACE = re.compile(
    r"(?:[A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[\w ./~+-]*)?(?:;transport=(?:udp|tcp|tls|sctp|wss?))?"
)

_HARMLESS = r"(?:version=[123]|id=\d{1,10}|vlan=(?:yes|no)|node=[\w.%-]*)"

# A key ends at an & that begins another parameter; anything else after it may be the rest of the key.
_HEP_QUERY = re.compile(rf"(\?(?:{_HARMLESS}&)*(?:{_HARMLESS}|key=))((?<=key=)[^&]*)?((?:&{_HARMLESS})*)")

_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")  # as database servers have them

_SUSPICIOUS = re.compile(
    r"://|@|[?;&/]\w+=|%[0-9A-F]{2}|(?:pass|pw|secret|token|key|auth|cookie|cred|psk|signature|sasl)\w*[\s\"']*[=:]"
    r"|(?:bearer|basic|digest)\s",
    re.IGNORECASE,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")
_SPOKEN = re.compile(r"[^\s'\"]+(?<!:)")  # `http.token_file:` names an option
_WORD = re.compile(r"\w{3,}")
_WHOLE = r"(?<!\w){}(?!\w)"


def mask(text: str) -> str:
    """A URL or URI: its scheme, host, port and path; all that may hold a secret is hidden.

    >>> mask("postgresql://homer:s3cret@db/homer")
    'postgresql://homer:***@db/homer'
    >>> mask("postgresql://homer:s3@cret@db/homer?sslpassword=x")
    'postgresql://homer:***@db/homer?***'
    >>> mask("hep+tcp:10.0.0.1:9060?version=3&key=s3cret")
    'hep+tcp:10.0.0.1:9060?version=3&key=***'
    >>> mask("postgresql:/homer:s3cret@db"), mask("host=db password=s3cret")
    ('***', '***')
    """
    found = _URI.fullmatch(text)
    if found is None:
        return MASK
    scheme, rest, query = found[1], found[2], found[3] or ""
    login, at, place = rest.rpartition("@")
    # An @ after the ? means that the password has a ?, or that a parameter has an @: the host is unknown.
    if "@" in query or _PLACE.fullmatch(place) is None or not (scheme.endswith("//") or is_place(place)):
        return f"{scheme}{MASK}"
    return f"{scheme}{hidden_login(scheme, login) + at if at else ''}{place}{hidden_query(scheme, query)}"


def hidden_login(scheme: str, login: str) -> str:
    """A database user is shown if it looks like one; a password is hidden with its length."""
    user, colon, _ = login.partition(":")
    known = _USER.fullmatch(user) if scheme.endswith("//") else None
    return f"{user}{colon}{MASK if colon else ''}" if known else MASK


def hidden_query(scheme: str, query: str) -> str:
    if scheme.lower().startswith("hep") and (found := _HEP_QUERY.fullmatch(query)):
        return f"{found[1]}{MASK if found[2] else ''}{found[3] or ''}"
    return f"?{MASK}" if query else ""


def is_place(text: str) -> bool:
    """A URI without // has no path."""
    return "/" not in text


def quotable(text: str) -> str:
    """A wrong value of an option that holds no secret; masked if it looks as if it held one by mistake."""
    return mask(text) if _SUSPICIOUS.search(text) else text


def quotable_words(text: str) -> str:
    """A sentence that quotes others, in which words may be URLs.

    >>> quotable_words("http.token_file: not hep:10.0.0.1?key=s3cret")
    'http.token_file: not hep:10.0.0.1?key=***'
    """
    return _SPOKEN.sub(lambda match: quotable(match[0]), text)


def reason_for(text: str, error: object) -> str:
    """` (the parser's message)`, which may repeat a part of the text; empty if that may be a secret."""
    return f" ({error})" if quotable(text) == text else ""


def quotable_name(name: str, known: Iterable[str] = ()) -> str:
    """An unknown name, masked unless it looks like a name: it may be a value in the wrong place."""
    return name if name in known or _NAME.fullmatch(name) else MASK


def mask_table(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a package, all masked: only the package knows which are secret."""
    return {name: value if isinstance(value, bool) or not value else MASK for name, value in options.items()}


def texts_of(value: object) -> Iterator[str]:
    """Every text and number in a value, as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)
    elif not isinstance(value, bool):
        yield str(value)


def repeats(says: str, values: Iterable[str]) -> bool:
    """Does a message of user code repeat a word of these values?"""
    lower = says.lower()
    words = set(_WORD.findall(lower))
    for value in map(str.lower, values):
        if any(word in value for word in words):
            return True
        if value and re.search(_WHOLE.format(re.escape(value)), lower):
            return True
    return False
