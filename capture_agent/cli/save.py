"""--save: the messages of `calls` and `flow` as a capture file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.os_errors import in_words

if TYPE_CHECKING:
    from capture_agent.config import SqlTarget
    from capture_agent.records.captured import CapturedMessage

Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Write the messages to this new capture file (.pcapng or .pcap), too."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file of --save if it exists.")]
SUFFIXES = (".pcapng", ".pcap")
FILE_MODE = 0o640


def check_save(save: Path | None, overwrite: bool) -> None:
    """Raises WrongUsage before anything is read."""
    if save is None:
        if overwrite:
            raise WrongUsage("got --overwrite without --save")
        return
    if save.suffix not in SUFFIXES:
        raise WrongUsage(f"--save: got {str(save)!r}, expected a name that ends in .pcapng or .pcap")
    if save.is_dir():
        raise WrongUsage(f"--save: {save} is a directory")
    if not overwrite and os.path.lexists(save):
        raise WrongUsage(f"--save: {save} exists; --overwrite replaces it")


def write_capture(save: Path, overwrite: bool, messages: Iterable[CapturedMessage]) -> None:
    """The file appears when it is complete. Raises Failed."""
    from capture_agent.sinks.files.saving import saved

    try:
        with new_file(save, overwrite) as file:
            rejected = saved(file, save.suffix.removeprefix("."), messages)
    except OSError as error:
        raise Failed(f"--save: {save}: {in_words(error)}") from None
    if rejected:
        note(f"{save}: {rejected} messages are longer than a datagram, and are not in it")


@contextmanager
def new_file(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """A file under another name, with the right one at the end. Raises OSError, FileExistsError too."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:64]}-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), FILE_MODE)
            if overwrite:
                Path(file.name).replace(path)
                return
            os.link(file.name, path)  # fails if the file exists by now
        finally:
            with suppress(OSError):
                Path(file.name).unlink()


def from_table(target: SqlTarget, call_ids: Iterable[str]) -> list[CapturedMessage]:
    """The messages of these calls, sorted by time. A note names each row that cannot be saved. Raises SinkError."""
    from capture_agent.history.stored_calls import messages_of_calls
    from capture_agent.history.stored_messages import captured_message

    found = []
    for row in messages_of_calls(target, call_ids):
        message = captured_message(row)
        if message is None:
            note(f"row {row.id} has no addresses, or no SIP, and is not saved")
        else:
            found.append(message)
    return sorted(found, key=lambda message: message.time_ns)
