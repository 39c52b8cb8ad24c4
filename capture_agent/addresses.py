"""Addresses, ports and transports as text: how they are written, and what a text says."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal, get_args

Address = IPv4Address | IPv6Address
Transport = Literal["udp", "tcp", "tls", "sctp", "ws", "wss"]

UDP, TCP, SCTP = 17, 6, 132  # IP protocol numbers (IANA)
TRANSPORTS: dict[str, int] = dict(zip(get_args(Transport), (UDP, TCP, TCP, SCTP, TCP, TCP), strict=True))


def bracketed(host: str) -> str:
    """An IPv6 address in brackets; any other host unchanged."""
    return f"[{host}]" if ":" in host else host


def endpoint_text(host: str, port: object = None) -> str:
    """`192.0.2.1:5060`, `[2001:db8::1]:5060`; without a port the host alone."""
    return host if port is None else f"{bracketed(host)}:{port}"


def split_endpoint(text: str) -> tuple[str, str | None]:
    """The host and, if there is one, the port: `1.2.3.4:5060` and `[::1]:5060` have one, a bare IPv6 address has none.

    Raises ValueError.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("the brackets of the IPv6 address do not match")
        return host, rest[1:] if rest else None
    host, colon, port = text.partition(":")
    return (text, None) if ":" in port or not colon else (host, port)


def parse_address(text: str) -> Address:
    """Raises ValueError."""
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid IP address") from None


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def of_socket(address: Any) -> Address:
    """The host of a socket's address; an IPv6 one may name its interface, `fe80::1%eth0`."""
    return ip_address(str(address[0]).partition("%")[0])


@lru_cache(maxsize=65536)
def address_text(packed: bytes) -> str:
    return str(ip_address(packed))
