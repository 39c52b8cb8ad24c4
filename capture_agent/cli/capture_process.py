"""The process of capture-agent run: captures live, from interfaces to the sinks.

It imports neither typer nor pydantic, which would keep 13 MB: settings_reader.py reads the command line and the
configuration elsewhere.
"""

from __future__ import annotations

import logging
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from capture_agent.build import flavour
from capture_agent.cli.endings import CommandOver, ended
from capture_agent.cli.failures import DONE, Failed, WrongUsage, note, say
from capture_agent.cli.logs import log_to_stderr
from capture_agent.cli.sending import keeping_books, listening, stopping
from capture_agent.cli.settings_reader import SettingsReader
from capture_agent.cli.user_code import user_code

if TYPE_CHECKING:
    from capture_agent.app.extensions import Extensions, InUse
    from capture_agent.config import Config

_log = logging.getLogger(__name__)


def capture_with(arguments: list[str]) -> int:
    """The words after `capture-agent`. Returns the status."""
    return ended(partial(capture, arguments), partial(say, command="run"))


def capture(arguments: list[str]) -> int:
    reader = SettingsReader(arguments)
    settings, extensions = settings_of(reader)

    from capture_agent.app import capturing
    from capture_agent.app.agent import Agent
    from capture_agent.app.heap import share_one_heap
    from capture_agent.app.reloading import Reloader
    from capture_agent.app.service_manager import Heartbeat, ServiceManager

    share_one_heap()
    log_to_stderr(settings)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1024 may be too few with many peers on --listen
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    agent = Agent(settings, lossless=False, stop=threading.Event(), extensions=extensions)
    heartbeat = Heartbeat(ServiceManager(os.environ), agent)
    reloader = Reloader(agent, partial(settings_again, reader), heartbeat.reloading)
    agent.reload = reloader.reload

    def on_ready() -> None:
        if settings.run.user:
            agent.exposition.load()
        answer = doors.enter_context(listening(agent))
        runs_as = settle(settings)
        # Their threads may open interfaces: those that this thread starts from now on keep CAP_NET_RAW, as it does.
        reloader.listen()
        answer()
        note(f"{what_is_ready(settings)} ({flavour()} build)")
        _log.info("%s", runs_as)
        heartbeat.begin()

    # The doors close last: what is asked while the queues drain is answered, and the last answer equals the books.
    with stopping(agent.stop, reloader.request), ExitStack() as doors, keeping_books(agent), closing(heartbeat):
        capturing.run(agent, on_ready, heartbeat if heartbeat.needed else None)
    if agent.gone:
        raise Failed("; ".join(map(str, agent.gone)))
    return DONE


def settings_of(reader: SettingsReader) -> tuple[Config, Extensions]:
    """At the start. User code is loaded as the user who captures."""
    settings, layers = reader.read(meanwhile=import_agent)
    become_user(settings)
    # Another user than the one that has made the files: who waits for them to be writable may wait for ever.
    extensions = user_code(settings, layers, files=bool(settings.run.user))
    if lacking := what_is_lacking(settings):
        raise WrongUsage(lacking)
    return settings, extensions


def settings_again(reader: SettingsReader, in_use: InUse) -> tuple[Config, Extensions]:
    """For a reload. Raises ConfigError."""
    from capture_agent.config import ConfigError

    try:
        settings, layers = reader.read()
    except CommandOver as error:
        raise ConfigError(error.lines) from None
    extensions = user_code(settings, layers, in_use)
    if lacking := what_is_lacking(settings):
        raise ConfigError([lacking])
    return settings, extensions


def import_agent() -> None:
    """While the other process reads."""
    from capture_agent.app import capturing, extensions, reloading, service_manager  # noqa: F401
    from capture_agent.sinks import checks  # noqa: F401


def what_is_ready(settings: Config) -> str:
    places = [
        *settings.capture.interfaces,
        *map(str, settings.listeners),
        *map(str, settings.source),
        *map(str, settings.kafka_source),
    ]
    return f"capturing on {', '.join(places)}, sending to {', '.join(map(str, settings.targets()))}"


def what_is_lacking(settings: Config) -> str:
    """A source or a sink; "" where both are there."""
    if not settings.captures:
        sections = "[[listen]], [[kafka_source]] or [[source]]"
        ways = f"give -i IFACE or --listen URI, or capture.interfaces, {sections} in the configuration"
        return f"no interface: {ways}"
    if not settings.targets():
        from capture_agent.config.option_list import ways_to_give_a_sink

        return f"no sink: give {ways_to_give_a_sink()}"
    return ""


def become_user(settings: Config) -> None:
    """That of the configuration, if it has one; a start as root gives it the control socket's folder, too."""
    if not settings.run.user:
        return
    from capture_agent.app import dropping_root
    from capture_agent.config.endpoints import AUTO
    from capture_agent.control.place import SYSTEM

    with in_words():
        user = dropping_root.find_user(settings.run.user)
        if os.geteuid() == 0 and settings.control.socket == AUTO and "RUNTIME_DIRECTORY" not in os.environ:
            dropping_root.give_folder(SYSTEM.parent, user)
            os.environ["RUNTIME_DIRECTORY"] = str(SYSTEM.parent)  # as systemd would
        dropping_root.become(user, os.environ)


def settle(settings: Config) -> str:
    """Gives up what only opening the sockets needed. Returns the line for the log."""
    if not settings.run.user:
        as_root = "root: with --user NAME it would keep CAP_NET_RAW alone"
        return f"runs as {f'uid {os.geteuid()}' if os.geteuid() else as_root}"
    from capture_agent.app import dropping_root

    with in_words():
        return dropping_root.settle(dropping_root.find_user(settings.run.user))


@contextmanager
def in_words() -> Iterator[None]:
    from capture_agent.app.dropping_root import PrivilegesError

    try:
        yield
    except PrivilegesError as error:
        raise WrongUsage(f"run.user: {error}") from None
