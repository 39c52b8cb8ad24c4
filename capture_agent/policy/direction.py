"""Towards the local server or from it: what siptrace calls `in` and `out`, told from outside."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from capture_agent.config.local import LocalAddress
from capture_agent.records import Datagram, Direction


class LocalSide:
    """Tells which end of a message is the server."""

    def __init__(self, local: Iterable[LocalAddress]) -> None:
        self._local = tuple(local)
        self.by_port = any(local.port is not None for local in self._local)

    def holds(self, address: bytes, port: int) -> bool:
        """Is this packed address, on this port, one of the server's?"""
        host = ip_address(address)
        return any(host in local.network and (local.port is None or local.port == port) for local in self._local)

    def direction(self, datagram: Datagram) -> Direction:
        """IN towards a local address, OUT from one. Between two strangers (a mirror port): IN, as it reached us.

        Between two local ones (loopback, a spiral) it is IN too: one packet is one message.
        """
        if self.holds(datagram.destination, datagram.destination_port):
            return Direction.IN
        return Direction.OUT if self.holds(datagram.source, datagram.source_port) else Direction.IN
