"""Sinks that send each message as one packet: packed into one buffer, sent as datagrams or on one connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capture_agent.net.connecting import Endpoint
from capture_agent.net.sender import PacketTally, Sender
from capture_agent.records.traced import TracedMessage


@dataclass(frozen=True, slots=True)
class Packed:
    buffer: bytes | memoryview
    ends: Sequence[int]
    next: int  # number of the first message of the batch that was not packed
    refused: str = ""  # why that one cannot be sent at all


class Packer(Protocol):
    """Packs into its own buffer, never into one that the sender still needs: `needed` and all later ones."""

    def __call__(self, batch: list[TracedMessage], first: int, needed: memoryview | None) -> Packed: ...


class PacketSink:
    """A sink made of a packer and a sender."""

    together = 64  # cheaper than one by one, and few enough to be in the CPU cache still

    def __init__(self, name: str, pack: Packer, sender: Sender, tally: PacketTally) -> None:
        self.name = name
        self._pack = pack
        self._sender = sender
        self._tally = tally

    @property
    def sent(self) -> int:
        return self._tally.sent

    @property
    def unconfirmed(self) -> int:
        return self._tally.unconfirmed

    @property
    def connections(self) -> int:
        return self._tally.connections

    @property
    def idle_seconds(self) -> float | None:
        return self._sender.idle_seconds

    @property
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        """The endpoints of its open socket, ours and the other side's."""
        return self._sender.endpoints_now

    @property
    def rejected(self) -> Counter[str]:
        return self._tally.rejected

    @property
    def lost(self) -> Counter[str]:
        return self._tally.lost

    def open(self) -> None:
        self._sender.open()

    def send(self, batch: Sequence[TracedMessage]) -> None:
        messages = batch if isinstance(batch, list) else list(batch)
        at = 0
        if not messages:
            self._sender.settle()
        while at < len(messages):
            packed = self._pack(messages, at, self._sender.needed())
            if packed.ends:
                self._sender.send(packed.buffer, packed.ends)
            at = packed.next
            if packed.refused:
                self._tally.rejected[packed.refused] += 1
                at += 1

    def flush(self) -> None:
        self._sender.flush()

    def close(self) -> None:
        self._sender.close()
