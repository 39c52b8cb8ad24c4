"""Names of endpoints: an alias of the configuration, otherwise the address."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

from capture_agent.addresses import address_text, endpoint_text
from capture_agent.config.endpoints import LocalAddress

UNKNOWN = "?"  # the table may have a message without an address


class Aliases:
    """The most exact entry decides: an address with its port, an address, then the longest prefix."""

    def __init__(self, named: Mapping[LocalAddress, str] | None = None) -> None:
        order = sorted((named or {}).items(), key=lambda pair: (pair[0].port is None, -pair[0].network.prefixlen))
        self._entries = order
        self.name = lru_cache(maxsize=65_536)(self._name)

    def _name(self, address: bytes, port: int) -> str:
        """'' for an endpoint without an alias."""
        if not self._entries or not address:
            return ""
        own = ip_address(address)
        mapped = getattr(own, "ipv4_mapped", None) or own
        for place, name in self._entries:
            if (place.port is None or place.port == port) and mapped in place.network:
                return name
        return ""

    def label(self, address: bytes, port: int) -> str:
        """The alias, otherwise the address alone."""
        return self.name(address, port) or host_text(address)


def host_text(address: bytes) -> str:
    return address_text(address) if address else UNKNOWN


def place_text(address: bytes, port: int) -> str:
    """`192.0.2.1:5060`"""
    return endpoint_text(host_text(address), port)
