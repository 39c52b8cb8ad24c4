"""The interface of senders, which send packets to one receiver, and their counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from capture_agent.books import Account
from capture_agent.net.connecting import Endpoint

OVERSIZE = "oversize"  # rejected: longer than a packet can be
REFUSED = "refused"  # lost: datagrams to a closed port
UNCONFIRMED = "unconfirmed"  # lost: packets never acknowledged
ACCOUNT = Account("sink", rejected=(OVERSIZE,), lost=(REFUSED, UNCONFIRMED))


@dataclass(slots=True)
class PacketTally:
    """The packets' outcomes, counted from the start."""

    sent: int = 0
    unconfirmed: int = 0  # given to the kernel, but not known to have arrived
    rejected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    connections: int = field(default=0, compare=False)  # that were made; for datagrams, sockets


class Sender(Protocol):
    """Counts in the tally it was made with, in packet order. Its methods raise the same errors as a Sink's."""

    @property
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        """Our address and the other side's, of the open socket. Any thread may ask; it costs nothing."""

    @property
    def idle_seconds(self) -> float | None:
        """How often to `settle` while there is nothing to send; None: never."""

    def open(self) -> None: ...

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        """Our address and the other side's. Opens the socket if necessary."""

    def needed(self) -> memoryview | None:
        """A part of the oldest buffer that it may have to send again; None if there is none.

        That buffer and all later ones must not change. Ask before each `send`: this counts what has arrived by then.
        """

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None: ...

    def settle(self) -> None:
        """Count the outcomes known by now; send lost packets again; see whether the other side is there."""

    def flush(self) -> None:
        """Send everything, wait for the outcomes, and count them."""

    def close(self) -> None: ...
