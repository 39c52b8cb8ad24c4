"""capture-agent view: the calls on an interactive screen, from files, a table or live."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.cli.table_output import coloured

if TYPE_CHECKING:
    from capture_agent.app.call_feed import CallFeed
    from capture_agent.config import Config, SqlTarget

SWITCH = 0.001  # seconds until the thread that reads lets the screen have its turn; Python's own is 0.005
MOST_LINES = 100  # of the log, shown at the end


def view(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Capture files: pcap, pcapng, compressed or not.")
    ] = None,
    interface: options.Interfaces = None,
    listen: options.Listen = None,
    db: options.Database = None,
    table: options.TableName = None,
    where: looking.Where = None,
    port: options.Ports = None,
    bpf: options.Filter = None,
    key_log: options.KeyLog = None,
    zone: looking.Zone = "utc",
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Nothing but ASCII characters.")] = False,
    color: looking.Colour = "auto",
    config: options.ConfigFile = None,
) -> None:
    """Look at calls on an interactive screen: a live list, ladders, messages, differences. F1 there shows all keys.

    From capture files, an interface, HEP or SIP duplicates that come to a socket, or the table.
    """
    in_zone, in_colour = looking.zone_of(zone), coloured(color)
    live = bool(interface or listen)
    if sum((bool(files), live, db is not None)) > 1:
        raise WrongUsage("got more than one of FILE, -i or --listen, and --db; expected one of them")
    options.check_files(files or [])
    said = options.overrides(
        db=options.listed(db), table=table, capture_interfaces=interface, capture_listen=listen, capture_ports=port,
        capture_filter=bpf, tls_key_log=key_log,
    )  # fmt: skip
    settings = options.configuration(config, said)
    looking.call_filter(where)
    if options.STANDARD_INPUT in (files or []):
        raise WrongUsage("view reads keys from standard input, so no capture: write it to a file first")
    target = None if files or live else target_of(settings, table)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongUsage("view needs a terminal; `calls`, `flow` and `show` print")
    feed = started(settings, files or [], target)
    names = files or [str(target)] if target is not None or files else live_names(settings)
    try:
        show(feed, ScreenWishes(", ".join(names), where or "", in_zone, ascii_only, in_colour), settings)
    finally:
        feed.stop()
    for problem in feed.problems:
        note(problem)
    if feed.problems:
        raise Failed(f"{len(feed.problems)} problems, as above")


@dataclass(frozen=True, slots=True)
class ScreenWishes:
    """What the command line says about the screen."""

    name: str
    where: str
    zone: tzinfo | None
    ascii_only: bool
    in_colour: bool


def target_of(settings: Config, table: str | None) -> SqlTarget | None:
    """The table; None: the configuration captures live. Raises WrongUsage: there is neither."""
    if settings.captures:
        return None
    if not settings.sql:
        raise WrongUsage("nothing to look at: give FILE, -i IFACE, --listen URI or --db URL")
    target = options.database_of(settings, table)
    options.say_zone(target)
    return target


def live_names(settings: Config) -> list[str]:
    return [*settings.capture.interfaces, *map(str, settings.listeners), *map(str, settings.kafka_source)]


def started(settings: Config, files: list[str], target: SqlTarget | None) -> CallFeed:
    """It reads while the screen is being made. Raises SourceError, SinkError."""
    from capture_agent.app.call_feed import CallFeed

    feed = CallFeed(settings, files, target)
    logging.basicConfig(handlers=[ToProblems(feed.problems)], level=logging.WARNING, force=True)
    feed.start()
    return feed


class ToProblems(logging.Handler):
    """The log, which would spoil the screen, into lines that are shown after it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__()
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._problems) < MOST_LINES:
            self._problems.append(record.getMessage())


def show(feed: CallFeed, wishes: ScreenWishes, settings: Config) -> None:
    try:
        from capture_agent.cli.screen.view_app import ViewApp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        raise WrongUsage("view needs Textual: pip install 'capture-agent[view]'") from None
    from capture_agent.cli.screen.look import Look
    from capture_agent.cli.screen.sight import Sight
    from capture_agent.view.aliases import Aliases

    look = Look(wishes.ascii_only, wishes.in_colour)
    sight = Sight(feed, wishes.name, look, Aliases(settings.aliases.by_place()), wishes.zone, wishes.where)
    sys.setswitchinterval(SWITCH)
    ViewApp(sight).run()
