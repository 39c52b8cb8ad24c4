"""URLs of databases, as SQLAlchemy and Kamailio write them."""

from __future__ import annotations

import re
from collections.abc import Hashable
from os.path import realpath
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from capture_agent.config.local import same_host

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
SAME_DATABASE = {"postgres": "postgresql", "mariadb": "mysql"}
PORTS = {"postgresql": 5432, "mysql": 3306}
ELSEWHERE = ("options", "service", "unix_socket")  # a schema, a server


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


def expected_url(url: str) -> str:
    """What a wrong database URL should be; empty for one that may be right."""
    kind = DATABASE_URL.match(url)
    if kind is None:
        return f"{', '.join(DATABASES[:-1])} or {DATABASES[-1]}, then ://..."
    if kind[1] != "sqlite":
        return "" if server_url(url) is not None else f"{kind[0]}USER:PASSWORD@HOST:PORT/DATABASE"
    # In memory it would be another database for each command, and gone with it.
    return "sqlite:///FILE" if url[kind.end() :].partition("?")[0] in ("", "/", "/:memory:") else ""


def database_reference(text: str) -> dict[str, Any] | None:
    """The options that the URL of a database means; None: the text is not one."""
    return {"url": text} if DATABASE_URL.match(text) else None


def same_database(text: str) -> Hashable | None:
    """Equal for two spellings of one database, whoever logs in. None: that cannot be known."""
    try:
        url = urlsplit(text)
        kind = url.scheme.partition("+")[0]
        kind = SAME_DATABASE.get(kind, kind)
        if kind == "sqlite":
            return (kind, realpath(url.path[1:]) if url.path[1:] else text)
        said = dict(parse_qsl(url.query))  # drivers take the place from there, too; the rest changes no row
        host = url.hostname or said.get("host", "")
        port = url.port or said.get("port") or PORTS.get(kind)
        name = url.path[1:] or said.get("dbname")
        return (kind, same_host(host), str(port), name, *map(said.get, ELSEWHERE))
    except ValueError:
        return None
