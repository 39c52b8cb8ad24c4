"""Outcomes of messages between the pipeline and a sink: the names in its ledger that do not come from the sink."""

from __future__ import annotations

from capture_agent.books import Account

SENT = "sent"
MOVED = "moved"  # to another member of its group, because this sink was down
WAITING = "waiting"  # in the queue or the spool, held by the sink, or not acknowledged

# Places where messages are lost before the sink has sent them.
QUEUE_FULL = "queue_full"
UNREACHABLE = "unreachable"  # the other side is down
SHUTDOWN = "shutdown"  # the time to stop was over
INTERNAL_ERROR = "internal_error"  # a bug in the sink
SPOOL_FULL = "spool_full"  # the oldest, for newer ones
EXPIRED = "expired"  # older than the spool keeps them
SPOOL_FAILED = "spool_failed"  # the spool's disk or file does not work

PLACES = (QUEUE_FULL, UNREACHABLE, SHUTDOWN, INTERNAL_ERROR, SPOOL_FULL, EXPIRED, SPOOL_FAILED)
ACCOUNT = Account("sink", (SENT, WAITING, MOVED), lost=PLACES)
