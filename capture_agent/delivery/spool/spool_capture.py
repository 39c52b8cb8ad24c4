"""Reads a spool as a capture: each message is a frame of LINKTYPE_WIRESHARK_UPPER_PDU, as Wireshark exports messages.

What the spool has beyond the message, its ports, addresses, time and interface is left out: whoever reads a capture
decides anew. Messages that were sent already are left out, too.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from struct import Struct
from urllib.parse import quote

from capture_agent.delivery.spool.spool import unpacked
from capture_agent.delivery.spool.spool_error import SpoolError
from capture_agent.delivery.spool.spool_lock import mark_in
from capture_agent.delivery.spool.spool_rows import TABLES, Row, first_after, tables_in
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames, Interface
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.capture_file import BATCH
from capture_agent.sources.source import SourceError

LINK_TYPE = 252
# Tags: their number and length, then the value.
DISSECTOR = Struct("!HH4s").pack(12, 4, b"sip\0")
END = bytes(4)
ADDRESSES = {4: (20, 21), 16: (22, 23)}
PORT_TYPES = {17: 3, 6: 2, 132: 1}  # of IP protocols
NUMBERS = Struct("!HHIHHIHHI")
HEAD = Struct("!HH")


class SpoolCapture:
    """A Source. The spool may be in use: it is only read, as it is when the reading begins, a batch at a time."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._database = _opened(path)
        self._number = 1

    def batches(self) -> Iterator[Frames]:
        """Raises SourceError at the end if batches were damaged, or where SQLite cannot go on."""
        lost = 0
        at = mark_in(self._path)
        self._database.execute("BEGIN")  # until it is closed: what others write meanwhile is not seen
        while (row := self._next(at)) is not None:
            at = row.id
            messages = self._messages(row)
            if not messages:
                lost += row.rest
            for start in range(0, len(messages), BATCH):
                yield self._frames(messages[start : start + BATCH])
        if lost:
            raise SourceError(f"{self.name}: damaged batches; messages in them: {lost}")

    def _messages(self, row: Row) -> list[TracedMessage]:
        try:
            return unpacked(row)
        except SpoolError as error:
            raise SourceError(f"{self.name}: {error}") from None

    def _next(self, at: int) -> Row | None:
        try:
            return first_after(self._database, at)
        except sqlite3.Error as error:
            raise SourceError(f"{self.name}: {error}") from None

    def _frames(self, messages: Sequence[TracedMessage]) -> Frames:
        interfaces: dict[Interface, int] = {}
        frames, index, start = list[bytes](), array("q"), 0
        for traced in messages:
            datagram = traced.message.datagram
            frame = exported(datagram, traced.message.raw)
            of = datagram.interface
            interface = Interface(of.name if of else "", LINK_TYPE, of.time_decimals if of else 9)
            index.extend(
                (
                    start, len(frame), len(frame) + datagram.missing, datagram.time_ns,
                    interfaces.setdefault(interface, len(interfaces)),
                )
            )  # fmt: skip
            frames.append(frame)
            start += len(frame)
        first, self._number = self._number, self._number + len(frames)
        return Frames(b"".join(frames), index, len(frames), list(interfaces), first)

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self._database.close()


def exported(datagram: Datagram, payload: bytes) -> bytes:
    """The message with tags around it."""
    source, destination = ADDRESSES.get(datagram.address_size, (0, 0))
    addresses = b""
    if source:
        size = datagram.address_size
        addresses = HEAD.pack(source, size) + datagram.source + HEAD.pack(destination, size) + datagram.destination
    numbers = NUMBERS.pack(
        24, 4, PORT_TYPES.get(datagram.protocol, 3), 25, 4, datagram.source_port, 26, 4, datagram.destination_port
    )
    return b"".join((DISSECTOR, addresses, numbers, END, payload))


def _opened(path: Path) -> sqlite3.Connection:
    """Raises SourceError."""
    try:
        return _connected(path)
    except sqlite3.Error as error:
        raise SourceError(f"{path}: {error}", usage=True) from None


def _connected(path: Path) -> sqlite3.Connection:
    """Read-only. Without a log beside it, nothing is needed there, so that the folder may be read-only, too."""
    alone = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro{alone}", uri=True, isolation_level=None, check_same_thread=False
    )


def is_spool(path: Path) -> bool:
    """Whether this SQLite database has the tables of one. Raises sqlite3.Error."""
    database = _connected(path)
    try:
        return tables_in(database) >= TABLES
    finally:
        database.close()


def spool_capture(path: Path) -> SpoolCapture | None:
    """None: the file is another database, or cannot be read. Raises SourceError."""
    try:
        return SpoolCapture(path) if is_spool(path) else None
    except sqlite3.Error:
        return None
