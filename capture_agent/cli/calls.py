"""capture-agent calls: calls and registrations in the sip_trace table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.tables import Table, terminal_width

if TYPE_CHECKING:
    from capture_agent.sinks.stored_calls import StoredCall

INTERVAL = 1.0  # seconds between two looks with --follow
REMEMBERED = 100_000  # calls

TITLES = ("first seen (UTC)", "from", "to", "method", "status", "messages", "duration", "Call-ID")
WIDE = 120  # columns of a terminal that has room for all of them
SHORT = (0, 1, 2, 3, 4, 7)  # those for a narrower one


def calls(
    db: options.Database = None,
    table: options.TableName = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with new ones, and those whose status changes, until Ctrl-C."),
    ] = False,
    limit: Annotated[str, typer.Option(metavar="N", help="Only the newest N.")] = "1000",
    config: options.ConfigFile = None,
) -> None:
    """List the calls, registrations and other exchanges in the sip_trace table, the newest last."""
    most = options.positive("--limit", limit)
    target = options.database(config, db, table)

    from capture_agent.sinks.stored_calls import stored_calls

    show = listing()
    news = News()
    show(news.of(stored_calls(target, most)))
    while follow:
        time.sleep(INTERVAL)
        show(news.of(stored_calls(target, most, since_id=news.last_id)))


class News:
    """Which calls have not been shown as they are now. The oldest are forgotten, and would be shown again."""

    def __init__(self) -> None:
        self.last_id = 0
        self._statuses: dict[str, str] = {}

    def of(self, calls: Iterable[StoredCall]) -> list[StoredCall]:
        new = []
        for call in calls:
            self.last_id = max(self.last_id, call.last_id)
            if self._statuses.get(call.call_id) != call.status:
                self._statuses.pop(call.call_id, None)
                self._statuses[call.call_id] = call.status
                new.append(call)
        while len(self._statuses) > REMEMBERED:
            del self._statuses[next(iter(self._statuses))]
        return new


def listing() -> Callable[[Iterable[StoredCall]], None]:
    """What prints calls, on the room there is."""
    if sys.stdout.isatty() and terminal_width() < WIDE:
        narrow = Table([TITLES[n] for n in SHORT], folds=(1, 2, 5), widths=(19, 8, 8, 8, 6, 0))
        return lambda calls: narrow.show([row(call)[n] for n in SHORT] for call in calls)
    wide = Table(TITLES, right=(5, 6), folds=(1, 2, 7), widths=(19, 12, 12, 9, 6, 8, 8, 0))
    return lambda calls: wide.show(map(row, calls))


def row(call: StoredCall) -> tuple[str, ...]:
    return (
        f"{call.first:%Y-%m-%d %H:%M:%S}",
        call.from_user,
        call.to_user,
        call.method,
        call.status,
        str(call.messages),
        duration(max(0.0, (call.last - call.first).total_seconds())),
        call.call_id,
    )


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
