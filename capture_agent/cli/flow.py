"""capture-agent flow: draws one call as a ladder diagram."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.capture_reading import CaptureReading
from capture_agent.cli.failures import Failed, WrongUsage
from capture_agent.cli.save import Overwrite, Save, check_save, from_rows, write_capture
from capture_agent.config import Config
from capture_agent.config.secrets import mask
from capture_agent.history import ladder
from capture_agent.history.readable import ShownMessage, endpoint_of, steps, title
from capture_agent.policy.lookback import copied
from capture_agent.sip.headers import call_id_forms, text

if TYPE_CHECKING:
    from capture_agent.history.stored_calls import StoredMessage
    from capture_agent.records.captured import CapturedMessage


def flow(
    call_id: Annotated[str, typer.Argument(metavar="CALL-ID", help="The Call-ID, as `decode` and `calls` show it.")],
    db: options.Database = None,
    table: options.TableName = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="A capture file, instead of the database.")
    ] = None,
    save: Save = None,
    overwrite: Overwrite = False,
    config: options.ConfigFile = None,
) -> None:
    """Draw the messages of one call as a ladder diagram: one column per host, time running down."""
    if file is not None and db is not None:
        raise WrongUsage("got both --db and --file, expected one of them")
    check_save(save, overwrite)
    if file is not None:
        options.check_files([file])
    call_id = text(os.fsencode(call_id))  # bytes that are not UTF-8, as the table has them: \xff
    damages: list[str] = []
    captured = list(from_file(file, call_id, damages)) if file else []
    rows = [] if file else from_table(config, db, table, call_id)
    messages = [*map(shown, captured), *map(shown_row, rows)]
    if not messages:
        quoted = mask(call_id) if "://" in call_id else call_id  # a Call-ID has an @, too
        raise Failed(damages[0] if damages else f"no message with the Call-ID {quoted!r} in {file or 'the table'}")
    pretty = sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")
    width = shutil.get_terminal_size((80, 24)).columns
    for line in title(messages, width):
        print(line)
    for line in ladder.draw(list(steps(messages)), width, ladder.BOX if pretty else ladder.ASCII):
        print(line)
    if save is not None:
        write_capture(save, overwrite, captured or from_rows(rows))
    if damages:
        raise Failed(damages[0])


def from_file(path: str, call_id: str, damages: list[str]) -> Iterator[CapturedMessage]:
    """Copies, so that no batch stays in memory. Damage is reported in `damages`; messages before it count.

    Raises SourceError if the file is not a capture.
    """
    reading = CaptureReading(Config(), keeps_frames=True)
    for messages in reading.messages([path]):
        for _, message in messages:
            found = message.sip.call_id
            if found is not None and call_id in call_id_forms(found):
                yield copied(message, keep_frames=True)
    damages += reading.damages


def shown(message: CapturedMessage) -> ShownMessage:
    sent = message.datagram
    return ShownMessage(
        message.time_ns / 1e9,
        (sent.source_text, str(sent.source_port)),
        (sent.destination_text, str(sent.destination_port)),
        message.raw,
        sent.transport,
    )


def from_table(config: Path | None, db: str | None, table: str | None, call_id: str) -> list[StoredMessage]:
    """Raises SinkError."""
    from capture_agent.history.stored_calls import once_each, stored_messages

    target = options.database(config, db, table)
    options.say_zone(target)
    return list(once_each(stored_messages(target, call_id)))


def shown_row(row: StoredMessage) -> ShownMessage:
    transport = row.from_ip.partition(":")[0]
    return ShownMessage(row.time.timestamp(), endpoint_of(row.from_ip), endpoint_of(row.to_ip), row.message, transport)
