"""The memory of a trace while its transaction or dialog is remembered: its texts come from messages."""

from __future__ import annotations

from sys import getsizeof

from capture_agent.records.dialog import UNIT
from capture_agent.records.traced import Trace

TRACE = 15  # units: a trace, its tuple of users, and the tuple that it is in
BYTES_MORE = 33 + UNIT - 1  # overhead of a bytes object, and rounding
USER_MORE = 8 + UNIT - 1  # a place in a tuple, and rounding
SECOND = 5  # a tuple of two; two more items take one more unit


def trace_units(trace: Trace) -> int:
    """In units of records.dialog.UNIT."""
    correlation_id = (len(trace.correlation_id) + BYTES_MORE) // UNIT if trace.correlation_id else 0
    return TRACE + correlation_id + sum((getsizeof(user) + USER_MORE) // UNIT for user in trace.users)


def traces_units(traces: tuple[Trace, ...]) -> int:
    """For traces started by a hook, which only one transaction or dialog uses."""
    return sum(map(trace_units, traces))
