"""How every command begins and ends: its streams, and each error as one line and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from errno import EDQUOT, ENOSPC

from capture_agent.cli.failures import DONE, FAILED, INTERRUPTED, WRONG_USAGE, Failed
from capture_agent.config.config_errors import ConfigError
from capture_agent.hooks.guard import raised_at

FULL = (ENOSPC, EDQUOT)  # the name of the file that standard output goes to
DEBUG = "CAPTURE_AGENT_DEBUG"  # if set, an unexpected error comes with its traceback


class CommandOver(Exception):
    """Nothing is left to do. `lines`: what is to be said about it."""

    def __init__(self, status: int, lines: Sequence[str] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.lines = lines


def begin() -> None:
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # decode must not fail in a C locale
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are for developers, not for users


def open_closed_streams() -> None:
    """Replace a closed stream, as in `capture-agent decode x.pcap >&-`: Python sets it to None, and libraries fail."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for as long as the program runs


def ended(work: Callable[[], int], tell: Callable[[str], object]) -> int:
    """Do it. Returns the status, after the user is told what went wrong."""
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return without_reader()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            without_reader()
        status, lines = outcome(error)
        for line in lines:
            tell(line)
        return status


def outcome(error: Exception) -> tuple[int, Sequence[str]]:
    """The status, and the lines that explain it."""
    if isinstance(error, CommandOver):
        return error.status, error.lines
    if isinstance(error, ConfigError):
        return WRONG_USAGE, error.problems
    if isinstance(error, Failed):
        return error.status, [str(error)]
    if isinstance(error, OSError) and error.errno in FULL:
        return FAILED, [f"the output cannot be written: {os.strerror(error.errno).lower()}"]
    if (status := status_of_stage(error)) is not None:
        return status, [str(error)]
    if os.environ.get(DEBUG):
        for line in traceback.format_tb(error.__traceback__):
            print(line, end="", file=sys.stderr)
    # Without the exception's text, which may repeat a secret.
    return FAILED, [f"unexpected {type(error).__name__}{raised_at(error)} (a bug: {DEBUG}=1 shows where)"]


def status_of_stage(error: Exception) -> int | None:
    """The errors of sources and sinks, which are lines for the user already."""
    stages = sys.modules  # a module that was never imported cannot have raised
    source = stages.get("capture_agent.sources.source")
    if source is not None and isinstance(error, source.SourceError):
        return WRONG_USAGE if error.usage else FAILED
    sink = stages.get("capture_agent.sinks.sink")
    if sink is not None and isinstance(error, sink.SinkError):
        return FAILED
    return None


def without_reader() -> int:
    """`capture-agent decode x.pcap | head`: the reader has closed the pipe."""
    # Buffered output would raise again when the interpreter closes the stream.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE
