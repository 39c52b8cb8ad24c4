"""Optional: drops traffic on ports other than the configured ones."""

from __future__ import annotations

from collections.abc import Iterable

from capture_agent.books import Account, Ledger, OfFrames
from capture_agent.config.endpoints import PortRange
from capture_agent.records.datagram import FROM_HEP, Datagram

ACCOUNT = Account("frames", (OfFrames.CARRIED, OfFrames.OTHER_PORTS))


class PortFilter:
    """Checks the innermost packet, whatever carried it."""

    def __init__(self, ports: Iterable[PortRange]) -> None:
        wanted = bytearray(65536)
        for each in ports:
            wanted[each.first : each.last + 1] = b"\1" * (each.last + 1 - each.first)
        self._wanted = bytes(wanted)
        self.left_out = 0

    def ledgers(self) -> list[Ledger]:
        """How many of the carried frames stopped here."""
        count = self.left_out
        return [ACCOUNT.ledger(outcomes={OfFrames.CARRIED: -count, OfFrames.OTHER_PORTS: count})] if count else []

    def chosen(self, datagrams: list[Datagram]) -> list[Datagram]:
        """The packets with one of the ports at either end, in order; and HEP, whose sender has chosen already."""
        wanted = self._wanted
        chosen = [
            one
            for one in datagrams
            if wanted[one.source_port] or wanted[one.destination_port] or one.flags & FROM_HEP == FROM_HEP
        ]
        self.left_out += len(datagrams) - len(chosen)
        return chosen
