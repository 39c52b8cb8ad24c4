"""Peer and direction of a message, as one number. Hot: compiled with sides.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent import hashing
from capture_agent.config.endpoints import LocalAddress
from capture_agent.counting.networks import Networks
from capture_agent.counting.peer_names import Named, PeerNames
from capture_agent.hashing import number_of
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram

if not cython.compiled:
    from capture_agent.counting.networks import NONE

    SLOTS = 4096

TEXT = cython.declare(cython.int, hashing.TEXT)
IPV6 = cython.declare(cython.ulonglong, 1 << 32)  # above the ports


@cython.final
@cython.cclass
class Sides:
    """A side is twice the number of the peer, and one more where the message goes out: `labels` names both.

    The direction is the one that policy gives (docs/rules.md). The remote end is the source of what comes in, and the
    destination of what goes out; between two strangers (a mirror port) whichever of them has a name.

    Answers are remembered by the pair of addresses, in SLOTS places, where the newest one evicts the one before it.
    The factor that chooses the place is random: no sender can aim at one.
    """

    __slots__ = ("_factor", "_known", "_local", "_networks", "_with_ports", "peers")

    def __init__(self, local: Iterable[LocalAddress] = (), named: Named | None = None) -> None:
        self.peers = PeerNames()
        self._networks = self.peers.networks
        self._factor = number_of(b"sides", 0, 5, TEXT, 0) | 1
        self.change_local(local)
        self.change_peers(named or {})

    def change_local(self, local: Iterable[LocalAddress]) -> None:
        """The server's addresses, from now on."""
        local = tuple(local)
        self._local = Networks((one.network, one.port or 0, 1) for one in local)
        self._with_ports = any(one.port is not None for one in local)
        self._forget()

    def change_peers(self, named: Named) -> None:
        """From now on these networks have these names; a name keeps its number."""
        self.peers.change(named)
        self._networks = self.peers.networks
        self._forget()

    def _forget(self) -> cython.bint:
        """All answers."""
        n: cython.int
        if not cython.compiled:
            self._known: dict[tuple[bytes, int], int] = {}
            return True
        for n in range(SLOTS):
            self._sides[n] = -1
        return True

    @property
    def count(self) -> int:
        """Sides are numbers below this one."""
        return 2 * len(self.peers.names)

    def labels(self, side: int) -> tuple[str, str]:
        """Direction and peer."""
        return str(Direction.OUT if side & 1 else Direction.IN), self.peers.names[side >> 1]

    def of(self, message: CapturedMessage) -> cython.int:
        datagram: Datagram = message.datagram
        at: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        addresses: cython.ulonglong = 0
        rest: cython.ulonglong = 0
        slot: cython.ulonglong
        if message.origin is not None:
            return self._looked_up(message)
        if not cython.compiled:
            return self._remembered(message)
        if not 0 <= at <= PyBytes_GET_SIZE(datagram.data) - 32 or (size != 4 and size != 16):
            return self._looked_up(message)
        if self._with_ports:
            rest = cython.cast(cython.ulonglong, datagram.source_port) << 16 | datagram.destination_port
        if size == 4:
            memcpy(cython.address(addresses), PyBytes_AS_STRING(datagram.data) + at, 8)
        else:
            addresses = number_of(datagram.data, at, at + 2 * size, TEXT, 0)
            rest |= IPV6
        slot = ((addresses ^ rest << 29) * self._factor) >> 52
        if self._addresses[slot] != addresses or self._rest[slot] != rest or self._sides[slot] < 0:
            self._sides[slot] = self._looked_up(message)
            self._addresses[slot] = addresses
            self._rest[slot] = rest
        return self._sides[slot]

    def _remembered(self, message: CapturedMessage) -> cython.int:
        """Plain only."""
        datagram = message.datagram
        ports = datagram.source_port << 16 | datagram.destination_port if self._with_ports else 0
        key = (datagram.source + datagram.destination, ports)
        side = self._known.get(key)
        if side is None:
            if len(self._known) >= SLOTS:
                self._known.clear()
            side = self._known[key] = self._looked_up(message)
        return side

    def _looked_up(self, message: CapturedMessage) -> cython.int:
        datagram: Datagram = message.datagram
        data: bytes = datagram.data
        source: cython.Py_ssize_t = datagram.address_at
        size: cython.Py_ssize_t = datagram.address_size
        destination: cython.Py_ssize_t = source + size
        peer: cython.int
        if source > len(data):  # of no packet; the sums would overflow
            return 0
        inward: cython.bint = False
        outward: cython.bint = False
        if self._local.count:
            inward = self._local.find(data, destination, size, datagram.destination_port) != NONE
            outward = not inward and self._local.find(data, source, size, datagram.source_port) != NONE
        if message.origin is not None and message.origin.direction is not None:
            inward = message.origin.direction == Direction.IN
            outward = not inward
        peer = self._networks.find(data, destination if outward else source, size, 0)
        if peer == NONE and not inward and not outward:
            peer = self._networks.find(data, destination, size, 0)
        return outward if peer == NONE else peer << 1 | outward

    def side(self, message: CapturedMessage) -> int:
        """For callers that are not compiled."""
        return self.of(message)
