"""Options that several commands share, and the Config made from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture_agent.cli.failures import WrongUsage, note
from capture_agent.config.secrets import quotable

if TYPE_CHECKING:
    from capture_agent.app.extensions import Extensions
    from capture_agent.config import Config, SqlTarget
    from capture_agent.config.precedence import Layers

STANDARD_INPUT = "-"
CONFIG = "CAPTURE_AGENT_CONFIG"  # environment variable with the file's name

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar=CONFIG,
        metavar="FILE",
        help="Configuration file (TOML). Command-line options override it.",
    ),
]
Interfaces = Annotated[
    list[str] | None,
    typer.Option(
        "--interface",
        "-i",
        metavar="IFACE",
        help="Capture on this interface, or those that match a pattern such as 'eth*'. May be repeated.",
    ),
]
Filter = Annotated[
    str | None,
    typer.Option("--filter", metavar="BPF", help="Capture only what matches, in tcpdump's filter language."),
]
Listen = Annotated[
    list[str] | None,
    typer.Option(
        "--listen",
        metavar="URI",
        help="Take SIP duplicates, as siptrace sends them, on sip:IP:PORT[;transport=tcp], HEP on hep:IP:PORT or"
        " hep+tcp:IP:PORT, HEP from Kafka with kafka:HOST:PORT/TOPIC[?group=GROUP]. May be repeated.",
    ),
]
Hep = Annotated[
    list[str] | None,
    typer.Option(
        "--hep",
        metavar="URI",
        help="Send to a HEP collector such as Homer: hep:HOST:PORT, hep+tcp:..., hep+tls:...,"
        " with ?version=1|2|3, &id=, &key=, &node=, &vlan=yes. May be repeated.",
    ),
]
Sip = Annotated[
    list[str] | None,
    typer.Option(
        "--sip",
        metavar="URI",
        help="Send a copy of each message to a SIP server: sip:HOST:PORT[;transport=tcp]. May be repeated.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="URL",
        help="The database with the sip_trace table: sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://...",
    ),
]
Databases = Annotated[
    list[str] | None,
    typer.Option(
        "--db",
        metavar="URL",
        help="The database with the sip_trace table: sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://..."
        " May be repeated.",
    ),
]
TableName = Annotated[str | None, typer.Option("--table", metavar="NAME", help="Table name. [default: sip_trace]")]
Trace = Annotated[
    str | None,
    typer.Option(
        "--trace",
        metavar="MODE",
        help="What to trace when there are no rules. message: every SIP message. transaction: every request, and all"
        " messages of its transaction. dialog: every initial INVITE and SUBSCRIBE, and the dialogs they open."
        " [default: message]",
    ),
]
Local = Annotated[
    list[str] | None,
    typer.Option(
        "--local",
        metavar="ADDR",
        help="Address of the traced server: messages to it are `in`, from it `out`. An address, a network,"
        " ADDRESS:PORT, [IPv6]:PORT or auto. May be repeated. [default: auto, this host's addresses]",
    ),
]
Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--port",
        "-p",
        metavar="PORT|FROM-TO",
        help="Look for SIP only on this port, also in tunnels. May be repeated. [default: any port, by content]",
    ),
]
DropCopies = Annotated[
    bool,
    typer.Option("--drop-copies", help="Keep one copy of packets captured more than once. [default: keep all]"),
]
KeyLog = Annotated[
    str | None,
    typer.Option(
        "--key-log",
        metavar="FILE",
        help="Decrypt TLS with the secrets in this file, which programs write if SSLKEYLOGFILE is set.",
    ),
]
HepIn = Annotated[
    bool,
    typer.Option("--hep-in", help="Open HEP in captured packets, and go on with what is inside. [default: leave it]"),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="Started as root: open the sockets, and go on as this user, who keeps CAP_NET_RAW alone.",
    ),
]
ControlSocket = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="PATH",
        help="Unix socket of a running agent, for `capture-agent status`."
        " [default: auto, /run/capture-agent/control.sock for root]",
    ),
]
HttpListen = Annotated[
    str | None,
    typer.Option(
        "--http",
        metavar="ADDR:PORT",
        help="Answer HTTP there: /metrics for Prometheus, /health, /ready, /api/stats, /rpc. [default: nowhere]",
    ),
]


def overrides(
    hep: list[str] | None = None,
    sip: list[str] | None = None,
    db: list[str] | None = None,
    table: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """The command line's settings, nested like the file. `options`: section_name=value; a flag can only set."""
    said: dict[str, Any] = {}
    if hep:
        said["hep"] = [{"uri": uri} for uri in hep]
    if sip:
        said["sip"] = [{"uri": uri} for uri in sip]
    if db:
        said["sql"] = [{"url": url} | ({} if table is None else {"table": table}) for url in db]
    if topics := [one for one in options.get("capture_listen") or () if one.startswith("kafka:")]:
        from capture_agent.config.kafka_options import topic_fields

        options["capture_listen"] = [one for one in options["capture_listen"] if one not in topics]
        try:
            said["kafka_source"] = [topic_fields(one) for one in topics]
        except ValueError as error:
            raise WrongUsage(f"--listen: {error}") from None
    for key, value in options.items():
        section, _, name = key.partition("_")
        if value is not None and value != [] and value is not False:
            said.setdefault(section, {})[name] = value
    return said


