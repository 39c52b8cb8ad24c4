"""Drops what this process sends and receives, if an interface captures it: otherwise each copy would make another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from capture_agent.books import Account, Ledger, OfFrames
from capture_agent.records.datagram import Datagram

ACCOUNT = Account("frames", (OfFrames.CARRIED, OfFrames.OWN))


class Known(Protocol):
    """Our sockets, as own_sockets.py finds them."""

    @property
    def ports(self) -> bytes: ...

    def has(self, datagram: Datagram) -> bool: ...


class Sockets(Protocol):
    @property
    def known(self) -> Known: ...


class OwnTraffic:
    """Looks at the innermost packet, whatever carried it. The kernel has left out the most of it already."""

    def __init__(self, sockets: Sockets, listeners: Collection[str] = ()) -> None:
        self._sockets = sockets
        self._listeners = frozenset(listeners)  # sources of ours whose packets are taken as they are
        self.left_out = 0

    def ledgers(self) -> list[Ledger]:
        """Of the frames that have been carried, those that went no further."""
        count = self.left_out
        return [ACCOUNT.ledger(outcomes={OfFrames.CARRIED: -count, OfFrames.OWN: count})] if count else []

    def others(self, datagrams: list[Datagram]) -> list[Datagram]:
        """What is not ours, in its order."""
        known = self._sockets.known
        ports = known.ports
        maybe = [one for one in datagrams if ports[one.source_port] or ports[one.destination_port]]
        own = {id(one) for one in maybe if known.has(one) and not self._is_listener(one)}
        if not own:
            return datagrams
        self.left_out += len(own)
        return [one for one in datagrams if id(one) not in own]

    def _is_listener(self, datagram: Datagram) -> bool:
        return datagram.interface is not None and datagram.interface.name in self._listeners
