"""The TCP connections that bring SIP duplicates or HEP, with a limit for each peer and one for all."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Set

from capture_agent.records.frame_building import Ends

MOST_CONNECTIONS = 256
# Connections of one address. A trunk needs a few; a whole office may share one address.
MOST_OF_PEER = 64


class DuplicateConnection:
    """One peer that sends over TCP."""

    def __init__(self, client: socket.socket, ends: Ends) -> None:
        self.client = client
        self.ends = ends
        self.sequence = 0
        self.pending = b""  # of HEP: less than one packet
        self.since = 0.0  # when the first byte of `pending` came, or the connection, in seconds of time.monotonic()
        self.handshake = False  # of TLS: it is not over


class DuplicateConnections:
    """The open ones, by descriptor.

    Connections beyond `of_peer` of one address are refused. Beyond `most` in total, the newest connection of the
    address with the most is closed: nobody can evict another's.
    """

    def __init__(self, most: int = 0, of_peer: int = 0) -> None:
        """0: as above."""
        self._most = most or MOST_CONNECTIONS
        self._of_peer = of_peer or MOST_OF_PEER
        self._connections: dict[int, DuplicateConnection] = {}  # oldest first
        self._held: Counter[bytes] = Counter()  # connections of each address

    def __getitem__(self, descriptor: int) -> DuplicateConnection:
        return self._connections[descriptor]

    def descriptors(self) -> Set[int]:
        return self._connections.keys()

    def refuses(self, source: bytes) -> bool:
        """Whether this address has as many as it may have."""
        return self._held[source] >= self._of_peer

    def add(self, client: socket.socket, ends: Ends) -> DuplicateConnection:
        connection = self._connections[client.fileno()] = DuplicateConnection(client, ends)
        self._held[ends.source] += 1
        return connection

    def pop(self, descriptor: int) -> DuplicateConnection:
        """The caller closes it."""
        connection = self._connections.pop(descriptor)
        self._held[connection.ends.source] -= 1
        if not self._held[connection.ends.source]:
            del self._held[connection.ends.source]
        return connection

    def excess(self) -> int | None:
        """The descriptor of the connection to close, if there are too many."""
        if len(self._connections) <= self._most:
            return None
        most = max(self._held.values())
        return next(
            number
            for number in reversed(self._connections)
            if self._held[self._connections[number].ends.source] == most
        )

    def close(self) -> None:
        for connection in self._connections.values():
            connection.client.close()
        self._connections.clear()
