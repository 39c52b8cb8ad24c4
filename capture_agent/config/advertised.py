"""Address rewriting: which address is emitted for one of the traced server's: `10.0.0.5:5060=203.0.113.5:5099`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Final

from capture_agent.config.local import Parsed, split_port

EXPECTED: Final = "REAL=SHOWN: each an address with or without a port, REAL with PROTO: before it, or *"
ANY: Final = "*"
_TRANSPORT = re.compile(r"(udp|tcp|tls|sctp|ws|wss):(.*)", re.DOTALL)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Advertised:
    """An address as it is on the wire, and what is emitted instead of it."""

    transport: str  # empty: any
    real: Address | None  # None: whatever address the server's side has
    real_port: int | None  # None: any
    shown: Address
    shown_port: int | None  # None: the real one stays

    def __str__(self) -> str:
        transport = f"{self.transport}:" if self.transport else ""
        return f"{transport}{written(self.real, self.real_port)}={written(self.shown, self.shown_port)}"


def written(address: Address | None, port: int | None) -> str:
    host = ANY if address is None else str(address)
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_advertised(text: str) -> Advertised:
    """Raises ValueError with what is wrong."""
    real, equals, shown = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError("the = is missing")
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


def parse_address(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address") from None


Advertise = Annotated[Advertised, Parsed(parse_advertised, EXPECTED)]
