"""The interface of sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capture_agent.net.errors import SinkError as SinkError  # noqa: PLC0414 - sinks of packages import it from here
from capture_agent.records.traced import TracedMessage


class InternalError(Exception):
    """A package's sink has raised something else. `kind`: the name of its class, and where."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class Sink(Protocol):
    """Takes traced messages, in order. Used by one thread at a time; `open` may be called from another before.

    Each message that was given stands in exactly one of the counters, or the SinkError that `send` raised says
    that it is not done: the counters then grew by the number of messages, from the first of the batch on, that are.

    A sink that learns later what became of a message has one counter more, `unconfirmed`: how many it holds of which
    it does not know. They are done, for `send`; the sink sends them again itself, when it must, and counts each as
    sent, or as lost at the latest when it is closed. While there are some, `send` is called with an empty batch every
    so often: it counts what is known by then, and raises SinkError when the other side is down.
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
        """The end of a run: let go of whatever is held back, and wait for what is unconfirmed. Raises SinkError."""

    def close(self) -> None:
        """Give back what is open. Never raises."""


def handled(sink: Sink) -> int:
    """How many messages this sink has taken: whoever gave them has done with them."""
    return sink.sent + unconfirmed(sink) + sum(sink.rejected.values()) + sum(sink.lost.values())


def unconfirmed(sink: Sink) -> int:
    """How many of them may still be lost; 0 where the sink knows at once."""
    return getattr(sink, "unconfirmed", 0)


def kind(error: Exception) -> str:
    """What the log calls a bug in a sink: without its words, in which secrets or SIP may be."""
    return error.kind if isinstance(error, InternalError) else type(error).__name__


@dataclass(frozen=True, slots=True)
class Figures:
    """A sink's counters at one moment: they are asked for while it works, and after it is closed."""

    sent: int
    unconfirmed: int
    rejected: Counter[str]
    lost: Counter[str]

    @classmethod
    def of(cls, sink: Sink) -> Figures:
        return cls(sink.sent, unconfirmed(sink), Counter(sink.rejected), Counter(sink.lost))

    @property
    def handled(self) -> int:
        return self.sent + self.unconfirmed + self.rejected.total() + self.lost.total()

    def at_the_end(self, sink: Sink) -> Figures:
        """Those of a sink that has been closed; these, where it has forgotten them."""
        try:
            last = Figures.of(sink)
        except Exception:
            return self
        return last if last.handled >= self.handled else self
