"""One JSON object per traced message, on one line, for Loki, Vector, Fluent Bit and the like."""

from __future__ import annotations

import errno
import json
import os
from base64 import b64encode
from collections import Counter
from typing import Any

from capture_agent.config.targets import JsonlTarget
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import DialogState, TransactionState
from capture_agent.records.kinds import ALL_KINDS
from capture_agent.records.message_fields import as_object, as_text, carriage
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files.file_sink import FileSink
from capture_agent.sinks.files.rotating_files import OpenFile, RotatingFiles

STEP = 1 << 16
OURS = Origin()


class JsonlSink(FileSink):
    """The fields of `decode --format jsonl`, and what tracing adds: docs/files.md lists them."""

    kinds = ALL_KINDS

    def __init__(self, target: JsonlTarget) -> None:
        super().__init__(str(target), self._packed, RotatingFiles(target, whole=whole_lines))
        self._message = target.message

    def _packed(self, messages: list[TracedMessage], file: OpenFile) -> tuple[bytes, Counter[str]]:
        # ASCII only: nothing in it can control a terminal that shows it.
        lines = [json.dumps(traced_object(one, self._message)) for one in messages]
        return ("\n".join(lines) + "\n").encode(), Counter()


def traced_object(one: TracedMessage, with_message: bool) -> dict[str, Any]:
    message, trace = one.message, one.trace
    if type(message) is CapturedMessage:
        found = as_object(message)
        transaction, dialog = message.transaction, message.dialog
        found["retransmission"] = message.retransmission
        found["transaction_state"] = None if transaction is None else TransactionState(transaction.state).name.lower()
        found["dialog_state"] = None if dialog is None else DialogState(dialog.state).name.lower()
    else:
        found = carriage(message.datagram)
    origin = message.origin or OURS
    correlation_id = trace.correlation_id or origin.correlation_id
    found |= {
        "kind": message.kind,
        "direction": str(one.direction),
        "rule": trace.rule or None,
        "users": list(trace.users),
        "correlation_id": as_text(correlation_id) or None,
        "node": as_text(origin.node) or None,
        "capture_id": origin.capture_id,
    }
    if with_message:
        found |= text_or_base64(message.raw)
    return found


def text_or_base64(raw: bytes) -> dict[str, str]:
    try:
        return {"message": raw.decode()}
    except UnicodeDecodeError:
        return {"message_base64": b64encode(raw).decode()}


def whole_lines(handle: int, size: int) -> int:
    """Up to the end of the last whole line. Raises OSError if another program has written the file."""
    if not b'{"'.startswith(os.pread(handle, 2, 0)):
        raise OSError(errno.EINVAL, "it exists and was not written by this sink")
    end = size
    while end > 0:
        start = max(0, end - STEP)
        newline = os.pread(handle, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
