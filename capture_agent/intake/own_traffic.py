"""Drops what this process sends and receives, if an interface captures it: otherwise each copy would make another.

Hot: compiled with own_traffic.pxd, or plain Python.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import cython

from capture_agent.books import Account, Ledger, OfFrames
from capture_agent.records.datagram import Datagram

ACCOUNT = Account("frames", (OfFrames.CARRIED, OfFrames.OWN))


class KnownSockets(Protocol):
    """Our sockets, as found by own_sockets.py."""

    @property
    def ports(self) -> bytes: ...

    def has(self, datagram: Datagram) -> bool: ...


class Sockets(Protocol):
    @property
    def known(self) -> KnownSockets: ...


@cython.final
@cython.cclass
class OwnTraffic:
    """Checks the innermost packet, whatever carried it. The kernel has already left out most of our packets."""

    __slots__ = ("_listeners", "_sockets", "left_out")

    def __init__(self, sockets: Sockets, listeners: Collection[str] = ()) -> None:
        self._sockets = sockets
        self._listeners = frozenset(listeners)  # sources whose packets are never dropped
        self.left_out = 0

    def ledgers(self) -> list[Ledger]:
        """How many of the carried frames stopped here."""
        count = self.left_out
        return [ACCOUNT.ledger(outcomes={OfFrames.CARRIED: -count, OfFrames.OWN: count})] if count else []

    def others(self, datagrams: list[Datagram]) -> list[Datagram]:
        """The packets that are not ours, in order."""
        known = self._sockets.known
        ports: bytes = known.ports
        datagram: Datagram
        own: set[int] = set()
        for datagram in datagrams:
            if not ports[datagram.source_port] and not ports[datagram.destination_port]:
                continue
            if known.has(datagram) and not self._is_listener(datagram):
                own.add(id(datagram))
        if not own:
            return datagrams
        self.left_out += len(own)
        return [one for one in datagrams if id(one) not in own]

    def _is_listener(self, datagram: Datagram) -> cython.bint:
        return datagram.interface is not None and datagram.interface.name in self._listeners
