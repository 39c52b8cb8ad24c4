"""The addresses of the traced server: they decide whether a message comes in or goes out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

AUTO: Final = "auto"  # the addresses of the host we run on
EXPECTED: Final = 'an address, a network, ADDRESS:PORT, [IPv6]:PORT or "auto"'


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """A host or a network of the server's own, on one port or on any."""

    network: IPv4Network | IPv6Network  # a single host is a /32 or /128
    port: int | None = None

    def __str__(self) -> str:
        single = self.network.prefixlen == self.network.max_prefixlen
        host = str(self.network.network_address) if single else str(self.network)
        if self.port is None:
            return host
        return f"[{host}]:{self.port}" if self.network.version == 6 else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks a type that the configuration writes as text, or as a number: pydantic calls `parse` for it."""

    parse: Callable[[str], object]
    expected: str
    numbers: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema  # only who validates pays for pydantic

        written: CoreSchema = core_schema.str_schema()
        if self.numbers:
            number = core_schema.no_info_after_validator_function(str, core_schema.int_schema())
            written = core_schema.tagged_union_schema(
                {"int": number, "str": written}, lambda value: type(value).__name__
            )
        return core_schema.no_info_after_validator_function(self.parse, written)


def parse_local(text: str) -> LocalAddress | Literal["auto"]:
    """Raises ValueError with what is wrong."""
    if text == AUTO:
        return AUTO
    host, port = split_port(text)
    if "/" in host:
        if port is not None:
            raise ValueError("a network takes no port")
        return LocalAddress(parse_network(host))
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is no IP address") from None
    return LocalAddress(ip_network(address), port)


def resolve(local: Iterable[LocalAddress | Literal["auto"]], own: Iterable[str]) -> tuple[LocalAddress, ...]:
    """The addresses in full: "auto" stands for `own`, those of this host."""
    addresses: dict[LocalAddress, None] = {}
    for entry in local:
        if isinstance(entry, LocalAddress):
            addresses[entry] = None
        else:
            addresses.update((LocalAddress(ip_network(address)), None) for address in own)
    return tuple(addresses)


def split_port(text: str) -> tuple[str, int | None]:
    """`1.2.3.4:5060` and `[::1]:5060` have a port; a bare IPv6 address has none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("brackets do not match")
        return host, parse_port(rest[1:]) if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, parse_port(port)
    return text, None


def parse_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError("the port is not 1 to 65535")
    return int(text)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no network") from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"host bits are set: the network is {network}")
    return network


def parse_interface(text: str) -> str:
    """The text itself. A slash is in no interface's name, but in URLs that belong to another option."""
    if not text or "/" in text or "@" in text:
        raise ValueError("not the name of an interface")
    return text


Interface = Annotated[str, Parsed(parse_interface, "an interface")]
Local = Annotated[LocalAddress | Literal["auto"], Parsed(parse_local, EXPECTED)]


def same_host(host: str) -> Hashable:
    """Equal for two spellings of one host: its address, also for `localhost` and IPv4-mapped IPv6, or its name."""
    name = host.lower().removesuffix(".")
    try:
        address = ip_address("127.0.0.1" if name == "localhost" else host)
    except ValueError:
        return name
    return getattr(address, "ipv4_mapped", None) or address
