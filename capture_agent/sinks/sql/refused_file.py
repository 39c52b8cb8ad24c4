"""Keeps the messages whose rows a database refuses, as JSON lines, each with the database's error."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capture_agent.os_errors import in_words
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.sqlite_file import OWNER_ONLY
from capture_agent.sinks.sql.trace_rows import place

MOST_BYTES = 16 << 20  # of the file; the one before it is kept with the suffix .1
OLDER = ".1"
# Without O_NONBLOCK, opening a pipe would wait for a reader.
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
EVERY = 60.0  # seconds between log lines about a file that cannot be written

_log = logging.getLogger(__name__)


class RefusedFile:
    """Appends a line for each message, readable by its owner alone. Never raises."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._next = -float("inf")

    def add(self, traced: TracedMessage, table: str, error: str) -> None:
        if self._path is None or not isinstance(traced.message, CapturedMessage):
            return
        line = (json.dumps(as_object(traced, traced.message, table, error)) + "\n").encode("ascii")
        try:
            self._append(self._path, line)
        except OSError as problem:
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + EVERY
                _log.warning("%s: a refused message is not kept: %s", self._path, in_words(problem))

    def _append(self, path: Path, line: bytes) -> None:
        with suppress(FileNotFoundError):
            if path.stat(follow_symlinks=False).st_size + len(line) > MOST_BYTES:
                path.replace(f"{path}{OLDER}")
        handle = os.open(path, FLAGS, OWNER_ONLY)
        try:
            size = os.fstat(handle).st_size
            if os.write(handle, line) < len(line):
                os.ftruncate(handle, size)  # a full disk: the next line begins where this one did
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)


def as_object(traced: TracedMessage, message: CapturedMessage, table: str, error: str) -> dict[str, Any]:
    """`time`: when it was captured; `message`: its text, or `message_base64` if it is not UTF-8."""
    datagram = message.datagram
    seconds, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
    found: dict[str, Any] = {
        "time": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z",
        "table": table,
        "error": error,
        "from": place(datagram.transport, datagram.source, datagram.source_port),
        "to": place(datagram.transport, datagram.destination, datagram.destination_port),
        "direction": "in" if traced.direction is Direction.IN else "out",
        "users": list(traced.trace.users),
    }
    try:
        return found | {"message": message.sip.raw.decode()}
    except UnicodeDecodeError:
        return found | {"message_base64": b64encode(message.sip.raw).decode("ascii")}
