"""Three independent receivers: how each is started, and how it reports what it decoded."""

import json
import os
import signal
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

from free_ports import free_port
from hep_programs import Receiver, kamailio_module, running
from installed_programs import npm_package, program

FILES = Path(__file__).parent / "receivers"


@dataclass
class HepJs:
    """npm's hep-js: prints each packet as JSON."""

    receiver: Receiver

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator["HepJs"]:
        node, modules = program("node", "nodejs"), npm_package("hep-js", "1.0.22")
        environment = {**os.environ, "NODE_PATH": str(modules)}
        with running(node, str(FILES / "hep_js.js"), folder=folder, environment=environment) as receiver:
            hep_js = cls(receiver)
            receiver.port = int(hep_js._line(0))
            yield hep_js

    def decapsulated(self, data: bytes) -> dict[str, Any]:
        """The packet as it decoded it."""
        before = len(self._lines())
        self.receiver.send(data)
        decoded = json.loads(self._line(before))
        assert decoded, "hep-js says that it is not HEP"
        return {"payload": decoded["payload"], **decoded["rcinfo"]}

    def _line(self, number: int) -> str:
        return self.receiver.wait_for(lambda: next(iter(self._lines()[number:]), None), f"line {number}")

    def _lines(self) -> list[str]:
        """The complete lines printed so far."""
        return self.receiver.log.read_text().split("\n")[:-1]


COMMON_COLUMNS = (
    "date micro_ts correlation_id source_ip source_port destination_ip destination_port proto family type node msg"
)
SIP_COLUMNS = (
    "method reply_reason ruri ruri_user ruri_domain from_user from_domain from_tag to_user to_domain to_tag "
    "pid_user contact_user auth_user callid callid_aleg via_1 via_1_branch cseq diversion reason "
    "content_type auth user_agent contact_ip contact_port originator_ip originator_port custom_field1 "
    "custom_field2 custom_field3 rtp_stat"
)


@dataclass
class Kamailio:
    """Kamailio's sipcapture: writes each message into SQLite."""

    receiver: Receiver
    database: sqlite3.Connection

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator["Kamailio"]:
        path, port = program("kamailio", "kamailio"), free_port()
        kamailio_module("sipcapture", "kamailio")
        kamailio_module("db_sqlite", "kamailio-sqlite-modules")
        database, config = folder / "capture.db", folder / "kamailio.cfg"
        text = (FILES / "kamailio.cfg").read_text()
        config.write_text(text.replace("@PORT@", str(port)).replace("@DATABASE@", str(database)))
        arguments = ["-DD", "-E", "-f", str(config), "-Y", str(folder), "-P", str(folder / "pid")]
        with (
            closing(_database(database)) as connection,
            running(path, *arguments, folder=folder, port=port) as receiver,
        ):
            receiver.wait_until_bound()
            yield cls(receiver, connection)

    def send(self, *datagrams: bytes) -> None:
        self.receiver.send(*datagrams)

    def stored(self, table: str, column: str, value: str) -> sqlite3.Row:
        """The row, once it exists; `column` has a value that only this test uses."""
        return self.receiver.wait_for(lambda: self._row(table, column, value), f"a row of {value}")

    def _row(self, table: str, column: str, value: str) -> sqlite3.Row | None:
        rows = self.database.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchall()
        assert len(rows) <= 1
        return rows[0] if rows else None


def _database(path: Path) -> sqlite3.Connection:
    """An empty database, and our connection to it.

    Our reading must not make the receiver's inserts fail, as it does not wait for locks: hence write-ahead
    logging, and one connection for as long as it runs (closing the last one locks the file for a clean-up).
    """
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    tables = {"sip_capture": f"{COMMON_COLUMNS} {SIP_COLUMNS}", "logs_capture": COMMON_COLUMNS}
    for table, columns in tables.items():
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(columns.split())})")
    connection.commit()
    return connection


class Saved(NamedTuple):
    """A message in the capture file that sngrep writes."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


@dataclass
class Sngrep:
    """sngrep without a screen: saves each message into a capture file."""

    receiver: Receiver
    capture: Path
    key: str | None

    @classmethod
    @contextmanager
    def started(cls, folder: Path, key: str | None) -> Iterator["Sngrep"]:
        path, port = program("sngrep", "sngrep"), free_port()
        capture, config = folder / "out.pcap", folder / "sngreprc"
        config.write_text(f"set eep.listen.pass {key}\n" if key else "")
        arguments = ["-N", "-L", f"udp:127.0.0.1:{port}", "-O", str(capture), "-f", str(config)]
        # SIGINT is how a user ends it.
        with running(path, *arguments, folder=folder, port=port, stop=signal.SIGINT) as receiver:
            receiver.wait_until_bound()
            yield cls(receiver, capture, key)

    def send(self, *datagrams: bytes) -> None:
        self.receiver.send(*datagrams)

    def saved(self, call_id: str) -> Saved:
        """The message, once it exists."""
        wanted = f"Call-ID: {call_id}\r\n".encode()
        return self.receiver.wait_for(
            lambda: next((message for message in self.messages() if wanted in message.payload), None), call_id
        )

    def messages(self) -> Iterator[Saved]:
        data = self.capture.read_bytes() if self.capture.exists() else b""
        position = 24
        while position + 16 <= len(data):
            (size,) = struct.unpack_from("<I", data, position + 8)
            frame = data[position + 16 : position + 16 + size]
            position += 16 + size
            if len(frame) == size:
                yield _udp_message(frame[14:])


def _udp_message(ip: bytes) -> Saved:
    source_port, destination_port = struct.unpack_from(">HH", ip, 20)
    source, destination = IPv4Address(ip[12:16]), IPv4Address(ip[16:20])
    return Saved(str(source), source_port, str(destination), destination_port, ip[28:])
