"""What a trace takes of memory while its transaction or dialog is remembered: its texts are out of messages."""

from __future__ import annotations

from sys import getsizeof

from capture_agent.records.dialog import UNIT
from capture_agent.records.traced import Trace

TRACE = 15  # units: a trace, its tuple of users, and the tuple that it is in
BYTES_MORE = 33 + UNIT - 1  # what an object of bytes takes more, and what rounds up
USER_MORE = 8 + UNIT - 1  # a place in a tuple, and what rounds up
SECOND = 5  # a tuple of two; two more items take one more unit


def trace_units(trace: Trace) -> int:
    """In calls.UNIT."""
    correlation_id = (len(trace.correlation_id) + BYTES_MORE) // UNIT if trace.correlation_id else 0
    return TRACE + correlation_id + sum((getsizeof(user) + USER_MORE) // UNIT for user in trace.users)


def traces_units(traces: tuple[Trace, ...]) -> int:
    """Of those that a hook has started: each is its transaction's or dialog's alone."""
    return sum(map(trace_units, traces))
