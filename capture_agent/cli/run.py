"""capture-agent run: captures live, from interfaces to the sinks."""

from __future__ import annotations

import logging
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.build import flavour
from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.cli.logs import log_to_stderr
from capture_agent.cli.sending import keeping_books, listening, stopping

if TYPE_CHECKING:
    from capture_agent.config import Config

_log = logging.getLogger(__name__)


def run(
    config: options.ConfigFile = None,
    interface: options.Interfaces = None,
    bpf: options.Filter = None,
    listen: options.Listen = None,
    hep: options.Hep = None,
    sip: options.Sip = None,
    db: options.Databases = None,
    trace: options.Trace = None,
    local: options.Local = None,
    port: options.Ports = None,
    drop_copies: options.DropCopies = False,
    key_log: options.KeyLog = None,
    control: options.ControlSocket = None,
    http: options.HttpListen = None,
    user: options.User = None,
    create: Annotated[bool, typer.Option("--create", help="Create missing tables of --db and [[sql]].")] = False,
) -> None:
    """Capture live and send the SIP to the sinks until SIGINT or SIGTERM, then print the books.

    An interface that goes away is captured again when it comes back. Status 1: at the end an interface, socket or
    source was missing.

    A sink that is down or slow never slows the capture: messages that do not fit its queue are counted as lost.
    """
    said = options.overrides(
        hep,
        sip,
        db,
        trace_mode=trace,
        capture_local=local,
        capture_interfaces=interface,
        capture_filter=bpf,
        capture_ports=port,
        capture_drop_copies=drop_copies,
        capture_listen=listen,
        tls_key_log=key_log,
        control_socket=control,
        http_listen=http,
        run_user=user,
    )
    settings, extensions = options.configuration_to_run(config, said, before_user_code=become_user, create=create)
    if lacking := what_is_lacking(settings):
        raise WrongUsage(lacking)

    from capture_agent.app import capturing
    from capture_agent.app.agent import Agent
    from capture_agent.app.extensions import Extensions, InUse
    from capture_agent.app.heap import share_one_heap
    from capture_agent.app.reloading import Reloader
    from capture_agent.app.service_manager import Heartbeat, ServiceManager
    from capture_agent.config import ConfigError

    def read_again(in_use: InUse) -> tuple[Config, Extensions]:
        wanted, loaded = options.configuration_to_run(config, said, in_use, create=create)
        if lacking := what_is_lacking(wanted):
            raise ConfigError([lacking])
        return wanted, loaded

    share_one_heap()
    log_to_stderr(settings)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1024 may be too few with many peers on --listen
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    agent = Agent(settings, lossless=False, stop=threading.Event(), extensions=extensions)
    places = [
        *settings.capture.interfaces,
        *map(str, settings.listeners),
        *map(str, settings.source),
        *map(str, settings.kafka_source),
    ]
    ready = f"capturing on {', '.join(places)}, sending to {', '.join(map(str, settings.targets()))}"
    heartbeat = Heartbeat(ServiceManager(os.environ), agent)
    reloader = Reloader(agent, read_again, heartbeat.reloading)
    agent.reload = reloader.reload

    def on_ready() -> None:
        if settings.run.user:
            agent.exposition.load()
        answer = doors.enter_context(listening(agent))
        runs_as = settle(settings)
        # Their threads may open interfaces: those that this thread starts from now on keep CAP_NET_RAW, as it does.
        reloader.listen()
        answer()
        note(f"{ready} ({flavour()} build)")
        _log.info("%s", runs_as)
        heartbeat.begin()

    # The doors close last: what is asked while the queues drain is answered, and the last answer equals the books.
    with stopping(agent.stop, reloader.request), ExitStack() as doors, keeping_books(agent), closing(heartbeat):
        capturing.run(agent, on_ready, heartbeat if heartbeat.needed else None)
    if agent.gone:
        raise Failed("; ".join(map(str, agent.gone)))


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
