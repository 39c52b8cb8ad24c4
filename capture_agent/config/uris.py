"""URIs on the command line and in the configuration: of HEP collectors, SIP servers, our own sockets, databases.

hep:HOST[:PORT]  hep+tcp:...  hep+tls:...   ?version=1|2|3  &id=CAPTURE_ID  &key=AUTH_KEY  &node=NODE_NAME  &vlan=yes|no
sip:HOST[:PORT][;transport=udp|tcp|tls]     as in siptrace's duplicate_uri; sips:HOST[:PORT] is TLS
sip:IP[:PORT][;transport=udp|tcp]           capture.listen: a socket that receives SIP duplicates
hep:IP[:PORT]  hep+tcp:...  hep+tls:...     the same for HEP
postgresql://..., mysql://..., sqlite:///FILE   as SQLAlchemy and Kamailio write them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from os.path import realpath
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from capture_agent.addresses import endpoint_text, is_address
from capture_agent.config.endpoints import check_host, same_host, split_port
from capture_agent.config.field_types import Parsed

SipTransport = Literal["udp", "tcp", "tls"]
HEP_PORT = 9060
SIP_PORT = 5060
SIPS_PORT = 5061  # RFC 3261 19.1.2
HEP_TRANSPORTS = {"hep": "udp", "hep+udp": "udp", "hep+tcp": "tcp", "hep+tls": "tls"}
SIP_TRANSPORTS = ("udp", "tcp", "tls")
LISTEN_EXPECTED: Final = "hep:IP:PORT, hep+tcp:IP:PORT, hep+tls:IP:PORT, sip:IP:PORT or sip:IP:PORT;transport=tcp"
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
TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")  # it is a value in Kamailio's version table
ELSEWHERE = ("options", "service", "unix_socket")  # a schema, a server


def hep_fields(text: str) -> dict[str, Any]:
    """The options in a HEP URI, by the fields of HepTarget. Raises ValueError."""
    head, colon, rest = text.partition(":")
    if not colon or head.lower() not in HEP_TRANSPORTS:
        raise ValueError("expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT")
    place, question, query = rest.partition("?")
    host, port = parse_place(place, "hep")
    fields: dict[str, Any] = {"host": host, "transport": HEP_TRANSPORTS[head.lower()]}
    if port is not None:
        fields["port"] = port
    for part in query.split("&") if question else ():
        name, _, value = part.partition("=")
        if name not in HEP_PARAMETERS:
            raise ValueError("unknown parameter, expected version, id, key, node or vlan")
        field, parse = HEP_PARAMETERS[name]
        if field in fields:
            raise ValueError(f"parameter {name!r} is given twice")
        fields[field] = parse(unquote(value))
    return fields


def parse_version(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise ValueError("version: expected 1, 2 or 3")
    return int(text)


def parse_capture_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= 0xFFFFFFFF):
        raise ValueError(f"id: expected 0 to {0xFFFFFFFF}")
    return int(text)


def parse_vlan(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("vlan: expected yes or no")
    return text == "yes"


HEP_PARAMETERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "version": ("version", parse_version),
    "id": ("capture_id", parse_capture_id),
    "key": ("auth_key", str),
    "node": ("node_name", str),
    "vlan": ("vlan", parse_vlan),
}


def sip_fields(text: str) -> dict[str, Any]:
    """The options in a SIP URI, by the fields of SipTarget. Raises ValueError."""
    head, colon, rest = text.partition(":")
    if not colon or head.lower() not in ("sip", "sips"):
        raise ValueError("expected sip:HOST:PORT, sip:HOST:PORT;transport=tcp or sips:HOST:PORT")
    place, *parameters = rest.split(";")
    host, port = parse_place(place.rpartition("@")[2], "sip")
    fields: dict[str, Any] = {"host": host}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "transport":
            raise ValueError("unknown parameter, expected transport")
        if value.lower() not in SIP_TRANSPORTS:
            raise ValueError("transport: expected udp, tcp or tls")
        fields["transport"] = value.lower()
    if head.lower() == "sips":
        if fields.get("transport") == "udp":
            raise ValueError("transport: udp, expected tcp or tls: sips is over TLS (RFC 3261 26.2.2)")
        fields["transport"] = "tls"
    if port is not None or fields.get("transport") == "tls":
        fields["port"] = SIPS_PORT if port is None else port
    return fields


def hep_reference(text: str) -> dict[str, Any] | None:
    """The options of the collector that a rule names by its HEP URI; None: the text is not a HEP URI."""
    return {"port": HEP_PORT, **hep_fields(text)} if scheme_of(text) in HEP_TRANSPORTS else None


def sip_reference(text: str) -> dict[str, Any] | None:
    return {"port": SIP_PORT, "transport": "udp", **sip_fields(text)} if scheme_of(text) in ("sip", "sips") else None


def scheme_of(text: str) -> str:
    scheme, colon, _ = text.partition(":")
    return scheme.lower() if colon else ""


def parse_place(text: str, kind: str) -> tuple[str, int | None]:
    """HOST, HOST:PORT, [IPv6] or [IPv6]:PORT."""
    if text.startswith("//"):
        raise ValueError(f"expected {kind}:HOST:PORT, without //")
    bracketed = text.startswith("[")
    host, port = split_port(text)
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address needs brackets: [ADDRESS]:PORT")
    check_host(host, bracketed)
    return host, port


def scheme(kind: str, transport: str) -> str:
    return kind if transport == "udp" else f"{kind}+{transport}"


def sip_place(host: str, port: int, transport: str) -> str:
    """As a SIP URI; UDP, the default, is left out."""
    place = f"sip:{endpoint_text(host, port)}"
    return place if transport == "udp" else f"{place};transport={transport}"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One socket of ours."""

    host: str  # an address; an IPv6 address without brackets
    port: int = SIP_PORT
    transport: SipTransport = "udp"

    kind: Literal["sip", "hep"] = "sip"

    def __str__(self) -> str:
        if self.kind == "hep":
            return f"{scheme('hep', self.transport)}:{endpoint_text(self.host, self.port)}"
        return sip_place(self.host, self.port, self.transport)


