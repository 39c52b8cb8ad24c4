"""capture-agent save: chosen calls as a capture file, for a vendor or for Wireshark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import WrongUsage, note
from capture_agent.cli.save import Overwrite, check_save, from_table, write_capture
from capture_agent.sip.headers import text


def save(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="The new file: .pcapng or .pcap.")],
    call_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[CALL-ID]...", help="Call-IDs, as `calls` shows them.")
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    file: looking.Files = None,
    where: looking.Where = None,
    legs: looking.LegsToo = False,
    overwrite: Overwrite = False,
    config: options.ConfigFile = None,
) -> None:
    """Write the messages of calls to a new capture file, from capture files or from the table."""
    if not call_ids and where is None:
        raise WrongUsage("no call: give CALL-ID, or --where CALL-FILTER")
    check_save(capture, overwrite)
    source = looking.inputs(config, file, db, table)
    wanted = looking.call_filter(where, source.aliases)
    messages = looking.chosen_messages(source, call_ids or [], legs, wanted, frames=True)
    found = tuple(dict.fromkeys(text(message.sip.call_id) for message in messages))
    write_capture(capture, overwrite, messages if source.target is None else from_table(source.target, found))
    note(f"{capture}: {len(messages)} messages of {len(found)} calls")
    source.finish()
