"""Messages as one capture file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from capture_agent.records.captured import CapturedMessage
from capture_agent.sinks.files.capture_formats import FORMATS
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sinks.files.packets import Oversize
from capture_agent.sinks.files.pcap_sink import CaptureRecords


def saved(out: IO[bytes], form: str, messages: Iterable[CapturedMessage]) -> int:
    """Write them to this new file, as pcapng or pcap. Returns how many were longer than a datagram. Raises OSError."""
    records, file = CaptureRecords(FORMATS[form]()), OpenFile("", Path(out.name), out.fileno(), 0, 1, 0, 0)
    rejected = 0
    for message in messages:
        parts: list[bytes] = []
        try:
            records.add(message, file, parts)
        except Oversize:
            rejected += 1
        out.writelines(parts)
    return rejected
