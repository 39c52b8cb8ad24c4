"""Hosts, addresses and ports, as text and as records.

capture.local    which addresses are the traced server's own: they decide whether a message comes in or goes out
capture.ports    where the agent looks for SIP, if it does not look on all ports
trace.advertise  address rewriting: which address is emitted for one of the traced server's
source           the address that a sink sends from (siptrace's send_sock_addr)
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Literal

from capture_agent.addresses import TRANSPORTS, Address, endpoint_text, is_address, parse_address, split_endpoint
from capture_agent.config.field_types import Parsed

AUTO: Final = "auto"  # the addresses of the host we run on
LOCAL_EXPECTED: Final = 'an address, a network, ADDRESS:PORT, [IPv6]:PORT or "auto"'
PORTS_EXPECTED: Final = "a port or a range FROM-TO"
ADVERTISE_EXPECTED: Final = "REAL=SHOWN: each an address with or without a port, REAL with PROTO: before it, or *"
SOURCE_EXPECTED: Final = "an address, ADDRESS:PORT, [IPv6]:PORT, an interface or INTERFACE:PORT"
ANY: Final = "*"
_TRANSPORT = re.compile(rf"({'|'.join(TRANSPORTS)}):(.*)", re.DOTALL)
_INTERFACE = re.compile(r"[^\s/:\[\]]{1,15}")  # as the kernel has them; an alias' colon would be a port's
# RFC 1123, 2.1: labels of at most 63 characters, 253 in all. `_` is no letter there, but names have it.
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\.?\Z){_LABEL}(?:\.{_LABEL})*\.?")


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """A host or a network of the server's own, on one port or on any."""

    network: IPv4Network | IPv6Network  # a single host is a /32 or /128
    port: int | None = None

    def __str__(self) -> str:
        single = self.network.prefixlen == self.network.max_prefixlen
        host = str(self.network.network_address) if single else str(self.network)
        return endpoint_text(host, self.port)


def parse_local(text: str) -> LocalAddress | Literal["auto"]:
    """Raises ValueError that names the problem."""
    if text == AUTO:
        return AUTO
    host, port = split_port(text)
    if "/" in host:
        if port is not None:
            raise ValueError("a network cannot have a port")
        return LocalAddress(parse_network(host))
    return LocalAddress(ip_network(parse_address(host)), port)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid network") from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"host bits are set: the network is {network}")
    return network


def parse_interface(text: str) -> str:
    """The text itself. No interface name contains a slash; a URL does, and belongs to another option."""
    if not text or "/" in text or "@" in text:
        raise ValueError("not a valid interface name")
    return text


@dataclass(frozen=True, slots=True)
class Advertised:
    """An address on the wire, and the address emitted instead."""

    transport: str  # empty: any
    real: Address | None  # None: any address of the server's side
    real_port: int | None  # None: any port
    shown: Address
    shown_port: int | None  # None: the real port is kept

    def __str__(self) -> str:
        transport = f"{self.transport}:" if self.transport else ""
        return f"{transport}{written(self.real, self.real_port)}={written(self.shown, self.shown_port)}"


def written(address: Address | None, port: int | None) -> str:
    return endpoint_text(ANY if address is None else str(address), port)


def parse_advertised(text: str) -> Advertised:
    """Raises ValueError that names the problem."""
    real, equals, shown = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError("no = between the two addresses")
    transport = ""
    if match := _TRANSPORT.fullmatch(real):
        transport, real = match[1], match[2]
    host, port = split_port(real)
    shown_host, shown_port = split_port(shown)
    address = None if host == ANY else parse_address(host)
    shown_address = parse_address(shown_host)
    if address is not None and address.version != shown_address.version:
        raise ValueError("one address is IPv4 and the other IPv6")
    return Advertised(transport, address, port, shown_address, shown_port)


def split_source(text: str) -> tuple[str, int]:
    """The address or interface, and the port: 0 is any. Raises ValueError."""
    host, port = split_port(text)
    digits = host.replace(".", "").isdigit()
    if not is_address(host) and (":" in host or digits or _INTERFACE.fullmatch(host) is None):
        raise ValueError(f"{host!r} is neither an IP address nor an interface")
    return host, port or 0


def parse_source(text: str) -> str:
    """The text itself if it is valid; empty: the system chooses. Raises ValueError."""
    if text:
        split_source(text)
    return text


@dataclass(frozen=True, slots=True)
class PortRange:
    """From the first port to the last, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def parse_ports(text: str) -> PortRange:
    """Raises ValueError that names the problem."""
    first, dash, last = text.partition("-")
    ports = PortRange(parse_port(first.strip()), parse_port((last if dash else first).strip()))
    if ports.first > ports.last:
        raise ValueError(f"{ports.first} is more than {ports.last}")
    return ports


def split_port(text: str) -> tuple[str, int | None]:
    """As split_endpoint, with the port as a number."""
    host, port = split_endpoint(text)
    return host, None if port is None else parse_port(port)


def parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError("expected a port from 1 to 65535")
    return int(text)


def check_host(host: str, bracketed: bool) -> None:
    """Raises ValueError unless the host is a name or an address."""
    if not host:
        raise ValueError("the host is missing")
    try:
        if bracketed:
            IPv6Address(host)
        elif host.replace(".", "").isdigit():
            IPv4Address(host)
        elif _HOST_NAME.fullmatch(host) is None:
            raise ValueError
    except ValueError:
        kind = "IPv6 address" if bracketed else "host name or IPv4 address"
        raise ValueError(f"the host is not a valid {kind}") from None


def same_host(host: str) -> Hashable:
    """Equal for two spellings of one host: its address, also for `localhost` and IPv4-mapped IPv6, or its name."""
    name = host.lower().removesuffix(".")
    try:
        address = ip_address("127.0.0.1" if name == "localhost" else host)
    except ValueError:
        return name
    return getattr(address, "ipv4_mapped", None) or address


def same_place(host: str, port: int, transport: str) -> Hashable:
    """Equal for two spellings of one place."""
    return (same_host(host), port, transport)


Interface = Annotated[str, Parsed(parse_interface, "an interface")]
Local = Annotated[LocalAddress | Literal["auto"], Parsed(parse_local, LOCAL_EXPECTED)]
Advertise = Annotated[Advertised, Parsed(parse_advertised, ADVERTISE_EXPECTED)]
Source = Annotated[str, Parsed(parse_source, SOURCE_EXPECTED)]
Ports = Annotated[PortRange, Parsed(parse_ports, PORTS_EXPECTED, numbers=True)]
