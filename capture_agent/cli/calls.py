"""capture-agent calls: calls and registrations in the sip_trace table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import WrongUsage
from capture_agent.cli.save import Overwrite, Save, check_save, from_rows, write_capture
from capture_agent.cli.table_output import Table, terminal_width
from capture_agent.history.text import Column

if TYPE_CHECKING:
    from capture_agent.history.stored_calls import StoredCall

INTERVAL = 1.0  # seconds between queries with --follow
REMEMBERED = 100_000  # calls

WIDE = 120  # columns of a terminal that has room for all of them
LONG = (
    Column("first seen (UTC)", 19),
    Column("from", 12, least=6),
    Column("to", 12, least=6),
    Column("method", 9, 20),
    Column("state", 10),
    Column("status", 6, 8),
    Column("messages", 8, right=True),
    Column("duration", 8, right=True),
    Column("Call-ID"),
)
SHORT = (
    Column("seen (UTC)", 14),
    Column("from", 8, least=6),
    Column("to", 8, least=6),
    Column("method", 8, 12, least=6),
    Column("state", 9, 14),
    Column("Call-ID"),
)


def calls(
    db: options.Database = None,
    table: options.TableName = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Keep printing new calls and status changes, until Ctrl-C."),
    ] = False,
    limit: Annotated[str, typer.Option(metavar="N", help="Only the newest N.")] = "1000",
    save: Save = None,
    overwrite: Overwrite = False,
    config: options.ConfigFile = None,
) -> None:
    """List the calls, registrations and other exchanges in the sip_trace table, the newest last."""
    most = options.positive("--limit", limit)
    if follow and save is not None:
        raise WrongUsage("got both --follow and --save, expected one of them")
    check_save(save, overwrite)
    target = options.database(config, db, table)

    from capture_agent.history.stored_calls import listing, messages_of_calls

    options.say_zone(target)
    show = printer()
    news = News()
    found = listing(target, most)
    show(news.of(found.calls))
    if save is not None:
        rows = messages_of_calls(target, [call.call_id for call in found.calls])
        write_capture(save, overwrite, sorted(from_rows(rows), key=lambda message: message.time_ns))
    while follow:
        time.sleep(INTERVAL)
        found = listing(target, most, since_id=found.last_id)
        show(news.of(found.calls))


class News:
    """Selects calls that are new or have changed since they were shown. The oldest are forgotten, and show again."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}  # hashes: a Call-ID may be 60 kB long

    def of(self, calls: Iterable[StoredCall]) -> list[StoredCall]:
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


def printer() -> Callable[[Iterable[StoredCall]], None]:
    """A function that prints calls in the width available."""
    short = 0 < terminal_width() < WIDE
    table = Table(SHORT if short else LONG)
    return lambda calls: table.show_all(list(map(short_row if short else row, calls)))


def row(call: StoredCall) -> tuple[str, ...]:
    return (
        f"{call.first:%Y-%m-%d %H:%M:%S}",
        call.from_user,
        call.to_user,
        call.method,
        call.state,
        call.status,
        str(call.messages),
        duration(max(0.0, (call.last - call.first).total_seconds())),
        call.call_id,
    )


def short_row(call: StoredCall) -> tuple[str, ...]:
    """The columns that fit a small terminal."""
    state = f"{call.state} {call.status}".rstrip()
    return f"{call.first:%m-%d %H:%M:%S}", call.from_user, call.to_user, call.method, state, call.call_id


def duration(seconds: float) -> str:
    """`0.3 s`, `12 s`, `1:02:03`"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
