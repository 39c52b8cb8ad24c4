"""The same traffic, the same settings: the output of Kamailio's siptrace, and the agent's.

Each case is a recording of the real module (shared/siptrace/vectors, and our own in pcaps/siptrace): its wire.pcap is
replayed with the settings of its kamailio.cfg, to real sockets and a real SQLite table. HEP packets, duplicates and
rows must be the module's own, byte for byte, except for the clock, and except for the module's faults
(docs/siptrace.md): those cases name what differs.
"""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import hep
from capture_agent.app.agent import Agent
from capture_agent.app.extensions import Extensions
from capture_agent.app.replaying import replay
from capture_agent.config import Config
from capture_agent.config.endpoints import parse_local
from capture_agent.config.sections import Capture, TraceSection
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sources.capture_file import CaptureFile

END = b"end of the replay"

SL_ACK = "ACK sip:slrej@127.0.0.1:5060 SIP/2.0"
SL_ACK_TCP = "ACK sip:slrej@127.0.0.1:5060;transport=tcp SIP/2.0"
SL_ACK_V6 = "ACK sip:slrej@[::1]:5060 SIP/2.0"

# What the module emits beyond ours, by start line: it emits an ACK that sl absorbs a second time.
MODULE_HAS_MORE = {
    "01-mode1-hep3-udp": {SL_ACK: 1},
    "04-mode1-hep3-tcp": {SL_ACK_TCP: 1},
    "03-mode1-hep2-udp": {SL_ACK: 1},
    "05-mode1-hep3-ipv6": {SL_ACK_V6: 1},
    "12-mode4-dup": {SL_ACK: 1},
    "a1-mode1-hepmodeoff": {SL_ACK: 1},
    # Every message once for the core and once for the script: documented, and not wanted here.
    "96-mode1-plus-script": {"OPTIONS sip:opt@127.0.0.1:5060 SIP/2.0": 2, "SIP/2.0 200 OK": 2},
}
MODULE_HAS_MORE_ROWS = {
    "08-mode2-db-stockschema": {SL_ACK: 1},
    "08-mode2-db-udp": {SL_ACK: 1},
    "09-mode2-db-udp": {SL_ACK: 1},
}
OURS_HAS_MORE_ROWS = {
    # Their kamailio.log: "database is locked".
    "08-mode2-db-stockschema": {"SIP/2.0 200 OK": 1},
    "08-mode2-db-udp": {"SIP/2.0 200 OK": 1},
    "09-mode2-db-udp": {"SIP/2.0 180 Ringing": 2, "SIP/2.0 200 OK": 1},
    # Its script calls sip_trace() on received requests only.
    "49-table-param": {"SIP/2.0 200 OK": 2},
}
# On SQLite a row without a From or To tag is lost; ours has ''. (One of 49 is the sent request, as above.)
ROWS_WITHOUT_A_TAG = {
    "08-mode2-db-stockschema": 39,
    "08-mode2-db-udp": 39,
    "49-table-param": 1,
    "85-compact-db": 4,
}

# Over TCP the module makes ports up. What it sends comes from the port it listens on, whichever the connection
# has; what it answers goes to the port in the Via. By case: how many of its messages have a port that no packet had.
PORTS_OF_NO_PACKET = {"04-mode1-hep3-tcp": 48, "11-mode2-db-tcp": 20, "80-ephemeral-tcp": 12}

CASES = [
    "01-mode1-hep3-udp", "03-mode1-hep2-udp", "04-mode1-hep3-tcp", "05-mode1-hep3-ipv6", "07-mode1-hep2-ipv6",
    "08-mode2-db-stockschema", "08-mode2-db-udp", "09-mode2-db-udp", "10b-mode3-ipv6-long", "11-mode2-db-tcp",
    "12-mode4-dup", "13-mode4-dup-xhw-noevrt",
    "15-mode7-all", "18-mode1-initmode1", "19-mode1-noslack", "20-mode1-authkey", "23-mode1-traceoff",
    "25-mode1-advertise-data0", "49-table-param", "63-nodup-hep", "71-mode1-bigmsg", "73-sendsock", "85-compact-db",
    "88-hep-dupuri-noport", "93-nodup-hep3", "96-mode1-plus-script", "a1-mode1-hepmodeoff", "a6-hep3-capid-big",
]  # fmt: skip
HEAD_CASES = ["01-mode1-hep3-udp", "10b-mode3-ipv6-long", "80-ephemeral-tcp", "93-nodup-hep3"]


