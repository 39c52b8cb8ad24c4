"""capture-agent show, diff: messages of calls as they were, and how two of them differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import Failed
from capture_agent.cli.table_output import coloured, painted
from capture_agent.view.text import printable

if TYPE_CHECKING:
    from capture_agent.view.ladder import Arrow, Ladder

CallId = Annotated[str, typer.Argument(metavar="CALL-ID", help="The Call-ID, as `decode` and `calls` show it.")]
COLOURS = {" ": "", "-": "31", "+": "32"}  # SGR


def show(
    call_id: CallId,
    number: Annotated[
        str | None, typer.Argument(metavar="[N]", help="Only the Nth message, in `flow`'s order.")
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    file: looking.Files = None,
    legs: looking.LegsToo = False,
    where_message: Annotated[
        str | None, typer.Option("--where-message", metavar="MESSAGE-FILTER", help="Only messages that match.")
    ] = None,
    sdp: Annotated[bool, typer.Option("--sdp", help="Only session descriptions, explained.")] = False,
    zone: looking.Zone = "utc",
    color: looking.Colour = "auto",
    config: options.ConfigFile = None,
) -> None:
    """Print the messages of a call as they were, numbered as in `flow`. Control characters are escaped."""
    from capture_agent.cli.message_output import message_lines
    from capture_agent.sip.session_description import sdp_of
    from capture_agent.view.ladder import ladder_of
    from capture_agent.view.sdp import explained

    in_zone, in_colour = looking.zone_of(zone), coloured(color)
    wanted = looking.message_filter(where_message, "--where-message")
    source = looking.inputs(config, file, db, table)
    ladder = ladder_of(looking.chosen_messages(source, [call_id], legs), source.aliases)
    chosen = ladder.arrows if number is None else (nth(ladder, number),)
    first = True
    for one in chosen:
        if (wanted is not None and not wanted.matches(one.message)) or (sdp and not one.has_sdp):
            continue
        if not first:
            print()
        first = False
        lines = message_lines(ladder, one, in_zone, in_colour)
        if not sdp:
            for line in lines:
                print(line)
            continue
        print(next(lines))
        for line, meaning in explained(sdp_of(one.message.sip)):
            print(f"{line:<40}  {painted(meaning, '2' if in_colour else '')}")
    if first:
        raise Failed("no message of the call matches")
    source.finish()


def diff(
    call_id: CallId,
    one: Annotated[str, typer.Argument(metavar="N", help="A message, by its number in `flow`.")],
    other: Annotated[str, typer.Argument(metavar="M", help="The message to compare it with.")],
    db: options.Database = None,
    table: options.TableName = None,
    file: looking.Files = None,
    legs: looking.LegsToo = False,
    color: looking.Colour = "auto",
    config: options.ConfigFile = None,
) -> None:
    """Print how two messages of a call, or of its legs, differ, line by line."""
    from capture_agent.view.details import difference
    from capture_agent.view.ladder import ladder_of

    in_colour = coloured(color)
    source = looking.inputs(config, file, db, table)
    ladder = ladder_of(looking.chosen_messages(source, [call_id], legs), source.aliases)
    first, second = nth(ladder, one), nth(ladder, other)
    for compared in difference(first.message.sip, second.message.sip):
        print(painted(f"{compared.sign} {printable(compared.line)}", COLOURS[compared.sign] if in_colour else ""))
    source.finish()


def nth(ladder: Ladder, number: str) -> Arrow:
    """Raises WrongUsage, Failed."""
    wanted = options.positive("N", number)
    if wanted > len(ladder.arrows):
        raise Failed(f"no message {wanted}: there are {len(ladder.arrows)}")
    return ladder.arrows[wanted - 1]
