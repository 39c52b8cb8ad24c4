"""A message that policy has decided to trace, and how. Hot: compiled with traced.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.config.targets import MOST_SINKS
from capture_agent.records.captured import Direction
from capture_agent.records.kinds import Captured

ALL_SINKS = (1 << MOST_SINKS) - 1


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.cclass
class Trace:
    """How something is traced. Made once, for example for a dialog, and shared by its messages.

    sinks           a bit for each sink: 1 << its id, which it keeps when the configuration changes
    correlation_id  HEP3 chunk 0x0011; empty: not sent
    users           siptrace's traced users: a row of the table for each, in addition to the row without a user
    table           replaces the sink's configured table; empty: no replacement
    plain_row       whether there is a row without a user (siptrace: trace_on)
    rule            the name of the rule that made it
    masks           the masks to apply, by their names in the configuration
    """

    __slots__ = ("correlation_id", "masks", "plain_row", "rule", "sinks", "table", "users")

    def __init__(
        self,
        sinks: int = ALL_SINKS,
        correlation_id: bytes = b"",
        users: tuple[str, ...] = (),
        table: str = "",
        plain_row: bool = True,
        rule: str = "",
        masks: tuple[str, ...] = (),
    ) -> None:
        self.sinks = sinks
        self.correlation_id = correlation_id
        self.users = users
        self.table = table
        self.plain_row = plain_row
        self.rule = rule
        self.masks = masks

    def changed(
        self,
        correlation_id: bytes | None = None,
        users: tuple[str, ...] | None = None,
        table: str | None = None,
        plain_row: bool | None = None,
    ) -> Trace:
        """A copy with the given changes."""
        return Trace(
            self.sinks,
            self.correlation_id if correlation_id is None else correlation_id,
            self.users if users is None else users,
            self.table if table is None else table,
            self.plain_row if plain_row is None else plain_row,
            self.rule,
            self.masks,
        )


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class TracedMessage:
    """A message that policy has decided to trace. A message with several traces is several of these.

    message  of any kind: hot code checks its type, a cheap comparison, before it casts
    sinks    the trace's, without those that already get the message under another trace
    """

    __slots__ = ("direction", "message", "sinks", "trace")

    def __init__(self, message: Captured, direction: Direction, trace: Trace, sinks: int | None = None) -> None:
        self.message = message
        self.direction = direction
        self.trace = trace
        self.sinks = trace.sinks if sinks is None else sinks


# Creating records here, next to their free lists, costs a third of what it costs elsewhere.


def traced(message: Captured, direction: Direction, trace: Trace, sinks: cython.ulonglong) -> TracedMessage:
    one: TracedMessage = TracedMessage.__new__(TracedMessage)
    one.message = message
    one.direction = direction
    one.trace = trace
    one.sinks = sinks
    return one


if not cython.compiled:
    globals().update(traced=TracedMessage)