def configuration(file: Path | None, said: dict[str, Any]) -> Config:
    """Defaults < file < environment < command line. Raises ConfigError."""
    from capture_agent.config import load

    return load(file, os.environ, said)


def configuration_to_read(said: dict[str, Any]) -> Config:
    """Of a command that reads capture files, without a file. Raises ConfigError."""
    from capture_agent.app import decryption
    from capture_agent.config.config_errors import ConfigError
    from capture_agent.config.load import load_layers

    config, layers = load_layers(None, os.environ, said)
    if problems := list(decryption.unusable(config, layers)):
        raise ConfigError(problems)
    return config


def loaded(file: Path | None, said: dict[str, Any]) -> tuple[Config, Layers, Extensions]:
    """The same, with the origin of each value and the user code that it names. Raises ConfigError."""
    from capture_agent.app.extensions import load_extensions
    from capture_agent.config.load import load_layers

    config, layers = load_layers(file, os.environ, said)
    return config, layers, load_extensions(config, layers)


def check_filter(config: Config, layers: Layers) -> None:
    """Raises ConfigError."""
    from capture_agent.config.config_errors import ConfigError
    from capture_agent.sources.bpf import wrong_filter

    if problems := list(wrong_filter(config, layers)):
        raise ConfigError(problems)


def one_file(file: Path | None, config: Path | None) -> Path | None:
    """The configuration, given as an argument or an option. Raises WrongUsage if both are given."""
    if file is not None and config is not None and file != config and CONFIG not in os.environ:
        raise WrongUsage("got both FILE and --config, expected one of them")
    return config if file is None else file


def listed(db: str | None) -> list[str] | None:
    return None if db is None else [db]


def database(file: Path | None, db: str | None, table: str | None = None) -> SqlTarget:
    """The table to read: --db, otherwise the first one configured."""
    return database_of(configuration(file, overrides(db=listed(db), table=table)), table)


def database_of(config: Config, table: str | None) -> SqlTarget:
    """The same of a configuration that is loaded."""
    if not config.sql:
        raise WrongUsage("no database: give --db URL, or --config FILE with a [[sql]] section")
    target = config.sql[0]
    return target if table is None else replace(target, table=table)


def say_zone(target: SqlTarget) -> None:
    """Say which zone is assumed: a reader in another zone than the writer would be hours off without noticing."""
    from capture_agent.history.stored_times import zone_of

    if target.time == "local" and (zone := zone_of(target)):
        note(f"the table has local times: reading them as {zone}, this host's zone, and showing UTC")


def positive(option: str, text: str) -> int:
    """A whole number from 1. Raises WrongUsage."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0):
        raise WrongUsage(f"{option}: value {quotable(text)!r}, expected a whole number from 1")
    return int(text)


def one_of(option: str, value: str, known: Sequence[str]) -> None:
    """Raises WrongUsage."""
    if value not in known:
        raise WrongUsage(f"{option}: value {quotable(value)!r}, expected {', '.join(known)}")


def check_files(files: list[str], rounds: int = 1) -> None:
    """Check all files before the first is read: the third may be misspelt."""
    for file in files:
        if file != STANDARD_INPUT and not (file and Path(file).exists()):
            raise WrongUsage(f"no such file: {quotable(file) or repr(file)}")
        if file != STANDARD_INPUT and Path(file).is_dir():
            raise WrongUsage(f"{file}: is a directory")
    if STANDARD_INPUT in files and files.count(STANDARD_INPUT) * rounds > 1:
        raise WrongUsage("standard input (-) can be read only once")
