"""What run and replay share: stop signals, the log on standard error, the books on exit."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from capture_agent.cli import terminal
from capture_agent.cli.failures import PROGRAM, WrongUsage, note
from capture_agent.config.secrets import quotable_words
from capture_agent.history.text import printable
from capture_agent.hooks.guard import Interrupted, kind_of, raised_at

if TYPE_CHECKING:
    from capture_agent.app.agent import Agent
    from capture_agent.config import Config
    from capture_agent.control.server import Door
    from capture_agent.web.door import HttpDoor

_log = logging.getLogger(__name__)


# What ends a run in order. SIGPIPE and SIGXFSZ Python ignores already; what faults raise is none of ours.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGXCPU)
# What would end it without its books, and leave the control socket: unless a program wants it, it means nothing here.
WITHOUT_EFFECT = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)


@contextmanager
def stopping(stop: threading.Event, hangup: Callable[[], object]) -> Iterator[None]:
    """While it runs, ENDING set `stop`; a second SIGINT does not wait for the queues.

    SIGHUP calls `hangup`. Others are said in the log and have no effect.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise Interrupted
        stop.set()

    def on_hangup(number: int, frame: FrameType | None) -> None:
        hangup()

    def without_effect(number: int, frame: FrameType | None) -> None:
        _log.info("%s has no effect", name_of(number))

    handlers: dict[int, Callable[[int, FrameType | None], None]] = dict.fromkeys(WITHOUT_EFFECT, without_effect)
    handlers |= dict.fromkeys(ENDING, on_signal)
    handlers[signal.SIGHUP] = on_hangup
    before = {}
    for number, handler in handlers.items():
        with suppress(OSError):  # some tool that runs us keeps one for itself
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def name_of(number: int) -> str:
    """SIGUSR1; of a real-time signal, SIGRTMIN+2."""
    beyond = number - signal.SIGRTMIN
    return f"SIGRTMIN+{beyond}" if beyond > 0 else signal.Signals(number).name


class Lines(logging.Formatter):
    """One line for each record, whatever a peer has put into it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class TerminalHandler(logging.Handler):
    """Hands lines over, and never waits."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            terminal.put(self.format(record))
        except Exception:  # a record that cannot be formatted is no reason to write to a terminal that may block
            terminal.put(f"{PROGRAM}: {record.levelname}: a log record of {record.name} cannot be formatted")


def log_to_stderr(config: Config) -> None:
    terminal.start()
    time = "" if is_journal() else "%(asctime)s "
    handler = TerminalHandler()
    handler.setFormatter(Lines(f"{time}{PROGRAM}: %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S%z"))
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
    """While it runs, commands are answered: on the control socket, which may be missing if nobody has asked for it, and
    by HTTP where that is configured.
    """
    with ExitStack() as doors:
        for opened in (open_door(agent), open_http(agent)):
            if opened is not None:
                doors.callback(opened.close)
        yield


def open_http(agent: Agent) -> HttpDoor | None:
    http = agent.config.http
    if not http.listen:
        return None
    from capture_agent.config.http_listen import host_and_port
    from capture_agent.web.checks import tls_of
    from capture_agent.web.door import HttpDoor

    try:
        return HttpDoor(host_and_port(http.listen), agent, http.token, tls_of(http))
    except OSError as error:
        raise WrongUsage(f"http.listen {http.listen}: {(error.strerror or 'cannot be used').lower()}") from None


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
