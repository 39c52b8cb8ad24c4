"""To the local server or from it: siptrace's `in` and `out`, determined from outside."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from capture_agent.config.endpoints import LocalAddress

MEMORY = 65536  # endpoints remembered; then all are forgotten and checked again


class LocalSide:
    """Says which endpoints are the server's.

    Single addresses, on any port, are a set (`hosts`). For networks and ports (`simple` is False) `holds` must be
    called as well; it remembers its answers, because network arithmetic is slow.
    """

    def __init__(self, local: Iterable[LocalAddress]) -> None:
        several = []
        hosts = set()
        self.local = tuple(local)
        for address in self.local:
            network = address.network
            if address.port is None and network.prefixlen == network.max_prefixlen:
                hosts.add(network.network_address.packed)
            else:
                several.append(address)
        self.hosts = frozenset(hosts)
        self.simple = not several
        self._several = tuple(several)
        self._known: dict[tuple[bytes, int], bool] = {}

    def holds(self, address: bytes, port: int) -> bool:
        """Whether this packed address, on this port, is one of the server's."""
        if address in self.hosts:
            return True
        known = self._known.get((address, port))
        if known is None:
            if len(self._known) >= MEMORY:
                self._known.clear()
            host = ip_address(address)
            known = self._known[address, port] = any(
                host in local.network and local.port in (None, port) for local in self._several
            )
        return known
