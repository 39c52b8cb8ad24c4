"""What a sink is to the rest of the agent, and the one error it raises."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capture_agent.records import TracedMessage


class SinkError(Exception):
    """The other side is down, or refuses what a user has configured. One clear line, without secrets or SIP."""


class Sink(Protocol):
    """Takes traced messages, in order. Used by one thread at a time; `open` may be called from another before.

    Each message that was given stands in exactly one of the counters, or the SinkError that `send` raised says
    that it is not done: the counters then grew by the number of messages, from the first of the batch on, that are.
    """

    name: str  # "hep:10.0.0.1:9060"; no secret in it
    together: int  # as many messages, where they can be had, make a batch that is worth its costs

    @property
    def sent(self) -> int: ...

    @property
    def rejected(self) -> Counter[str]:
        """Never to be sent, by reason: oversize, headers, ..."""

    @property
    def lost(self) -> Counter[str]:
        """Sent in vain, as far as we were told, by place."""

    def open(self) -> None:
        """Reach the other side. Does nothing when it is reached. `send` does it too. Raises SinkError."""

    def send(self, batch: Sequence[TracedMessage]) -> None:
        """Blocks until the batch is out. Raises SinkError when the other side is down."""

    def flush(self) -> None:
        """Let go of whatever is held back."""

    def close(self) -> None:
        """Give back what is open. Never raises."""


def handled(sink: Sink) -> int:
    """How many messages this sink has done with."""
    return sink.sent + sum(sink.rejected.values()) + sum(sink.lost.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """A sink's counters at one moment: they are asked for while it works, and after it is closed."""

    sent: int
    rejected: Counter[str]
    lost: Counter[str]

    @classmethod
    def of(cls, sink: Sink) -> Figures:
        return cls(sink.sent, Counter(sink.rejected), Counter(sink.lost))

    @property
    def handled(self) -> int:
        return self.sent + self.rejected.total() + self.lost.total()

    def at_the_end(self, sink: Sink) -> Figures:
        """Those of a sink that has been closed; these, where it has forgotten them."""
        try:
            last = Figures.of(sink)
        except Exception:
            return self
        return last if last.handled >= self.handled else self


def reason(error: OSError) -> str:
    """An operating system's error as a person reads it: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or type(error).__name__).lower()
