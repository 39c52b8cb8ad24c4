"""Outcomes of messages between the pipeline and a sink: the names in its ledger that do not come from the sink."""

from __future__ import annotations

from capture_agent.books import Account

SENT = "sent"
WAITING = "waiting"  # in the queue, held by the sink, or not acknowledged

# Places where messages are lost before the sink has sent them.
QUEUE_FULL = "queue_full"
UNREACHABLE = "unreachable"  # the other side is down
SHUTDOWN = "shutdown"  # the time to stop was over
INTERNAL_ERROR = "internal_error"  # a bug in the sink

ACCOUNT = Account("sink", (SENT, WAITING), lost=(QUEUE_FULL, UNREACHABLE, SHUTDOWN, INTERNAL_ERROR))
