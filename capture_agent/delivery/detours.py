"""Messages that a datagram cannot hold go to another sink than the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks import imported

IsLonger = Callable[[TracedMessage, int], bool]


@dataclass(frozen=True, slots=True)
class Detour:
    """`around`, `to`: the bits of the sinks. `is_longer`: whether the packet of a message has more than `most` bytes.

    A message that the other sink gets anyway is not sent to it twice.
    """

    around: int
    to: int
    most: int
    is_longer: IsLonger

    def take(self, traced: list[TracedMessage]) -> None:
        """Replace the messages that take it, in place."""
        for n, one in enumerate(traced):
            if one.sinks & self.around and self.is_longer(one, self.most):
                sinks = one.sinks & ~self.around
                if not any(other.sinks & self.to for other in same_message(traced, n)):
                    sinks |= self.to
                traced[n] = TracedMessage(one.message, one.direction, one.trace, sinks)


def same_message(traced: list[TracedMessage], n: int) -> Iterator[TracedMessage]:
    """Message n under all its traces, which follow each other."""
    message = traced[n].message
    for step, first in ((1, n), (-1, n - 1)):
        at = first
        while 0 <= at < len(traced) and traced[at].message is message:
            yield traced[at]
            at += step


def detours_of(sinks: ConfiguredSinks) -> list[Detour]:
    """The configuration has been checked: each `oversize` names a sink."""
    return [
        Detour(one.bit, to.bit, one.target.datagram_bytes, imported(one.kind.size)(one.target))
        for one in sinks
        if isinstance(one.target, HepTarget | SipTarget) and (to := sinks.called(one.target.oversize)) is not None
    ]
