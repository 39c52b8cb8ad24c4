"""capture-agent flow: draws calls as a ladder diagram."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import WrongUsage
from capture_agent.cli.save import Overwrite, Save, check_save, from_table, write_capture
from capture_agent.cli.table_output import coloured
from capture_agent.view.text import printable, shortened, width

if TYPE_CHECKING:
    from capture_agent.view.ladder import Ladder
    from capture_agent.view.time_text import TimeMode

LONGEST_PARTY = 40  # columns
FORMATS = ("text", "mermaid", "html", "svg", "json")
TIMES: tuple[TimeMode, ...] = ("start", "delta", "absolute")


def flow(
    call_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CALL-ID]...", help="Call-IDs, as `decode` and `calls` show them.", show_default=False),
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    file: looking.Files = None,
    where: looking.Where = None,
    legs: looking.LegsToo = False,
    raw: Annotated[bool, typer.Option("--raw", help="Also each message, as it was.")] = False,
    time: Annotated[
        str, typer.Option(metavar="|".join(TIMES), help="Since the start, the last message, or the clock.")
    ] = "start",
    output: Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="What to print.")] = "text",
    zone: looking.Zone = "utc",
    color: looking.Colour = "auto",
    save: Save = None,
    overwrite: Overwrite = False,
    config: options.ConfigFile = None,
) -> None:
    """Draw the messages of calls as a ladder diagram: one column per host, time running down."""
    from capture_agent.view.ladder import ladder_of

    options.one_of("--format", output, FORMATS)
    options.one_of("--time", time, TIMES)
    if not call_ids and where is None:
        raise WrongUsage("no call: give CALL-ID, or --where CALL-FILTER")
    if file and db is not None:
        raise WrongUsage("got both --db and --file, expected one of them")
    check_save(save, overwrite)
    mode = next(one for one in TIMES if one == time)
    in_zone, in_colour = looking.zone_of(zone), coloured(color)
    source = looking.inputs(config, file, db, table)
    wanted = looking.call_filter(where, source.aliases)
    messages = looking.chosen_messages(source, call_ids or [], legs, wanted, frames=save is not None)
    drawn = ladder_of(messages, source.aliases, source.streams)
    for line in lines(drawn, output, mode, in_zone, raw, in_colour):
        print(line)
    if save is not None:
        write_capture(save, overwrite, messages if source.target is None else from_table(source.target, drawn.call_ids))
    source.finish()


def lines(
    ladder: Ladder, output: str, mode: TimeMode, zone: tzinfo | None, raw: bool, in_colour: bool
) -> Iterator[str]:
    if output == "text":
        yield from as_text(ladder, mode, zone, raw, in_colour)
    else:
        from capture_agent.view.ladder_exports import exported

        yield exported(output, ladder, mode, zone, raw).rstrip("\n")


def as_text(ladder: Ladder, mode: TimeMode, zone: tzinfo | None, raw: bool, in_colour: bool) -> Iterator[str]:
    from capture_agent.cli.message_output import message_lines
    from capture_agent.view import ladder_text
    from capture_agent.view.media_marks import summary

    pretty = sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")
    columns = shutil.get_terminal_size((80, 24)).columns
    yield from title(ladder, columns, zone)
    yield from ladder_text.draw(
        ladder_text.steps(ladder, mode, zone), columns, ladder_text.BOX if pretty else ladder_text.ASCII
    )
    for media in ladder.media:
        yield f"{'':10}  {printable(str(media))}"
    for stream in ladder.streams:
        yield f"{'':10}  {printable(summary(stream))}"
    if raw:
        for one in ladder.arrows:
            yield ""
            yield from message_lines(ladder, one, zone, in_colour)


def title(ladder: Ladder, columns: int, zone: tzinfo | None) -> Iterator[str]:
    """Date, zone, from, to, transport and Call-ID of a call: in one line if they fit. Of several calls, a line each."""
    from capture_agent.view.message_label import party
    from capture_agent.view.time_text import moment, zone_text

    for number, call_id in enumerate(ladder.call_ids):
        own = [one.message for one in ladder.arrows if one.call == number]
        sip = own[0].sip
        parties = [printable(party(value)) for value in (sip.from_value, sip.to_value)]
        source, destination = (shortened(each, LONGEST_PARTY) for each in parties)
        transports = ", ".join(dict.fromkeys(message.datagram.transport for message in own))
        when = f"{moment(own[0].time_ns, zone)} {zone_text(own[0].time_ns, zone)}"
        mark = f"[{number + 1}] " if len(ladder.call_ids) > 1 else ""
        line = f"{mark}{when}  {source} -> {destination}  {printable(transports)}".rstrip()
        named = "Call-ID " + printable(call_id)
        if width(line) + 2 + width(named) <= columns:
            yield f"{line}  {named}"
        else:
            yield line
            yield named
