"""One JSON object per traced message, on one line, for Loki, Vector, Fluent Bit and the like."""

from __future__ import annotations

import errno
import json
import os
from base64 import b64encode
from collections import Counter
from typing import Any

import orjson

from capture_agent.config.targets import JsonlTarget
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.dialog import DialogState, TransactionState
from capture_agent.records.kinds import ALL_KINDS
from capture_agent.records.message_fields import as_object, as_text, carriage
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files.file_sink import FileSink
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sinks.files.rotating_files import RotatingFiles

STEP = 1 << 16
OURS = Origin()
# The name of an enumeration's member costs half as much as the whole line.
TRANSACTION_STATES = {int(state): state.name.lower() for state in TransactionState}
DIALOG_STATES = {int(state): state.name.lower() for state in DialogState}


class JsonlSink(FileSink):
    """The fields of `decode --format jsonl`, and what tracing adds: docs/files.md lists them."""

    kinds = ALL_KINDS

    def __init__(self, target: JsonlTarget) -> None:
        super().__init__(str(target), self._packed, RotatingFiles(target, whole=whole_lines))
        self._message = target.message

    def _packed(self, messages: list[TracedMessage], file: OpenFile) -> tuple[bytes, Counter[str]]:
        return b"".join([json_line(traced_object(one, self._message)) for one in messages]), Counter()


def json_line(found: dict[str, Any]) -> bytes:
    """ASCII only: nothing in it can control a terminal that shows it."""
    try:
        line = orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a name with a byte that is no text: a surrogate
        line = b"\xff"
    # orjson leaves other characters as they are, and has no option to escape them.
    return line if line.isascii() else json.dumps(found, separators=(",", ":")).encode() + b"\n"


def traced_object(one: TracedMessage, with_message: bool) -> dict[str, Any]:
    message, trace = one.message, one.trace
    if type(message) is CapturedMessage:
        found = as_object(message)
        transaction, dialog = message.transaction, message.dialog
        found["retransmission"] = message.retransmission
        found["transaction_state"] = None if transaction is None else TRANSACTION_STATES[transaction.state]
        found["dialog_state"] = None if dialog is None else DIALOG_STATES[dialog.state]
    else:
        found = carriage(message.datagram)
    origin = message.origin or OURS
    correlation_id = trace.correlation_id or origin.correlation_id
    found["kind"] = message.kind
    found["direction"] = str(one.direction)
    found["rule"] = trace.rule or None
    found["users"] = trace.users
    found["correlation_id"] = as_text(correlation_id) or None
    found["node"] = as_text(origin.node) or None
    found["capture_id"] = origin.capture_id
    if with_message:
        add_message(found, message.raw)
    return found


def add_message(found: dict[str, Any], raw: bytes) -> None:
    try:
        found["message"] = raw.decode()
    except UnicodeDecodeError:
        found["message_base64"] = b64encode(raw).decode()


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
