"""The interface of senders, which send packets to one receiver, and their counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from capture_agent.books import Account
from capture_agent.net.connecting import Endpoint

OVERSIZE = "oversize"  # rejected: longer than a packet can be
REFUSED = "refused"  # lost: datagrams that nobody listens for
UNCONFIRMED = "unconfirmed"  # lost: packets that the other side has not acknowledged
ACCOUNT = Account("sink", rejected=(OVERSIZE,), lost=(REFUSED, UNCONFIRMED))


@dataclass(slots=True)
class Tally:
    """What became of the packets, from the first on."""

    sent: int = 0
    unconfirmed: int = 0  # given to the kernel, and not known to have arrived
    rejected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    connections: int = field(default=0, compare=False)  # that were made; for datagrams, sockets


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
