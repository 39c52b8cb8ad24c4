"""Standard error that blocks: a full pipe that nobody reads, or a terminal that is stopped with Ctrl-S."""

from __future__ import annotations

import fcntl
import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

F_SETPIPE_SZ = 1031  # linux/fcntl.h


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """The end to write to, which blocks at once, and the end to read from, which yields a page of `x` first."""
    reader, writer = os.pipe()
    try:
        size = fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * size)
        yield writer, reader
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def pipe_without_reader() -> Iterator[int]:
    """Writing raises BrokenPipeError, as after `2>&1 | head`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def stopped_terminal() -> Iterator[int]:
    """A terminal whose output is stopped: the first write blocks."""
    controller, terminal = os.openpty()
    try:
        tty.setraw(terminal)
        termios.tcflow(terminal, termios.TCOOFF)
        yield terminal
    finally:
        os.close(controller)
        os.close(terminal)
