"""capture-agent calls: calls and registrations in capture files, or in the sip_trace table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import Failed, WrongUsage
from capture_agent.cli.save import Overwrite, Save, check_save, from_table, write_capture
from capture_agent.cli.table_output import coloured
from capture_agent.sip.headers import text

if TYPE_CHECKING:
    from pathlib import Path

    from capture_agent.cli.call_columns import Context, Show
    from capture_agent.records.message_filter import MessageFilter
    from capture_agent.view.call import SipCall
    from capture_agent.view.call_book import CallBook

INTERVAL = 1.0  # seconds between queries with --follow
REMEMBERED = 100_000  # calls
SORTS = ("time", "setup", "duration", "messages", "retransmissions", "status")
FORMATS = ("table", "csv", "json")


def calls(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Capture files, instead of --db.")
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Keep printing new calls and status changes, until Ctrl-C."),
    ] = False,
    limit: Annotated[str, typer.Option(metavar="N", help="Only the newest N.")] = "1000",
    where: looking.Where = None,
    where_message: looking.WhereMessage = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only calls refused with 400 to 699, not 487.")] = False,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Not those that ended before.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Not those that began later.")] = None,
    last: Annotated[
        str | None, typer.Option(metavar="10m|2h|3d", help="Before now; in a file, before its last message.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="NAME,...", help="Columns, by name.")] = None,
    sort: Annotated[str, typer.Option(metavar="|".join(SORTS), help="The greatest last.")] = "time",
    output: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="json: an object per line.")
    ] = "table",
    zone: looking.Zone = "utc",
    color: looking.Colour = "auto",
    save: Save = None,
    overwrite: Overwrite = False,
    config: options.ConfigFile = None,
) -> None:
    """List the calls, registrations and other exchanges in capture files or in the table, the newest last."""
    most = options.positive("--limit", limit)
    if follow and (save is not None or files):
        raise WrongUsage(f"got both --follow and {'--save' if save is not None else 'FILE'}, expected one of them")
    options.one_of("--format", output, FORMATS)
    options.one_of("--sort", sort, SORTS)
    check_save(save, overwrite)
    in_zone = looking.zone_of(zone)
    times = looking.window(since, until, last, in_zone)
    coloured_rows = coloured(color)
    source = looking.inputs(config, files, db, table)
    message = looking.message_filter(where_message, "--where-message")
    selection = Selection(most, times, wanted(looking.call_filter(where, source.aliases), failed), message)
    show = shown_as(output, columns, in_zone, coloured_rows)
    found = selection.of_files(source) if source.target is None else selection.of_table(source)
    news = News()
    while True:
        show(news.of(sorted(found.calls, key=sort_key(sort))), context_of(source, found, in_zone, output))
        if save is not None:
            save_calls(source, found.calls, save, overwrite)
        if not follow:
            break
        time.sleep(INTERVAL)
        found = selection.of_table(source, found.last_id)
    source.finish()


def shown_as(output: str, columns: str | None, zone: tzinfo | None, in_colour: bool) -> Show:
    from capture_agent.cli import call_columns

    if output == "json":
        return call_columns.show_json
    if output == "csv":
        return call_columns.csv_of(call_columns.columns_named(columns or ",".join(call_columns.LONG)))
    return call_columns.table_of(call_columns.columns_named(columns), zone, in_colour)


def context_of(source: looking.Inputs, found: Found, zone: tzinfo | None, output: str) -> Context:
    from capture_agent.cli.call_columns import Context

    return Context(zone, source.aliases, found.book, exact=output != "table")


@dataclass(frozen=True, slots=True)
class Found:
    book: CallBook
    calls: list[SipCall]
    last_id: int = 0  # of the table


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls: the `most` latest of those in this time that match, and have a message that does."""

    most: int
    times: looking.Window
    matches: Callable[[SipCall], bool] | None
    message: MessageFilter | None

    def of_files(self, source: looking.Inputs) -> Found:
        book, matched = looking.read_book(source, self.message)
        newest = max((call.last_ns for call in book), default=0)
        found = [call for call in book if self.times.shows(call, newest)]
        if self.matches is not None:
            found = list(filter(self.matches, found))
        if self.message is not None:
            found = [call for call in found if call.call_id in matched]
        return Found(book, sorted(found, key=lambda call: (call.last_ns, call.number))[-self.most :])

    def of_table(self, source: looking.Inputs, since_id: int = 0) -> Found:
        from capture_agent.history.stored_calls import listing
        from capture_agent.history.stored_rows import TimeRange

        assert source.target is not None
        since = self.times.since if self.times.last is None else datetime.now(UTC) - self.times.last
        between = TimeRange(since, self.times.until)
        found = listing(source.target, self.most, since_id, source.config.legs, between, self.matches, self.message)
        return Found(found.book, found.calls, found.last_id)


def wanted(where: Callable[[SipCall], bool] | None, failed: bool) -> Callable[[SipCall], bool] | None:
    if not failed:
        return where
    return lambda call: call.failed and (where is None or where(call))


def sort_key(name: str) -> Callable[[SipCall], tuple[float, int, int]]:
    """Calls without the value come first."""

    def key(call: SipCall) -> tuple[float, int, int]:
        value = {
            "time": 0,
            "setup": call.setup_seconds,
            "duration": call.seconds,
            "messages": call.messages,
            "retransmissions": call.retransmissions,
            "status": call.status,
        }[name]
        return (-1 if value is None else value, call.last_ns, call.number)

    return key


def save_calls(source: looking.Inputs, found: list[SipCall], save: Path, overwrite: bool) -> None:
    ids = [text(call.call_id) for call in found]
    if source.target is None:
        if options.STANDARD_INPUT in source.files:
            raise Failed("--save reads a file twice, and standard input (-) can be read only once")
        write_capture(save, overwrite, looking.messages_of(source, ids, keeps_frames=True))
        return
    write_capture(save, overwrite, from_table(source.target, ids))


class News:
    """Selects calls that are new or have changed since they were shown. The oldest are forgotten, and show again."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}  # hashes: a Call-ID may be 60 kB long

    def of(self, calls: Iterable[SipCall]) -> list[SipCall]:
        new = []
        for call in calls:
            key, now = hash(call.call_id), hash((call.status, call.state))
            if self._known.get(key) != now:
                self._known.pop(key, None)
                self._known[key] = now
                new.append(call)
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return new
