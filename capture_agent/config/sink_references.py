"""Resolves the `sinks` of a rule: a configured target by its name, or any target by its URI."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from capture_agent.config.targets import HEP_PORT, SIP_PORT, Target
from capture_agent.config.uris import HEP_TRANSPORTS, hep_fields, sip_fields

DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
DATABASE_URL = re.compile(rf"({'|'.join(DATABASES)}|postgres)(\+[a-z0-9_]+)?://")
# Of a server's URL, after the scheme. The host begins after the last @, as in Kamailio; Kamailio takes a password as it
# is written. Only where no @ comes before it, a ? is a part of the password.
_SERVER = re.compile(
    r"(?:(?P<user>[^:]*?)(?P<password>:.*)?@)?"
    r"(?P<place>(?:\[[^/?\]@]+\]|[^:/?@]+)?(?::[0-9]{0,5})?(?:/[^?@]*)?)(?P<query>\?.*)?",
    re.DOTALL,
)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
SECTIONS = {"HepTarget": "hep", "SipTarget": "sip", "SqlTarget": "sql", "PackageSink": "sink"}


def server_url(text: str) -> str | None:
    """The URL of a database server with user and password escaped, as SQLAlchemy takes it; None: it is not one."""
    kind = DATABASE_URL.match(text)
    if kind is None:
        return None
    head, question, query = text[kind.end() :].partition("?")
    if "@" in query and "@" not in head:
        head, question, query = text[kind.end() :], "", ""
    found = _SERVER.fullmatch(head)
    if found is None:
        return None
    user, password, place = found["user"] or "", found["password"] or "", found["place"]
    login = escaped(user) + (f":{escaped(password[1:])}" if password else "")
    at = "@" if "@" in head else ""
    return f"{kind[0]}{login}{at}{place}{found['query'] or question + query}"


def escaped(text: str) -> str:
    """Percent-encoded, but for what is so already."""
    return "".join(
        part if _ESCAPED.fullmatch(part) else quote(part, safe="") for part in re.split("(%[0-9A-Fa-f]{2})", text)
    )


def taken_apart(text: str) -> tuple[str, dict[str, Any]] | None:
    """The section that a URI belongs to, and the options that it stands for; None for a name. Raises ValueError."""
    scheme = text.partition(":")[0].lower()
    if ":" in text and scheme in HEP_TRANSPORTS:
        return "hep", {"port": HEP_PORT, **hep_fields(text)}
    if ":" in text and scheme in ("sip", "sips"):
        return "sip", {"port": SIP_PORT, "transport": "udp", **sip_fields(text)}
    if DATABASE_URL.match(text):
        return "sql", {"url": text}
    return None


def is_named(target: Target, text: str) -> bool:
    """Does this text stand for the target? A URI does where all that it says holds."""
    found = taken_apart(text)
    if found is None:
        return target.name == text
    section, fields = found
    return SECTIONS[type(target).__name__] == section and all(
        getattr(target, name) == value for name, value in fields.items()
    )
