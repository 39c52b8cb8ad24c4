"""The log of `run` and `replay`: one line on standard error for each event, as text or as JSON.

Under journald each line starts with its priority, as <3> (sd-daemon(3)). Of one kind of event, so many lines are
written in a minute; how many were left out is a line, too. Tracebacks are never written: what they repeat may be SIP,
or a secret.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from capture_agent.cli import terminal
from capture_agent.cli.failures import PROGRAM
from capture_agent.hooks.guard import kind_of, raised_at
from capture_agent.view.text import printable

if TYPE_CHECKING:
    from capture_agent.config import Config

MOST_LINES = 100  # of one kind in one PERIOD
PERIOD = 60.0  # seconds
MOST_KINDS = 1000  # all others together are one more
QUOTED = 200  # characters of a line that was left out
FIELDS = "fields"  # `extra={"fields": {...}}`: what a line of JSON has besides its text

Kind = tuple[str, int, int]  # the source file and line that logs it, and the level
Shape = Callable[[logging.LogRecord], str]

OTHERS: Kind = ("", 0, 0)

_log = logging.getLogger(__name__)


def text_of(record: logging.LogRecord) -> str:
    """What is said, on one line; of an exception its class and where it was raised."""
    text = record.getMessage()
    if record.exc_info and (error := record.exc_info[1]) is not None:
        text += f": {kind_of(error)}{raised_at(error)}"
    return printable(text)


def as_text(record: logging.LogRecord) -> str:
    """`2026-11-28 10:15:02+0100 capture-agent: WARNING: ...`"""
    at = time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(record.created))
    return f"{at} {without_time(record)}"


def without_time(record: logging.LogRecord) -> str:
    return f"{PROGRAM}: {printable(record.levelname)}: {text_or_not(record)}"


def as_json(record: logging.LogRecord) -> str:
    """One object; its time is RFC 3339 in UTC, to the microsecond."""
    entry: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": printable(record.levelname).lower(),
        "logger": printable(record.name),
        "event": text_or_not(record).removeprefix(f"{PROGRAM}: "),
    }
    if fields := getattr(record, FIELDS, None):
        entry[FIELDS] = plain(fields)
    return json.dumps(entry, ensure_ascii=False, allow_nan=False)


def plain(value: object) -> Any:
    """What every reader of JSON takes: numbers that are finite, names and texts without control characters."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {printable(str(name)): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return printable(str(value))


def with_priority(shape: Shape) -> Shape:
    """For journald, which takes the number off again."""
    return lambda record: f"<{priority(record.levelno)}>{shape(record)}"


def priority(level: int) -> int:
    """As syslog(3) has them."""
    for least, number in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= least:
            return number
    return 7


@dataclass(slots=True)
class Said:
    """What was written of one kind since `since`, and the first line that was not."""

    since: float
    lines: int = 0
    left_out: int = 0
    logger: str = ""
    level: int = 0
    first: str = ""

    def summary(self, now: float) -> logging.LogRecord:
        seconds = max(1, round(now - self.since))
        event = f"{self.left_out:,} more lines of one kind in {seconds} s are left out; the first: {self.first}"
        return record_of(event, self.level, self.logger, {"left_out": self.left_out})


class Limit:
    """So many lines of each kind in each period, and the number of those left out. Not safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[Kind, Said] = {}

    def passes(self, record: logging.LogRecord) -> bool:
        kind: Kind = (record.pathname, record.lineno, record.levelno)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = OTHERS
        said = self._kinds.setdefault(kind, Said(self._clock()))
        said.lines += 1
        if said.lines <= MOST_LINES:
            return True
        if not said.left_out:
            said.logger, said.level, said.first = record.name, record.levelno, text_or_not(record)[:QUOTED]
        said.left_out += 1
        return False

    def over(self, all_of_them: bool = False) -> list[logging.LogRecord]:
        """A record for each kind that has left something out and whose period is over, which begins again."""
        now = self._clock()
        kinds = list(self._kinds.items())
        ended = [kind for kind, said in kinds if all_of_them or now - said.since >= PERIOD]
        gone = [self._kinds.pop(kind) for kind in ended]
        return [said.summary(now) for said in gone if said.left_out]


def record_of(
    event: str, level: int, logger: str = "capture_agent", fields: Mapping[str, object] | None = None
) -> logging.LogRecord:
    record = logging.LogRecord(logger, level, "", 0, event, None, None)
    if fields:
        record.__dict__[FIELDS] = fields
    return record


def text_or_not(record: logging.LogRecord) -> str:
    """The text of a record that may be wrong: that is no reason to write to a terminal that may block."""
    try:
        return text_of(record)
    except Exception:
        return f"a log record of {printable(record.name)} cannot be formatted"


class TerminalHandler(logging.Handler):
    """Hands lines over, and never waits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape
        self._limit = Limit()

    def emit(self, record: logging.LogRecord) -> None:
        if self._limit.passes(record):
            terminal.put_shaped(self._shape(record))

    def say_left_out(self, all_of_them: bool = False) -> None:
        """How many lines were left out, of each kind whose period is over."""
        assert self.lock is not None
        with self.lock:
            for record in self._limit.over(all_of_them):
                terminal.put_shaped(self._shape(record))


def log_to_stderr(config: Config) -> None:
    """May be called again, for another configuration."""
    journal = is_journal()
    shape: Shape = as_json if config.log.format == "json" else without_time if journal else as_text
    said: Shape = shape if config.log.format == "json" else lambda record: printable(record.getMessage())
    if journal:
        shape, said = with_priority(shape), with_priority(said)
    handler = TerminalHandler(shape)
    terminal.start(lambda line, level: said(record_of(line, level)), handler.say_left_out)
    logging.basicConfig(level=config.log.level.upper(), handlers=[handler], force=True)
    threading.excepthook = log_thread_failure


def log_thread_failure(failed: threading.ExceptHookArgs) -> None:
    """One line for a thread of user code; a traceback would repeat what its exceptions say."""
    error = failed.exc_value
    if error is not None and not issubclass(type(error), SystemExit):
        name = failed.thread.name if failed.thread is not None else "?"
        _log.error("thread %s: %s%s", name, kind_of(error), raised_at(error))


def is_journal() -> bool:
    """Is standard error connected to journald, which notes the time itself? systemd.exec(5), JOURNAL_STREAM."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