@dataclass
class Settings:
    """siptrace's settings in a kamailio.cfg."""

    params: dict[str, str] = field(default_factory=dict)
    listens: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Settings:
        text = path.read_text()
        params = re.findall(r'modparam\("siptrace", *"(\w+)", *"?([^")]*)"?\)', text)
        return cls(dict(params), re.findall(r"^listen=\w+:(\S+)", text, re.MULTILINE))

    def number(self, name: str, default: int) -> int:
        return int(self.params.get(name, default))

    @property
    def table(self) -> str:
        return self.params.get("table", "sip_trace")

    @property
    def mode(self) -> int:
        """Bits: 1 HEP, 2 table, 4 duplicates. A script that traces every message into the table is like 2."""
        return self.number("trace_mode", 0) or 2

    def config(self, hep_port: int, sip_port: int, database: Path) -> Config:
        emits = "duplicate_uri" in self.params
        hep_target = HepTarget(
            "127.0.0.1",
            hep_port,
            version=self.number("hep_version", 1),  # type: ignore[arg-type]
            capture_id=self.number("hep_capture_id", 1),
            auth_key=self.params.get("auth_key", ""),
        )
        return Config(
            capture=Capture(local=tuple(parse_local(listen) for listen in dict.fromkeys(self.listens))),
            trace=TraceSection(on=bool(self.number("trace_on", 0))),
            hep=(hep_target,) if emits and self.mode & 1 else (),
            sip=(SipTarget("127.0.0.1", sip_port),) if emits and self.mode & 4 else (),
            sql=(SqlTarget(f"sqlite:///{database}", self.table),) if self.mode & 2 else (),
        )


@contextmanager
def receiver() -> Iterator[tuple[int, list[bytes]]]:
    """A UDP socket on loopback and all that it has received up to END."""
    got: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: got.extend(iter(lambda: server.recv(65536), END)), daemon=True)
        thread.start()
        yield server.getsockname()[1], got
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(END, server.getsockname())
        thread.join(10)
        assert not thread.is_alive()


def without_clock(packet: bytes) -> bytes:
    """A HEP packet with its times set to zero, anything else as it is."""
    if packet[:4] == b"HEP3":
        decoded = hep.decode(packet)
        seconds = packet.index(bytes.fromhex("00000009000a"))
        assert decoded.seconds == int.from_bytes(packet[seconds + 6 : seconds + 10], "big")
        return (
            packet[: seconds + 6] + bytes(4) + packet[seconds + 10 : seconds + 16] + bytes(4) + packet[seconds + 20 :]
        )
    if packet[:1] == b"\x02":
        at = packet[1]
        return packet[:at] + bytes(8) + packet[at + 8 :]
    return packet


def payloads(capture: Path) -> list[bytes]:
    """The UDP payloads in a recording."""
    packets = PacketDecoder()
    with CaptureFile(capture) as file:
        return [datagram.payload for frames in file.batches() for datagram in packets.decode(frames)]


COLUMNS = ["msg", "callid", "method", "status", "fromip", "toip", "direction", "fromtag", "totag", "traced_user"]

FROM_TAG, TO_TAG = COLUMNS.index("fromtag"), COLUMNS.index("totag")


def rows_of_the_module(case: Path, table: str) -> list[tuple[object, ...]]:
    rows = json.loads((case / "rows.json").read_text())
    if isinstance(rows, dict):
        rows = rows[table]
    # siptrace's NULL is read as ''.
    return [
        tuple((row[name] or "") if name != "msg" else row[name].encode("latin-1") for name in COLUMNS) for row in rows
    ]


def rows_of_ours(database: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"select {', '.join(COLUMNS)} from {table} order by id").fetchall()


@dataclass
class Emitted:
    packets: Counter[bytes]
    rows: Counter[tuple[object, ...]]


def emitted_by_us(case: Path, settings: Settings, tmp_path: Path, extensions: Extensions | None = None) -> Emitted:
    database = tmp_path / "trace.db"
    with receiver() as (hep_port, heps), receiver() as (sip_port, sips):
        config = settings.config(hep_port, sip_port, database)
        for target in config.sql:
            create_tables(target.url, target.table)
        agent = Agent(config, lossless=True, extensions=extensions)
        replay(agent, [case / "wire.pcap"])
        books = agent.close()
    assert books.balanced
    assert agent.routes.failure is None
    rows = rows_of_ours(database, settings.table) if config.sql else []
    return Emitted(Counter(map(without_clock, heps + sips)), Counter(rows))


def emitted_by_the_module(case: Path, settings: Settings) -> Emitted:
    packets = [
        payload for name in ("hep.pcap", "dup.pcap") if (case / name).exists() for payload in payloads(case / name)
    ]
    if case.name == "88-hep-dupuri-noport":  # its collector's port is 5060, so they are with the traffic
        packets = [payload for payload in payloads(case / "wire.pcap") if payload.startswith(b"HEP3")]
    rows = rows_of_the_module(case, settings.table) if settings.mode & 2 else []
    return Emitted(Counter(map(without_clock, packets)), Counter(rows))


Ports = tuple[int, int]


