"""Peer and direction of a message, as one number. Hot: compiled with sides.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.config.endpoints import LocalAddress
from capture_agent.counting.networks import Networks
from capture_agent.counting.peer_names import Named, PeerNames
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram

if not cython.compiled:
    from capture_agent.counting.networks import NONE


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def found(
    networks: Networks, data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t, port: cython.int
) -> cython.int:
    """Networks.find, copied here, of an address within bounds: a call to it costs as much."""
    if not cython.compiled:
        return networks.find(data, at, size, port)
    return number_at(cython.address(networks.table), PyBytes_AS_STRING(data) + at, size, port)


@cython.final
@cython.cclass
class Sides:
    """A side is twice the number of the peer, and one more where the message goes out: `labels` names both.

    The direction is the one that policy gives (docs/rules.md). The remote end is the source of what comes in, and the
    destination of what goes out; between two strangers (a mirror port) whichever of them has a name.
    """

    __slots__ = ("_local", "_networks", "peers")

    def __init__(self, local: Iterable[LocalAddress] = (), named: Named | None = None) -> None:
        self.peers = PeerNames()
        self._networks = self.peers.networks
        self.change_local(local)
        self.change_peers(named or {})

    def change_local(self, local: Iterable[LocalAddress]) -> None:
        """The server's addresses, from now on."""
        self._local = Networks((one.network, one.port or 0, 1) for one in local)

    def change_peers(self, named: Named) -> None:
        """From now on these networks have these names; a name keeps its number."""
        self.peers.change(named)
        self._networks = self.peers.networks

    @property
    def count(self) -> int:
        """Sides are numbers below this one."""
        return 2 * len(self.peers.names)

    def labels(self, side: int) -> tuple[str, str]:
        """Direction and peer."""
        return str(Direction.OUT if side & 1 else Direction.IN), self.peers.names[side >> 1]

    def of(self, message: CapturedMessage) -> cython.int:
        datagram: Datagram = message.datagram
        data: bytes = datagram.data
        at: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        peer: cython.int
        inward: cython.bint = False
        outward: cython.bint = False
        if at < 0 or (size != 4 and size != 16) or at > len(data) - 2 * size:  # of no packet
            return 0
        if message.origin is not None and message.origin.direction is not None:
            inward = message.origin.direction == Direction.IN
            outward = not inward
        elif self._local.count:
            inward = found(self._local, data, at + size, size, datagram.destination_port) != NONE
            outward = not inward and found(self._local, data, at, size, datagram.source_port) != NONE
            message.found_direction = 1 + outward
        if not self._networks.count:
            return outward
        peer = found(self._networks, data, at + size if outward else at, size, 0)
        if peer == NONE and not inward and not outward:
            peer = found(self._networks, data, at + size, size, 0)
        return outward if peer == NONE else peer << 1 | outward

    def side(self, message: CapturedMessage) -> int:
        """For callers that are not compiled."""
        return self.of(message)

    def side_of(self, source: bytes, source_port: int, destination: bytes, destination_port: int) -> int:
        """Of packed addresses, as `of` says; for callers that are not compiled."""
        inward: cython.bint = self._local.number(destination, destination_port) != NONE
        outward: cython.bint = not inward and self._local.number(source, source_port) != NONE
        peer: cython.int = self._networks.number(destination if outward else source)
        if peer == NONE and not inward and not outward:
            peer = self._networks.number(destination)
        return outward if peer == NONE else peer << 1 | outward
