"""What run and replay share: stop signals, the control socket, the books on exit."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from capture_agent.cli.failures import WrongUsage, note
from capture_agent.config.secrets import quotable_words
from capture_agent.hooks.guard import Interrupted

if TYPE_CHECKING:
    from capture_agent.app.agent import Agent
    from capture_agent.control.server import Door
    from capture_agent.web.door import HttpDoor

_log = logging.getLogger(__name__)


# Signals that end a run in order. Python ignores SIGPIPE and SIGXFSZ already; faults' signals are not handled.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGXCPU)
# Signals whose default would end a run without its books and leave the control socket behind: ignored.
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
    """While this context is open, the signals in ENDING set `stop`; a second SIGINT does not wait for the queues.

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
        with suppress(OSError):  # a tool that runs us may reserve one
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


@contextmanager
def keeping_books(agent: Agent) -> Iterator[None]:
    """On exit, send queued messages, close everything and show the books."""
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
        if books.ledgers[0].seen or not refused:  # otherwise only the error is shown
            for line in books.lines():
                note(line)


@contextmanager
def listening(agent: Agent) -> Iterator[Callable[[], None]]:
    """The control socket, and HTTP where that is configured. Yields what begins to answer there.

    If the control socket was not asked for, the agent runs without one, too.
    """
    with ExitStack() as open_doors:
        doors = [door for door in (open_control(agent), open_http(agent)) if door is not None]
        for door in doors:
            open_doors.callback(door.close)

        def answer() -> None:
            for door in doors:
                door.start()

        yield answer


def open_http(agent: Agent) -> HttpDoor | None:
    http = agent.config.http
    if not http.listen:
        return None
    from capture_agent.config.http_listen import host_and_port
    from capture_agent.web.door import HttpDoor
    from capture_agent.web.http_checks import tls_of

    try:
        return HttpDoor(host_and_port(http.listen), agent, http.token, tls_of(http), http.messages)
    except OSError as error:
        raise WrongUsage(f"http.listen {http.listen}: {(error.strerror or 'cannot be used').lower()}") from None


def open_control(agent: Agent) -> Door | None:
    from capture_agent.config.endpoints import AUTO
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