def streams(capture: Path) -> dict[tuple[str, str], dict[Ports, bytes]]:
    """All bytes by source and destination address, and then by ports. Nothing is lost on loopback."""
    packets = PacketDecoder()
    sent: dict[tuple[str, str], dict[Ports, bytes]] = {}
    with CaptureFile(capture) as file:
        for frames in file.batches():
            for packet in packets.decode(frames):
                by_ports = sent.setdefault((packet.source_text, packet.destination_text), {})
                ports = packet.source_port, packet.destination_port
                by_ports[ports] = by_ports.get(ports, b"") + packet.payload
    return sent


@dataclass
class Corrected:
    """The module's output, with wrong ports corrected; `wrong` counts them."""

    sent: dict[tuple[str, str], dict[Ports, bytes]]
    wrong: int = 0

    def packet(self, data: bytes) -> bytes:
        packet = hep.decode(data)
        assert packet.payload and packet.source_port and packet.destination_port
        pair = str(packet.source_address), str(packet.destination_address)
        source, destination = self._ports(pair, (packet.source_port, packet.destination_port), packet.payload)
        return hep.encode(replace(packet, source_port=source, destination_port=destination))

    def row(self, row: tuple[object, ...]) -> tuple[object, ...]:
        values = dict(zip(COLUMNS, row, strict=True))
        source, destination = (str(values[name]).split(":") for name in ("fromip", "toip"))
        ports = self._ports((source[1], destination[1]), (int(source[2]), int(destination[2])), values["msg"])
        values["fromip"] = f"{source[0]}:{source[1]}:{ports[0]}"
        values["toip"] = f"{destination[0]}:{destination[1]}:{ports[1]}"
        return tuple(values.values())

    def _ports(self, pair: tuple[str, str], ports: Ports, message: object) -> Ports:
        assert isinstance(message, bytes)
        if message in self.sent[pair].get(ports, b""):
            return ports
        self.wrong += 1
        (real,) = (ports for ports, stream in self.sent[pair].items() if message in stream)
        return real


def with_real_ports(module: Emitted, case: Path) -> Emitted:
    right = Corrected(streams(case / "wire.pcap"))
    packets = Counter(map(right.packet, module.packets.elements()))
    rows = Counter(map(right.row, module.rows.elements()))
    assert right.wrong == PORTS_OF_NO_PACKET[case.name]
    return Emitted(packets, rows)


def start_lines(counts: Counter[bytes]) -> dict[str, int]:
    lines: Counter[str] = Counter()
    for packet, count in counts.items():
        message = (
            hep.decode(packet).payload if packet[:4] == b"HEP3" else packet[28:] if packet[:1] == b"\2" else packet
        )
        assert message is not None
        lines[message.split(b"\r\n", 1)[0].decode()] += count
    return dict(lines)


def row_lines(counts: Counter[tuple[object, ...]]) -> dict[str, int]:
    return start_lines(Counter([row[0] for row in counts.elements()]))  # type: ignore[misc]


def compare(case: Path, tmp_path: Path, extensions: Extensions | None = None) -> None:
    settings = Settings.read(case / "kamailio.cfg")
    module = emitted_by_the_module(case, settings)
    if case.name in PORTS_OF_NO_PACKET:
        # A connection that the server opens comes from a port of its own: its address alone is said to be local.
        settings.listens = [listen.rpartition(":")[0] for listen in settings.listens]
        module = with_real_ports(module, case)
    ours = emitted_by_us(case, settings, tmp_path, extensions)
    assert start_lines(module.packets - ours.packets) == MODULE_HAS_MORE.get(case.name, {})
    assert start_lines(ours.packets - module.packets) == {}
    assert row_lines(module.rows - ours.rows) == MODULE_HAS_MORE_ROWS.get(case.name, {})
    more = ours.rows - module.rows
    without_a_tag = Counter({row: count for row, count in more.items() if "" in (row[FROM_TAG], row[TO_TAG])})
    assert without_a_tag.total() == ROWS_WITHOUT_A_TAG.get(case.name, 0)
    assert row_lines(more - without_a_tag) == OURS_HAS_MORE_ROWS.get(case.name, {})


@pytest.mark.parametrize("name", CASES)
def test_as_kamailio_5_6_3(shared: Path, tmp_path: Path, name: str) -> None:
    compare(shared / "siptrace" / "vectors" / "5.6.3" / name, tmp_path)


@pytest.mark.parametrize("name", HEAD_CASES)
def test_as_kamailio_head(shared: Path, tmp_path: Path, name: str) -> None:
    compare(shared / "siptrace" / "vectors" / "head" / name, tmp_path)


@pytest.mark.parametrize("name", ["mode1-hep2", "mode1-hep3", "mode2-rows", "mode4-duplicates", "mode7-all"])
def test_as_our_own_recordings(pcaps: Path, tmp_path: Path, name: str) -> None:
    compare(pcaps / "siptrace" / name, tmp_path)