def parse_listen(text: str) -> ListenAddress:
    """Raises ValueError that names the problem."""
    if scheme_of(text) in HEP_TRANSPORTS:
        fields = {"port": HEP_PORT, "kind": "hep", **hep_fields(text)}
        if unfit := sorted(fields.keys() - {"port", "kind", "host", "transport"}):
            raise ValueError(f"unknown parameter, expected none: options of [[listen]] say more than {unfit[0]}")
    else:
        fields = sip_fields(text)
        if fields.get("transport") == "tls":
            raise ValueError("transport: tls, expected udp or tcp")
    if not is_address(fields["host"]):
        raise ValueError("the host is not a valid IP address")
    return ListenAddress(**fields)


Listen = Annotated[ListenAddress, Parsed(parse_listen, LISTEN_EXPECTED)]


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
    """Percent-encoded, except for escapes that are already there."""
    return "".join(
        part if _ESCAPED.fullmatch(part) else quote(part, safe="") for part in re.split("(%[0-9A-Fa-f]{2})", text)
    )


def expected_url(url: str) -> str:
    """The expected form of a wrong database URL; empty if the URL may be right."""
    kind = DATABASE_URL.match(url)
    if kind is None:
        return f"{', '.join(DATABASES[:-1])} or {DATABASES[-1]}, then ://..."
    if kind[1] != "sqlite":
        return "" if server_url(url) is not None else f"{kind[0]}USER:PASSWORD@HOST:PORT/DATABASE"
    # A database in memory would be another one for each command, and vanish with it.
    return "sqlite:///FILE" if url[kind.end() :].partition("?")[0] in ("", "/", "/:memory:") else ""


def database_reference(text: str) -> dict[str, Any] | None:
    """The options that the URL of a database means; None: the text is not one."""
    return {"url": text} if DATABASE_URL.match(text) else None


def is_table_name(text: str) -> bool:
    return TABLE_NAME.fullmatch(text) is not None


def same_database(text: str) -> Hashable | None:
    """Equal for two spellings of one database, with any login. None: unknown."""
    try:
        url = urlsplit(text)
        kind = url.scheme.partition("+")[0]
        kind = SAME_DATABASE.get(kind, kind)
        if kind == "sqlite":
            return (kind, realpath(url.path[1:]) if url.path[1:] else text)
        said = dict(parse_qsl(url.query))  # drivers read host and database from there, too
        host = url.hostname or said.get("host", "")
        port = url.port or said.get("port") or PORTS.get(kind)
        name = url.path[1:] or said.get("dbname")
        return (kind, same_host(host), str(port), name, *map(said.get, ELSEWHERE))
    except ValueError:
        return None
