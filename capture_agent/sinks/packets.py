"""Sinks that send each message as one packet: packed into one buffer, sent as datagrams or on one connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from capture_agent.records import TracedMessage
from capture_agent.sinks.connecting import Endpoint


@dataclass(slots=True)
class Tally:
    """What became of the packets, from the first on."""

    sent: int = 0
    unconfirmed: int = 0  # given to the kernel, and not known to have arrived
    rejected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


class Sender(Protocol):
    """Counts in the tally it was made with, in the order of the packets. Its methods raise as those of a Sink."""

    @property
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        """Ours and the other side's, of the socket that is open now. Any thread may ask; it costs nothing."""

    def open(self) -> None: ...

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        """Ours and the other side's. Opens what is not open."""

    @property
    def needed(self) -> memoryview | None:
        """A part of the oldest buffer, of those it was given, that it may have to send again; None: of none.

        That one and all after it must stay as they are.
        """

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None: ...

    def settle(self) -> None:
        """Count what is known by now of what was sent; send again what is lost."""

    def flush(self) -> None:
        """Nothing is held back; what becomes of what was sent is waited for, and counted."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Packed:
    buffer: bytes | memoryview
    ends: Sequence[int]
    next: int  # number of the first message of the batch that is not in it
    refused: str = ""  # why that one is not to be sent at all


class Packer(Protocol):
    """Packs into a buffer of its own, which is not one that the sender still needs."""

    def __call__(self, batch: list[TracedMessage], first: int) -> Packed: ...


class PacketSink:
    """A sink made of a packer and a sender."""

    together = 1  # whatever has been read in one go: it is in the cache

    def __init__(self, name: str, pack: Packer, sender: Sender, tally: Tally) -> None:
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
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        """The endpoints of the socket it sends from now, ours and the other side's."""
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
            packed = self._pack(messages, at)
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
