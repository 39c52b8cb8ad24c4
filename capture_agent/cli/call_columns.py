"""The columns of `calls`, and its forms: a table, CSV, JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from capture_agent.cli.failures import WrongUsage
from capture_agent.cli.table_output import Table, terminal_width
from capture_agent.config.secrets import quotable
from capture_agent.sip.headers import text
from capture_agent.view.aliases import Aliases
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_object import call_object
from capture_agent.view.call_store import CallStore
from capture_agent.view.text import Column, printable
from capture_agent.view.time_text import duration, moment, zone_text

WIDE = 120  # columns of a terminal that has room for all of them
LONG = ("first", "from", "to", "method", "state", "status", "messages", "duration", "call-id")
SHORT = ("first", "from", "to", "method", "state", "call-id")
COLOURS = {
    "calling": "33", "ringing": "33", "waiting": "33", "in call": "32", "cancelled": "35", "busy": "31", "failed": "31",
    "no answer": "31", "rejected": "31", "redirected": "36", "completed": "", "registered": "", "done": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """What a column may need beside the call."""

    zone: tzinfo | None
    aliases: Aliases
    book: CallBook | CallStore
    exact: bool = False  # for programs


@dataclass(frozen=True, slots=True)
class Shown:
    column: Column
    text: Callable[[SipCall, Context], str]


def time_of(time_ns: int, context: Context) -> str:
    return moment(time_ns, context.zone, 6 if context.exact else 0) if time_ns else ""


def length(seconds: float | None, context: Context) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.6f}" if context.exact else duration(seconds)


def lasted(call: SipCall, context: Context) -> str:
    return length(call.seconds if call.seconds is not None else (call.last_ns - call.first_ns) / 1e9, context)


def delay(call: SipCall, context: Context) -> str:
    """To the millisecond: a call across the world rings after hundreds of them."""
    seconds = call.setup_seconds
    return length(seconds, context) if seconds is None or context.exact else f"{seconds:.3f} s"


def legs_of(call: SipCall, context: Context) -> str:
    return " ".join(text(leg.call_id) for leg in context.book.legs_of(call) if leg is not call)


def hosts_of(call: SipCall, context: Context) -> str:
    return " ".join(dict.fromkeys(context.aliases.label(*one) for one in call.endpoints))


COLUMNS: dict[str, Shown] = {
    "first": Shown(Column("first seen", 19), lambda call, context: time_of(call.first_ns, context)),
    "last": Shown(Column("last seen", 19), lambda call, context: time_of(call.last_ns, context)),
    "answered": Shown(Column("answered", 19), lambda call, context: time_of(call.answered_ns, context)),
    "ended": Shown(Column("ended", 19), lambda call, context: time_of(call.ended_ns, context)),
    "from": Shown(Column("from", 12, least=6), lambda call, context: call.from_user),
    "to": Shown(Column("to", 12, least=6), lambda call, context: call.to_user),
    "uri": Shown(Column("request URI", 24), lambda call, context: text(call.uri)),
    "method": Shown(Column("method", 9, 20, least=6), lambda call, context: text(call.method)),
    "state": Shown(Column("state", 10), lambda call, context: call.state),
    "status": Shown(Column("status", 6, 8), lambda call, context: str(call.status or "")),
    "reason": Shown(Column("reason", 12), lambda call, context: text(call.reason)),
    "cause": Shown(Column("cause", 12), lambda call, context: "; ".join(map(text, call.causes))),
    "messages": Shown(Column("messages", 8, right=True), lambda call, context: str(call.messages)),
    "retransmissions": Shown(Column("again", 5, right=True), lambda call, context: str(call.retransmissions)),
    "setup": Shown(Column("setup", 8, right=True), delay),
    "duration": Shown(Column("duration", 8, right=True), lasted),
    "codecs": Shown(Column("codecs", 10), lambda call, context: " ".join(call.codecs)),
    "hosts": Shown(Column("hosts", 20), hosts_of),
    "transport": Shown(Column("proto", 5), lambda call, context: " ".join(call.transports)),
    "legs": Shown(Column("other legs", 20), legs_of),
    "call-id": Shown(Column("Call-ID"), lambda call, context: text(call.call_id)),
}


def columns_named(names: str | None) -> tuple[str, ...]:
    """Raises WrongUsage."""
    if names is None:
        return SHORT if 0 < terminal_width() < WIDE else LONG
    found = tuple(name.strip().lower() for name in names.split(","))
    unknown = next((name for name in found if name not in COLUMNS), None)
    if unknown is not None:
        raise WrongUsage(f"--columns: {quotable(unknown)!r}, expected some of {', '.join(COLUMNS)}")
    return found


Show = Callable[[Iterable[SipCall], Context], None]


def table_of(names: Sequence[str], zone: tzinfo | None, coloured: bool) -> Show:
    """Prints calls; later ones continue the same table."""
    made = [COLUMNS[name].column for name in names]
    titles = [
        f"{one.title} ({zone_text(0, zone) if zone else 'local'})" if one.width == 19 else one.title for one in made
    ]
    table = Table([Column(title, one.width, one.most, one.least, one.right)
                   for one, title in zip(made, titles, strict=True)])  # fmt: skip

    def show(calls: Iterable[SipCall], context: Context) -> None:
        shown = list(calls)
        rows = [tuple(COLUMNS[name].text(call, context) for name in names) for call in shown]
        table.show_all(rows, [COLOURS.get(call.state, "") for call in shown] if coloured else ())

    return show


def csv_of(names: Sequence[str]) -> Show:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)

    def show(calls: Iterable[SipCall], context: Context) -> None:
        writer.writerows([printable(COLUMNS[name].text(call, context)) for name in names] for call in calls)
        sys.stdout.flush()

    return show


def show_json(calls: Iterable[SipCall], context: Context) -> None:
    """An object per line; ASCII only: nothing in it can control a terminal."""
    for call in calls:
        sys.stdout.write(json.dumps(call_object(call, context.aliases, context.book.legs_of(call))) + "\n")
    sys.stdout.flush()
