"""What run and replay share: a stop signal, the log on standard error, the books at the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from capture_agent.cli.failures import PROGRAM, WrongUsage, note
from capture_agent.cli.text import printable
from capture_agent.config.secrets import mask, quotable_words
from capture_agent.hooks.guard import Interrupted, kind_of, raised_at

if TYPE_CHECKING:
    from capture_agent.agent import Agent
    from capture_agent.config import Config
    from capture_agent.control.server import Door

_log = logging.getLogger(__name__)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """While it runs, SIGINT and SIGTERM set `stop`; a second SIGINT does not wait for the queues."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise Interrupted
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lines(logging.Formatter):
    """One line for each record, whatever a peer has put into it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_stderr(config: Config) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(f"{PROGRAM}: %(levelname)s: %(message)s"))
    logging.basicConfig(level=config.log.level.upper(), handlers=[handler], force=True)
    threading.excepthook = log_thread_failure


def log_thread_failure(failed: threading.ExceptHookArgs) -> None:
    """One line for a thread of user code; a traceback would repeat what its exceptions say."""
    error = failed.exc_value
    if error is not None and not issubclass(type(error), SystemExit):
        name = failed.thread.name if failed.thread is not None else "?"
        _log.error("thread %s: %s%s", name, kind_of(error), raised_at(error))


@contextmanager
def keeping_books(agent: Agent) -> Iterator[None]:
    """Afterwards what is queued is sent, all is closed, and the books are shown."""
    from capture_agent.sources.source import SourceError

    refused = False
    try:
        yield
    except SourceError as error:
        refused = error.usage
        raise
    except WrongUsage:
        refused = True
        raise
    finally:
        books = agent.close()
        if books.ledgers[0].seen or not refused:  # else the error is all there is to say
            for line in books.lines():
                note(line)


@contextmanager
def answering(agent: Agent) -> Iterator[None]:
    """While it runs, commands are answered on the control socket. One that was not asked for may be missing."""
    door = open_door(agent)
    try:
        yield
    finally:
        if door is not None:
            door.close()


def open_door(agent: Agent) -> Door | None:
    from capture_agent.config.local import AUTO
    from capture_agent.control import place
    from capture_agent.control.commands import methods_of
    from capture_agent.control.jsonrpc import answer
    from capture_agent.control.server import Door

    wanted = agent.config.control.socket
    path = place.default_path(os.environ, os.geteuid()) if wanted == AUTO else Path(wanted) if wanted else None
    if path is None:
        if wanted == AUTO:
            _log.warning(
                "no control socket: this user is not root and has no XDG_RUNTIME_DIR; `capture-agent status` will not"
                " reach this agent (--control PATH names one)"
            )
        return None
    methods = methods_of(agent)
    try:
        if wanted == AUTO:
            place.make_folder(path.parent)
        return Door(path, lambda document: answer(document, methods))
    except place.ControlError as error:
        if wanted != AUTO:
            raise WrongUsage(quotable_words(str(error))) from None
        _log.warning("%s; `capture-agent status` will not reach this agent", error)
        return None


def sinks_named(config: Config) -> str:
    """The sinks for people to read, without secrets."""
    names = [str(target) for target in (*config.hep, *config.sip)]
    tables = [f"{mask(target.url)} ({target.table})" for target in config.sql]
    return ", ".join([*names, *tables, *map(str, config.sink)])
