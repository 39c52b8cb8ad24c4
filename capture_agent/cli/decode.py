"""capture-agent decode: lists the SIP messages in capture files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.addresses import address_text, endpoint_text
from capture_agent.cli import options
from capture_agent.cli.capture_reading import CaptureReading
from capture_agent.cli.failures import DONE, FAILED, WrongUsage, note, say
from capture_agent.cli.looking import message_filter
from capture_agent.config.secrets import quotable
from capture_agent.records.message_fields import as_object, as_text
from capture_agent.sip.headers import text as header_text
from capture_agent.view.text import Column, printable

if TYPE_CHECKING:
    from capture_agent.records.captured import CapturedMessage
    from capture_agent.records.message_filter import MessageFilter


def decode(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Capture files, or spools; - is standard input.")],
    output: Annotated[
        str,
        typer.Option("--format", metavar="table|jsonl", help="table: for people. jsonl: one JSON object per message."),
    ] = "table",
    where: Annotated[
        str | None, typer.Option("--where", metavar="MESSAGE-FILTER", help="Only messages that match: 'status >= 400'.")
    ] = None,
    port: options.Ports = None,
    drop_copies: options.DropCopies = False,
    key_log: options.KeyLog = None,
    hep_in: options.HepIn = False,
    esp_null: Annotated[
        bool, typer.Option("--esp-null", help="Look inside ESP for packets without encryption.")
    ] = False,
) -> None:
    """Show the SIP messages in capture files, and count frames and messages on standard error."""
    show = FORMATS.get(output)
    if show is None:
        raise WrongUsage(f"--format: value {quotable(output)!r}, expected {' or '.join(FORMATS)}")

    wanted = message_filter(where)
    options.check_files(files)
    said = options.overrides(
        capture_ports=port,
        capture_drop_copies=drop_copies,
        capture_esp_null=esp_null,
        capture_hep_in=hep_in,
        tls_key_log=key_log,
    )
    reading = CaptureReading(options.configuration_to_read(said), several=len(files) > 1)
    try:
        batches = reading.messages(files)
        show(batches if wanted is None else matching(batches, wanted))
    finally:
        for damage in reading.damages:
            say(damage, "decode")
    for line in dict.fromkeys(reading.notes):  # several files may share one
        note(line)
    note(reading.books())
    raise typer.Exit(FAILED if reading.damages else DONE)


Batches = Iterator[list[tuple[str, "CapturedMessage"]]]


def matching(batches: Batches, wanted: MessageFilter) -> Batches:
    for batch in batches:
        yield [(file, message) for file, message in batch if wanted.matches(message)]


def show_json(batches: Iterator[list[tuple[str, CapturedMessage]]]) -> None:
    write = sys.stdout.write
    for batch in batches:
        lines = [json.dumps(as_object(message, file)) for file, message in batch]
        if lines:
            # ASCII only: nothing in it can control a terminal that shows it.
            write("\n".join(lines) + "\n")
            sys.stdout.flush()  # input from a pipe is shown as it arrives


def show_table(batches: Iterator[list[tuple[str, CapturedMessage]]]) -> None:
    """A table per file, headed by its name if there are several. Each batch is shown as it arrives."""
    shown: str | None = None
    for batch in batches:
        for file, messages in groupby(batch, key=itemgetter(0)):
            if file != shown:
                if file:
                    print(f"{printable(file)}:")
                show_rows, shown = rows_of_a_table(), file
            show_rows(message for _, message in messages)


def rows_of_a_table() -> Callable[[Iterable[CapturedMessage]], None]:
    """A function that adds messages to the same table at each call."""
    from capture_agent.cli.table_output import Table, terminal_width

    if 0 < terminal_width() < WIDE:
        narrow = Table(SHORT)
        return lambda messages: narrow.show(map(short_row, messages))
    wide = Table(LONG)
    return lambda messages: wide.show(map(row, messages))


WIDE = 132  # columns of a terminal wide enough for everything
FORMATS = {"table": show_table, "jsonl": show_json}

FRAME = Column("frame", 5, right=True)
PLACE = 48  # the longest address and port
LONG = (
    FRAME,
    Column("time (UTC)", 26),
    Column("source", 21, PLACE),
    Column("destination", 21, PLACE),
    Column("proto", 5),
    Column("message", 9),
    Column("CSeq", 12),
    Column("Call-ID"),
)
SHORT = (
    FRAME,
    Column("time (UTC)", 12),
    Column("source", 18, PLACE),
    Column("destination", 18, PLACE),
    Column("message", 8),
    Column("Call-ID"),
)


def row(message: CapturedMessage) -> tuple[str, ...]:
    datagram, sip = message.datagram, message.sip
    number = "" if sip.cseq < 0 else str(sip.cseq)
    return (
        str(datagram.frame),
        clock(datagram.time_ns),
        endpoint(datagram.source, datagram.source_port),
        endpoint(datagram.destination, datagram.destination_port),
        datagram.transport,
        as_text(sip.method) or (f"{sip.status:03d}" if sip.status else "?"),
        f"{number} {as_text(sip.cseq_method) or ''}".strip(),
        header_text(sip.call_id),
    )


def short_row(message: CapturedMessage) -> tuple[str, ...]:
    """The columns that fit a small terminal."""
    frame, moment, source, destination, _, what, _, call_id = row(message)
    return frame, moment.rpartition(" ")[2][:12], source, destination, what, call_id


def clock(time_ns: int) -> str:
    """2014-11-25 21:09:21.124098; a time outside the calendar stays a number."""
    try:
        moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_ns / 1e9)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns % 1_000_000_000 // 1000:06d}"


def endpoint(address: bytes, port: int) -> str:
    return endpoint_text(address_text(address), port)
