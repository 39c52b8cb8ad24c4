"""capture-agent run: captures live, from interfaces to the sinks."""

from __future__ import annotations

import resource
import threading
from typing import TYPE_CHECKING

from capture_agent.build import flavour
from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.cli.sending import answering, keeping_books, log_to_stderr, stopping

if TYPE_CHECKING:
    from capture_agent.config import Config


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
    control: options.ControlSocket = None,
    http: options.HttpListen = None,
) -> None:
    """Capture live and send the SIP to the sinks until SIGINT or SIGTERM, then print the books.

    An interface that goes away is captured again when it comes back. Status 1: at the end an interface, socket or
    source was missing.

    A sink that is down or slow never slows the capture: what finds no room in its queue is counted as lost.
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
        control_socket=control,
        http_listen=http,
    )
    settings, extensions = options.configuration_to_run(config, said)
    if lacking := what_is_lacking(settings):
        raise WrongUsage(lacking)

    from capture_agent.app import capturing
    from capture_agent.app.agent import Agent
    from capture_agent.app.extensions import Extensions, InUse
    from capture_agent.app.reloading import Reloader
    from capture_agent.config import ConfigError

    def read_again(in_use: InUse) -> tuple[Config, Extensions]:
        wanted, loaded = options.configuration_to_run(config, said, in_use)
        if lacking := what_is_lacking(wanted):
            raise ConfigError([lacking])
        return wanted, loaded

    log_to_stderr(settings)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1024 are few, with many peers on --listen
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    agent = Agent(settings, lossless=False, stop=threading.Event(), extensions=extensions)
    places = [*settings.capture.interfaces, *map(str, settings.capture.listen), *map(str, settings.source)]
    ready = f"capturing on {', '.join(places)}, sending to {', '.join(map(str, settings.targets()))}"
    reloader = Reloader(agent, read_again)
    reloader.listen()
    agent.reload = reloader.reload
    with stopping(agent.stop, reloader.request), keeping_books(agent), answering(agent):
        capturing.run(agent, lambda: note(f"{ready} ({flavour()} build)"))
    if agent.gone:
        raise Failed("; ".join(map(str, agent.gone)))


def what_is_lacking(settings: Config) -> str:
    """A source or a sink; "" where both are there."""
    if not (settings.capture.interfaces or settings.capture.listen or settings.source):
        return "no interface: give -i IFACE or --listen URI, or capture.interfaces or [[source]] in the configuration"
    if not settings.targets():
        from capture_agent.config.options import ways_to_give_a_sink

        return f"no sink: give {ways_to_give_a_sink()}"
    return ""
