"""Hooks decide last about each message. Hot: compiled with hooks.pxd, or plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import cython

from capture_agent.books import Ledger
from capture_agent.hooks.guard import FAILED, Guard
from capture_agent.hooks.hook_message import Message, laid_over
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.policy.rules import Grown, is_confirming_ack
from capture_agent.policy.weights import traces_units
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.traced import ALL_SINKS, Trace, TracedMessage

Decided: TypeAlias = tuple[TracedMessage, ...]  # for one message: one per trace


@cython.final
@cython.cclass
class Hooks:
    """The hooks in order. Each sees the decisions of earlier ones; none sees a dropped message.

    For the last message: `dropped`, and `bare` if a hook wants no correlation id on it.
    """

    __slots__ = ("_dialog_acks", "_events", "_sinks", "bare", "dropped", "grown", "guards")

    def __init__(self, guards: Iterable[Guard], sinks: SinkNames, dialog_acks: bool = True) -> None:
        self.guards = tuple(guards)
        self._events: list[TracedMessage] = []
        self._sinks = sinks
        self.grown: list[Grown] = []
        self._dialog_acks = dialog_acks
        self.dropped = False
        self.bare = False

    def apply(
        self, message: CapturedMessage, direction: Direction, traced: Decided, follow: cython.bint = True
    ) -> Decided:
        """The traces that the rules, and then the hooks, have decided. A hook that fails has no effect.

        Without `follow`, hooks' decisions at earlier messages do not count.
        """
        guard: Guard
        if follow and (message.transaction is not None or message.dialog is not None):
            traced = self._continued(message, direction, traced)
        handed: Message = Message(message, direction, traced, self._sinks)
        for guard in self.guards:
            if guard.off:
                continue
            handed._by = guard.name
            before, started, events, bare = handed._traced, handed._started, handed._events, handed._bare
            if guard.call(handed) is FAILED:
                handed._traced, handed._started, handed._events, handed._bare = before, started, events, bare
                handed._dropped = False
            elif handed._dropped:
                guard.drops()
                break
        handed._decided = True
        if handed._started:
            self.grown += start(message, handed._started)
        if handed._events:
            self._events += handed._events
        self.dropped = handed._dropped
        self.bare = handed._bare
        return () if handed._dropped else handed._traced

    def _continued(self, message: CapturedMessage, direction: Direction, traced: Decided) -> Decided:
        """Hooks' decisions at earlier messages of its dialog and its transaction."""
        dialog: Dialog | None = message.dialog
        transaction: Transaction | None = message.transaction
        if dialog is not None and dialog.hooked and (self._dialog_acks or not is_confirming_ack(message)):
            traced = laid_over_by(dialog.hooked, message, direction, traced)
        if transaction is not None and transaction.hooked:
            traced = laid_over_by(transaction.hooked, message, direction, traced)
        return traced

    def take_events(self) -> list[TracedMessage]:
        """Log lines and uncaptured messages to send, since the last call."""
        taken, self._events = self._events, []
        return taken

    def ledgers(self) -> Iterator[Ledger]:
        for guard in self.guards:
            yield guard.ledger()


def laid_over_by(
    hooked: tuple[object, ...], message: CapturedMessage, direction: Direction, traced: Decided
) -> Decided:
    for trace in reversed(hooked):
        assert isinstance(trace, Trace)
        traced = laid_over(traced, trace, message, direction)
    return traced


def start(message: CapturedMessage, started: tuple[tuple[str, Trace], ...]) -> Iterator[Grown]:
    """Record what is traced from now on."""
    for mode, trace in started:
        belongs_to = getattr(message, mode)
        before = traces_units(belongs_to.hooked)
        belongs_to.hooked = instead(trace, belongs_to.hooked)
        yield message, belongs_to, belongs_to.hold(traces_units(belongs_to.hooked) - before)


def instead(trace: Trace, traces: tuple[object, ...]) -> tuple[object, ...]:
    """This trace first, then those that still have a sink of their own: so there are never more than sinks."""
    kept = [trace]
    taken = trace.sinks
    for other in traces:
        assert isinstance(other, Trace)
        if other.sinks & ~taken & ALL_SINKS:
            kept.append(other)
            taken |= other.sinks
    return tuple(kept)
