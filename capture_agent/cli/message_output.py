"""Messages on standard output as they were: printable, and highlighted by grammar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING

from capture_agent.cli.table_output import painted
from capture_agent.view.details import parts_of
from capture_agent.view.text import printable
from capture_agent.view.time_text import moment, zone_text

if TYPE_CHECKING:
    from capture_agent.sip.message import SipMessage
    from capture_agent.view.ladder import Arrow, Ladder

COLOURS = {"start": "1", "name": "36", "value": "", "body": "32"}  # SGR


def message_lines(ladder: Ladder, one: Arrow, zone: tzinfo | None, in_colour: bool) -> Iterator[str]:
    """A line about it, then the message."""
    ends = f"{ladder.participants[one.source].label} -> {ladder.participants[one.destination].label}"
    when = f"{moment(one.time_ns, zone, 6)} {zone_text(one.time_ns, zone)}"
    again = ", sent before" if one.retransmission else ""
    yield painted(f"--- {one.number}  {when}  {printable(ends)}{again}", "1" if in_colour else "")
    yield from text_lines(one.message.sip, in_colour)


def text_lines(sip: SipMessage, in_colour: bool) -> Iterator[str]:
    line = ""
    for part in parts_of(sip):
        text = printable(part.text.removesuffix("\n"))
        line += painted(text, COLOURS[part.kind] if in_colour and text else "")
        if part.text.endswith("\n"):
            yield line
            line = ""
    if line:
        yield line
