"""A message as hooks see it, with the verbs of hooks. Hot: compiled with hook_message.pxd, or plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import cython

from capture_agent.config.rule_options import joined
from capture_agent.events import log_event, message_event
from capture_agent.hooks.seen_message import SeenMessage
from capture_agent.hooks.verb_values import (
    Decision,
    HookError,
    SinkNames,
    correlation_id_of,
    event_of,
    message_of,
    mode_of,
    place_of,
    table_of,
    users_of,
)
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import ALL_SINKS, Trace, TracedMessage
from capture_agent.sip.headers import text

# Where a trace is recorded: the first of these that exists.
BELONGS_TO = {"message": (), "transaction": ("transaction",), "dialog": ("dialog", "transaction")}


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.annotation_typing(False)  # hooks may pass any type: verb_values.py checks it
@cython.cclass
class Message(SeenMessage):
    """A message, the decisions about it so far, and verbs to change them.

    Verbs work until the hook returns. They take effect when it has returned, and not at all if it raises.
    """

    __slots__ = ("_bare", "_by", "_decided", "_dropped", "_events", "_sinks", "_started", "_traced")

    def __init__(
        self,
        captured: CapturedMessage,
        direction: Direction,
        traced: tuple[TracedMessage, ...] = (),
        sinks: SinkNames | None = None,
        by: str = "",
    ) -> None:
        self._captured = captured  # everything in SeenMessage: super() would cost as much as the rest
        self._sip = captured.sip
        self._datagram = captured.datagram
        self._direction = direction
        self._sinks = SinkNames() if sinks is None else sinks
        self._by = by  # the name of the current hook
        self._traced = traced
        self._started: tuple[tuple[str, Trace], ...] = ()  # to be recorded in the transaction or the dialog
        self._events: tuple[TracedMessage, ...] = ()  # sent in addition to it
        self._dropped = False
        self._bare = False  # it gets no correlation id unless one was set
        self._decided = False  # too late for verbs

    # Decisions

    @property
    def traced(self) -> bool:
        """Whether the decisions so far trace it."""
        return bool(self._traced) and not self._dropped

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions so far, by rules and verbs."""
        return tuple(
            Decision(
                self._sinks.named(traced.sinks),
                traced.trace.users,
                traced.trace.table,
                text(traced.trace.correlation_id),
                traced.trace.rule,
            )
            for traced in (() if self._dropped else self._traced)
        )

    # The verbs

    def drop(self) -> None:
        """Do not trace this message, regardless of other decisions. Its transaction and dialog are not affected."""
        self._writable()
        self._dropped = True

    def trace(
        self,
        *sinks: str,
        mode: str = "message",
        users: str | Iterable[str] = (),
        table: str = "",
        correlation_id: str = "",
    ) -> bool:
        """Replaces the rules' decision for these sinks, or for the default sinks if none is named.

        Other sinks get the message as before, and rules' masks still apply. `mode` "transaction" or "dialog" traces the
        whole transaction or dialog like this from now on. Returns False if the message has no dialog, so that its
        transaction is traced, or if it has neither, so that only the message is traced. Raises HookError.
        """
        self._writable()
        wanted = mode_of(mode)
        trace = Trace(
            self._sinks.bits(sinks),
            correlation_id_of(correlation_id),
            users_of(users),
            table_of(table),
            rule=self._by,
            masks=reduce(joined, (traced.trace.masks for traced in self._traced), ()),
        )
        self._traced = laid_over(self._traced, trace, self._captured, self._direction)
        for belongs_to in BELONGS_TO[wanted]:
            if getattr(self._captured, belongs_to) is not None:
                self._started = (*self._started, (belongs_to, trace))
                return belongs_to == wanted
        return wanted == "message"

    def set_users(self, users: str | Iterable[str]) -> None:
        """Sets the traced users of this message, in all its traces. Raises HookError."""
        self._writable()
        self._change(users_of(users), None, None)

    def set_table(self, table: str) -> None:
        """Sets the table that stores it instead of the configured one. Raises HookError."""
        self._writable()
        self._change(None, table_of(table), None)

    def set_correlation_id(self, correlation_id: str) -> None:
        """Sets the HEP3 correlation id; '' sends none, even if [legs] would find one. Raises HookError."""
        self._writable()
        self._change(None, None, correlation_id_of(correlation_id))
        self._bare = not correlation_id

    def hlog(self, text: str, correlation_id: str | None = None) -> None:
        """Sends a log line to the collectors (HEP3, payload type 100), even if the message is dropped.

        The default correlation id is the Call-ID. Raises HookError.
        """
        self._writable()
        identity = (self._sip.call_id or b"") if correlation_id is None else correlation_id_of(correlation_id)
        self._send(log_event(event_of(text), self._captured.time_ns, identity, self._sinks.collectors))

    def trace_msg(self, message: bytes | str, source: str, destination: str, correlation_id: str = "") -> None:
        """Sends these bytes to the collectors, as if captured now between these addresses.

        Like siptrace's sip_trace_msg(). Addresses are `udp:192.0.2.1:5060`, `tcp:[2001:db8::1]:5060`. Raises HookError.
        """
        self._writable()
        raw, identity = message_of(message), correlation_id_of(correlation_id)
        seen_from, seen_to = place_of("source", source), place_of("destination", destination)
        try:
            made = message_event(raw, seen_from, seen_to, self._captured.time_ns, identity, self._sinks.collectors)
        except ValueError as error:
            raise HookError(f"source and destination: {error}") from None
        self._send(made)

    def _send(self, event: TracedMessage) -> None:
        if self._sinks.collectors:
            self._events = (*self._events, event)

    def _writable(self) -> None:
        if self._decided:
            raise HookError("too late: this message is already decided")

    def _change(self, users: tuple[str, ...] | None, table: str | None, correlation_id: bytes | None) -> None:
        """Change the traces. They are shared, so this message gets copies."""
        self._traced = tuple(
            again(traced, traced.trace.changed(correlation_id, users, table), traced.sinks) for traced in self._traced
        )


def laid_over(
    decided: tuple[TracedMessage, ...], trace: Trace, captured: CapturedMessage, direction: Direction
) -> tuple[TracedMessage, ...]:
    """This trace first; the others keep the sinks that it does not name."""
    left = [TracedMessage(captured, direction, trace)]
    for traced in decided:
        sinks = traced.sinks & ~trace.sinks & ALL_SINKS
        if sinks:
            left.append(traced if sinks == traced.sinks else again(traced, traced.trace, sinks))
    return tuple(left)


def again(traced: TracedMessage, trace: Trace, sinks: int) -> TracedMessage:
    return TracedMessage(traced.message, traced.direction, trace, sinks)
