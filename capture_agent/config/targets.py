"""Destinations of traced messages: one frozen record per kind of sink, from the configuration or a URI."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.packages import PackageSink
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


@dataclass(frozen=True, slots=True)
class HepTarget:
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


@dataclass(frozen=True, slots=True)
class SipTarget:
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


@dataclass(frozen=True, slots=True)
class SqlTarget:
    """A table with the layout of Kamailio's sip_trace."""

    url: str = field(repr=False)  # of SQLAlchemy; may hold a password: sinks.sql prints it without
    table: str = "sip_trace"
    time: Literal["local", "utc"] = "local"  # of PostgreSQL, MariaDB and MySQL; SQLite has UTC, as siptrace writes it
    name: str = ""
    default: bool = True


Target = HepTarget | SipTarget | SqlTarget | PackageSink
MOST_TARGETS = 64  # a bit for each in records.Trace


def scheme(kind: str, transport: str) -> str:
    return kind if transport == "udp" else f"{kind}+{transport}"


def sip_place(host: str, port: int, transport: str) -> str:
    """As a SIP URI writes it; UDP goes without saying."""
    place = f"sip:{endpoint(host, port)}"
    return place if transport == "udp" else f"{place};transport={transport}"


def endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
