"""The interface of sinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from capture_agent.net.sink_errors import SinkError as SinkError  # noqa: PLC0414 - sinks of packages import it from here
from capture_agent.records.kinds import SIP_ONLY, Kinds
from capture_agent.records.traced import TracedMessage

NOT_SIP = "not_sip"  # why a sink for SIP only rejects a message of another kind


class InternalError(Exception):
    """A package's sink raised an undeclared exception. `kind`: its class name, and where it was raised."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class Sink(Protocol):
    """Accepts traced messages, in order. One thread at a time uses it; another may call `open` before.

    Each message passed to `send` is counted in exactly one of the counters. If `send` raises SinkError, the counters
    have grown by the number of messages, from the start of the batch, that are done; the others are not done.

    A sink that learns the outcome later has one more counter, `unconfirmed`: the messages it holds whose outcome is not
    known. For `send` they are done; the sink itself sends them again if it must, and counts each as sent, or at the
    latest when it is closed, as lost. While there are any, `send` is called with an empty batch from time to time: it
    counts the outcomes known by then, and raises SinkError if the other side is down.

    A sink that has a connection to look after has `idle_seconds`: `send` is called with an empty batch that often while
    there is nothing to send.

    A sink that counts the connections it has made has them in `connections`.

    A sink with `patience` wants messages to wait that many seconds for others, until `together` of them wait. One that
    is `awaited` has its messages before more are captured.

    A sink that accepts kinds of messages other than SIP lists them in `kinds`; it rejects all others (not_sip).
    """

    name: str  # "hep:10.0.0.1:9060"; contains no secret
    together: int  # preferred batch size, in messages

    @property
    def sent(self) -> int: ...

    @property
    def rejected(self) -> Counter[str]:
        """Messages that will never be sent, by reason: oversize, headers, ..."""

    @property
    def lost(self) -> Counter[str]:
        """Messages known to be lost, by place."""

    def open(self) -> None:
        """Connects to the other side. Does nothing if connected. `send` also connects. Raises SinkError."""

    def send(self, batch: Sequence[TracedMessage]) -> None:
        """Blocks until the batch is sent. Raises SinkError if the other side is down."""

    def flush(self) -> None:
        """Ends a run: sends held messages, and waits for unconfirmed ones. Raises SinkError."""

    def close(self) -> None:
        """Releases everything that is open. Never raises."""


def handled(sink: Sink) -> int:
    """How many messages this sink has taken over from its caller."""
    return sink.sent + unconfirmed(sink) + sum(sink.rejected.values()) + sum(sink.lost.values())


def unconfirmed(sink: Sink) -> int:
    """How many of them may still be lost; 0 if the sink knows outcomes at once."""
    return getattr(sink, "unconfirmed", 0)


def connections(sink: Sink) -> int | None:
    """How many connections it has made so far; None if it does not count them."""
    made: int | None = getattr(sink, "connections", None)
    return made


def patience(sink: Sink) -> float:
    """Seconds that messages may wait for others; 0: they are sent at once."""
    return getattr(sink, "patience", 0.0)


def is_awaited(sink: Sink) -> bool:
    """Whether a batch is captured only after the last one has been sent."""
    return getattr(sink, "awaited", False)


def idle_seconds(sink: Sink) -> float | None:
    """How often it looks after its connection; None if it need not."""
    seconds: float | None = getattr(sink, "idle_seconds", None)
    return seconds


def kinds_of(sink: Sink) -> Kinds:
    """The kinds of messages that it accepts."""
    taken: Kinds = getattr(sink, "kinds", SIP_ONLY)
    return taken


def kind(error: Exception) -> str:
    """A bug in a sink as the log names it: without the exception's text, which may contain secrets or SIP."""
    return error.kind if isinstance(error, InternalError) else type(error).__name__


@dataclass(frozen=True, slots=True)
class Figures:
    """A snapshot of a sink's counters, which are read while it works and after it is closed."""

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
        """The counters of a closed sink; these, if it no longer has them."""
        try:
            last = Figures.of(sink)
        except Exception:
            return self
        return last if last.handled >= self.handled else self
