"""All rows of a call in a sip_trace table, as tests compare them."""

from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import of_one_call
from capture_agent.history.stored_messages import StoredMessage
from capture_agent.history.stored_rows import reading


def stored_messages(target: SqlTarget, call_id: str) -> list[StoredMessage]:
    with reading(target) as rows:
        return of_one_call(rows, call_id)
