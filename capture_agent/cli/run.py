"""The command line of capture-agent run. capture_process.py captures: it has neither typer nor pydantic."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from capture_agent.cli import options
from capture_agent.config import Config
from capture_agent.config.load import load_layers
from capture_agent.config.precedence import Layers


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
) -> tuple[Config, Layers]:
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
    settings, layers = load_layers(config, os.environ, said)
    if create:
        settings = replace(settings, sql=tuple(replace(target, create=True) for target in settings.sql))
    return settings, layers
