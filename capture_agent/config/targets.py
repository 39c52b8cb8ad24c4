"""Destinations of traced messages: one frozen record per kind of sink, from the configuration or a URI."""

from collections.abc import Hashable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.database_urls import same_database
from capture_agent.config.local import same_host
from capture_agent.config.secrets import mask
from capture_agent.config.sending import Source

HepTransport = Literal["udp", "tcp", "tls"]
HepVersion = Literal[1, 2, 3]
SipTransport = Literal["udp", "tcp", "tls"]

Port = Annotated[int, Interval(ge=1, le=65535)]
Host = Annotated[str, MinLen(1)]

HEP_PORT = 9060
SIP_PORT = 5060
LONGEST_TEXT = 1024  # bytes of a key or a name, which stand in every packet
SIPS_PORT = 5061  # RFC 3261 19.1.2


class Target:
    """One configured sink. A kind of sink is a frozen dataclass of this class and a line of the table in sections.py.

    Its fields are the options of the section; the last are `name: str = ""`, which rules name it by, and
    `default: bool = True`: whether it gets what no rule sends elsewhere. `str()` shows it, without secrets.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...

        @property
        def default(self) -> bool: ...

    def identity(self) -> Hashable | None:
        """Equal for two that would send the same to the same place. None: that cannot be known."""
        names = (field.name for field in fields(self))  # type: ignore[arg-type]  # each kind is a dataclass
        return tuple(repr(getattr(self, name)) for name in names if name not in ROLE)


ROLE = ("name", "default")  # what a target is to rules, and not where it sends


@dataclass(frozen=True, slots=True)
class HepTarget(Target):
    """A HEP collector (Homer, heplify-server, Kamailio's sipcapture)."""

    host: Host  # a name or an address; an IPv6 address without brackets
    port: Port = HEP_PORT
    transport: HepTransport = "udp"
    version: HepVersion = 3
    capture_id: Annotated[int, Interval(ge=0, le=0xFFFFFFFF)] = 2001  # siptrace hep_capture_id's range
    auth_key: str = field(default="", repr=False)  # HEP3 only; a secret: never logged
    node_name: str = ""  # HEP3 chunk 0x0013; empty: not sent
    vlan: bool = False  # chunk 0x0012 with the VLAN id of what has one; siptrace, inside of a server, knows none
    tls_ca: str = ""  # file of certificates to trust; empty: the system's
    tls_verify: bool = True
    source: Source = ""  # what it is sent from; empty: the system chooses
    name: str = ""  # for rules to name it
    default: bool = True  # gets what no rule sends elsewhere

    def __post_init__(self) -> None:
        if self.version < 3 and self.transport != "udp":
            # Without a length field the receiver cannot find where a packet ends.
            raise ValueError(f"HEP {self.version} has no length field: over udp only, not {self.transport}")
        for name, text in (("auth_key", self.auth_key), ("node_name", self.node_name)):
            if (size := len(text.encode(errors="surrogatepass"))) > LONGEST_TEXT:
                raise ValueError(f"{name}: {size} bytes, expected at most {LONGEST_TEXT}")

    def __str__(self) -> str:
        return f"{scheme('hep', self.transport)}:{endpoint(self.host, self.port)}"

    def identity(self) -> Hashable:
        plain = replace(self, host="", port=1, source="", name="", default=True, tls_ca="", tls_verify=True, vlan=False)
        return (same_place(self.host, self.port, self.transport), plain)


@dataclass(frozen=True, slots=True)
class SipTarget(Target):
    """A server that gets every traced message once more."""

    host: Host
    port: Port = SIP_PORT
    transport: SipTransport = "udp"
    x_headers: bool = False  # siptrace's xheaders_write; else the copy is the message byte for byte
    tls_ca: str = ""
    tls_verify: bool = True
    source: Source = ""
    name: str = ""
    default: bool = True

    def __str__(self) -> str:
        return sip_place(self.host, self.port, self.transport)

    def identity(self) -> Hashable:
        return (same_place(self.host, self.port, self.transport), self.x_headers)


@dataclass(frozen=True, slots=True)
class SqlTarget(Target):
    """A table with the layout of Kamailio's sip_trace."""

    url: str = field(repr=False)  # of SQLAlchemy; may hold a password
    table: str = "sip_trace"
    time: Literal["local", "utc"] = "local"  # of PostgreSQL, MariaDB and MySQL; SQLite has UTC, as siptrace writes it
    name: str = ""
    default: bool = True

    def __str__(self) -> str:
        return f"{mask(self.url)} ({self.table})"

    def identity(self) -> Hashable | None:
        database = same_database(self.url)
        return None if database is None else (database, self.table)


def same_place(host: str, port: int, transport: str) -> Hashable:
    """Equal for two spellings of one place."""
    return (same_host(host), port, transport)


def scheme(kind: str, transport: str) -> str:
    return kind if transport == "udp" else f"{kind}+{transport}"


def sip_place(host: str, port: int, transport: str) -> str:
    """As a SIP URI writes it; UDP goes without saying."""
    place = f"sip:{endpoint(host, port)}"
    return place if transport == "udp" else f"{place};transport={transport}"


def endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
