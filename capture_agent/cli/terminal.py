"""Writes to standard error in a thread: a stopped terminal, or a pipe that nobody reads, blocks nothing else."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import UnsupportedOperation
from select import select

MOST_LINES = 1000
MOST_BYTES = 1 << 20
PATIENCE = 1.0  # seconds to wait for unwritten lines at exit
LOOK_UP = 1.0  # seconds

Shape = Callable[[str, int], str]  # a line and its level, as in `logging`, to what is written
EachSecond = Callable[[bool], None]  # whether it is the last time


def as_it_is(line: str, level: int) -> str:
    return line


class Terminal:
    """Writes lines in order. Lines that do not fit are counted, and the count is written when there is room.

    `each_second` is called in the thread; it may write, too.
    """

    def __init__(self, shape: Shape = as_it_is, each_second: EachSecond | None = None) -> None:
        self.shape = shape
        self.each_second = each_second
        self._looked_at = time.monotonic()
        self._changed = threading.Condition()  # an RLock: a signal handler may write, too
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        self._busy = False  # has lines that it is writing
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line, given without its newline. Never blocks."""
        data = f"{line}\n".encode(errors="backslashreplace")
        with self._changed:
            if len(self._lines) >= MOST_LINES or self._bytes + len(data) > MOST_BYTES:
                self._dropped += 1
                return
            self._lines.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def close(self, timeout: float = PATIENCE) -> None:
        """Wait until all is written, at most this long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._busy, timeout)
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (data := self._take()) is not None:
            with suppress(OSError, ValueError):  # nobody reads any more
                write_all(data)
            if self.each_second is not None and time.monotonic() - self._looked_at >= LOOK_UP:
                self._looked_at = time.monotonic()
                self.each_second(False)

    def _take(self) -> bytes | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._closed, LOOK_UP)
            if self._closed:
                return None
            self._busy = True
            data = b"".join(self._lines)
            if self._dropped:
                line = f"capture-agent: {self._dropped} lines were not written: standard error was blocked"
                data += f"{self.shape(line, logging.WARNING)}\n".encode()
            self._lines.clear()
            self._bytes = self._dropped = 0
            return data


def write_all(data: bytes) -> None:
    """Write past the stream's buffer: the interpreter would wait at exit for a thread that is blocked in it."""
    try:
        descriptor = sys.stderr.fileno()
    except (UnsupportedOperation, AttributeError):  # a stream of a test
        sys.stderr.write(data.decode())
        sys.stderr.flush()
        return
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select([], [descriptor], [], 1.0)
            time.sleep(0)


_terminal: Terminal | None = None


def start(shape: Shape = as_it_is, each_second: EachSecond | None = None) -> None:
    """From now on, a thread writes this program's lines, in this shape."""
    global _terminal  # noqa: PLW0603 - as there is one standard error
    if _terminal is None:
        _terminal = Terminal(shape, each_second)
    else:
        _terminal.shape, _terminal.each_second = shape, each_second


def finish() -> None:
    """Wait a limited time until all is written; later lines are written directly."""
    global _terminal
    if _terminal is not None and _terminal.each_second is not None:
        _terminal.each_second(True)
    terminal, _terminal = _terminal, None
    if terminal is not None:
        terminal.close()


def put(line: str, level: int = logging.INFO) -> None:
    """A line of a command. It gets the shape that the log has."""
    if _terminal is not None:
        _terminal.write(_terminal.shape(line, level))
    else:
        print(line, file=sys.stderr, flush=True)


def put_shaped(line: str) -> None:
    """A line of the log, which has its shape."""
    if _terminal is not None:
        _terminal.write(line)
    else:
        print(line, file=sys.stderr, flush=True)
