"""Duplicates with siptrace's x-headers are restored to their originals, in everything that is emitted.

The recordings (cases 72, 81, 82) are duplicates that were sent to a real siptrace with xheaders_read=1:
xr0 and xr2 have the headers, xr1 has none, xr3 lacks one.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

import hep
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import Config
from capture_agent.config.sections import Capture
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.frame_building import RAW_IP, Ends, udp
from capture_agent.records.frames import FRAME_WIRE_LENGTH, Frames
from capture_agent.records.origin import Origin
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sip.problems import Problem
from capture_agent.sip.x_headers import find_x_headers
from capture_agent.sources.capture_file import CaptureFile

PATIENCE = 20.0
REQUEST = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
HEADERS = b"Call-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n"
BLOCK = (
    b"X-Siptrace-Fromip: %s:5060\r\nX-Siptrace-Toip: %s:5070\r\nX-Siptrace-Time: 1500000000 123456\r\n"
    b"X-Siptrace-Method: OPTIONS\r\nX-Siptrace-Dir: %s\r\n"
)


def duplicate(call_id: bytes, source: bytes = b"", destination: bytes = b"", direction: bytes = b"in") -> bytes:
    block = BLOCK % (source, destination, direction) if source else b""
    return REQUEST + HEADERS % call_id + block + b"\r\nbody"


def frames(payloads: list[bytes]) -> Frames:
    ends = Ends(bytes((192, 0, 2, 1)), 5060, bytes((192, 0, 2, 9)), 5888)
    return Frames.of([udp(ends, payload) for payload in payloads], RAW_IP, [7 + n for n in range(len(payloads))])


GOOD = [
    duplicate(b"one", b"udp:10.0.0.1", b"udp:10.0.0.2"),
    duplicate(b"two", b"tcp:10.0.0.2", b"tcp:10.0.0.1", b"out"),
    duplicate(b"three", b"tls:[2001:db8::1]", b"tls:[2001:db8::2]"),
]
BAD = [duplicate(b"four"), duplicate(b"five", b"udp:10.0.0.1", b"udp:[::1]"), b"\r\n\r\n"]


def seen(message: CapturedMessage) -> tuple[object, ...]:
    at = message.datagram
    ends = f"{at.transport} {at.source_text} {at.source_port} {at.destination_text} {at.destination_port}"
    return message.sip.call_id, ends, at.protocol, at.time_ns, message.origin, at.frame


def test_what_they_were() -> None:
    pipeline = Pipeline(Capture(x_headers=True))
    messages = pipeline.messages(frames([GOOD[0], *BAD, *GOOD[1:]]))
    ns = 1500000000_123456000
    assert [seen(message) for message in messages] == [
        (b"one", "udp 10.0.0.1 5060 10.0.0.2 5070", 17, ns, Origin(Direction.IN), 1),
        (b"two", "tcp 10.0.0.2 5060 10.0.0.1 5070", 6, ns, Origin(Direction.OUT), 5),
        (b"three", "tls 2001:db8::1 5060 2001:db8::2 5070", 6, ns, Origin(Direction.IN), 6),
    ]
    assert [message.raw for message in messages] == [duplicate(name) for name in (b"one", b"two", b"three")]
    assert not any(message.sip.problems for message in messages)
    assert all(message.datagram.payload == message.raw for message in messages)


def test_the_books() -> None:
    pipeline = Pipeline(Capture(x_headers=True))
    traced = pipeline.process(frames([*GOOD, *BAD]))
    assert [message.direction for message in traced] == [Direction.IN, Direction.OUT, Direction.IN]
    (ledger,) = (ledger for ledger in pipeline.ledgers() if ledger.name == "messages")
    assert ledger.difference == 0
    some = {reason: count for reason, count in ledger.rejected.items() if count}
    assert some == {"no_x_headers": 1, "malformed_x_headers": 1, "keepalive": 1}
    assert ledger.outcomes["traced"] == 3


def test_off_they_are_headers_like_others() -> None:
    messages = Pipeline().messages(frames([*GOOD, *BAD]))
    assert [message.raw for message in messages] == [*GOOD, *BAD[:2]]
    assert {message.origin for message in messages} == {None}
    assert not any("x_headers" in reason for ledger in Pipeline().ledgers() for reason in ledger.rejected)


def test_a_duplicate_that_the_capture_cut_is_still_cut() -> None:
    packet = udp(Ends(bytes(4), 1, bytes(4), 2), GOOD[0])
    cut = Frames.of([packet[:-2]], RAW_IP)
    cut.index[FRAME_WIRE_LENGTH] = len(packet)
    (original,) = Pipeline(Capture(x_headers=True)).messages(cut)
    assert original.raw == duplicate(b"one")[:-2]
    assert Problem.TRUNCATED in Problem(original.sip.problems)
    assert original.datagram.missing == 2


class Received:
    """A UDP socket that keeps what it gets."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE)
        self.port: int = self.socket.getsockname()[1]
        self.packets: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while packet := self.socket.recv(65536):
            self.packets.append(packet)

    def close(self) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self.socket.close()
        return self.packets


def emitted(case: Path, folder: Path) -> tuple[list[hep.Packet], list[bytes], list[tuple[object, ...]]]:
    """HEP packets, duplicates and rows of this agent for a recording's wire."""
    url = f"sqlite:///{folder}/trace.db"
    create_tables(url, "sip_trace")
    homer, server = Received(), Received()
    config = Config(
        capture=Capture(x_headers=True, local=()),
        hep=(HepTarget("127.0.0.1", homer.port),),
        sip=(SipTarget("127.0.0.1", server.port),),
        sql=(SqlTarget(url),),
    )
    agent = Agent(config, lossless=True)
    replay(agent, [case / "wire.pcap"])
    books = agent.close()
    assert books.balanced
    with closing(sqlite3.connect(folder / "trace.db")) as connection:
        rows = connection.execute(f"select {', '.join(COLUMNS)} from sip_trace order by id").fetchall()
    return [hep.decode(packet) for packet in homer.close()], server.close(), rows


# In days, and a little more: the recorded Julian days of Kamailio's db_sqlite are half a second early.
HALF_A_SECOND = 0.6 / 86400
COLUMNS = [
    "msg",
    "callid",
    "method",
    "status",
    "fromip",
    "toip",
    "direction",
    "fromtag",
    "totag",
    "time_stamp",
    "time_us",
]


def payloads(capture: Path) -> list[bytes]:
    packets = PacketDecoder()
    with CaptureFile(capture) as file:
        return [datagram.payload for each in file.batches() for datagram in packets.decode(each)]


def without_x_headers(duplicate: bytes) -> bytes:
    headers = find_x_headers(duplicate, 0, len(duplicate))
    assert headers is not None
    return duplicate[: headers.start] + duplicate[headers.end :]


XR3 = b"Call-ID: xr3@kamref"  # version 5.6.3 takes some of the headers, and makes up the rest


@pytest.mark.parametrize("version", ["5.6.3", "head"])
def test_as_kamailio_stores_and_sends_on(shared: Path, tmp_path: Path, version: str) -> None:
    """Case 81: rows, including times, and duplicates, to which the module adds the headers again (xheaders_write=1)."""
    case = shared / "siptrace" / "vectors" / version / "81-xheaders-read-ok"
    _, duplicates, rows = emitted(case, tmp_path)
    theirs = [
        tuple((row[name] or "") if name != "msg" else row[name].encode("latin-1") for name in COLUMNS)
        for row in json.loads((case / "rows.json").read_text())["sip_trace"]
    ]
    assert [row for row in theirs if XR3 not in row[0]] == [
        (*row[:-2], pytest.approx(row[-2], abs=HALF_A_SECOND), row[-1]) for row in rows
    ]
    assert len(theirs) - len(rows) == (1 if version == "5.6.3" else 0)
    sent = payloads(case / "dup.pcap")
    assert [without_x_headers(each) for each in sent if XR3 not in each] == duplicates
    assert len(sent) - len(duplicates) == (1 if version == "5.6.3" else 0)


@pytest.mark.parametrize("version", ["5.6.3", "head"])
def test_as_kamailio_sends_hep(shared: Path, tmp_path: Path, version: str) -> None:
    """Case 82: all but the time, which the module takes from its clock. Ours is the headers'."""
    case = shared / "siptrace" / "vectors" / version / "82-xheaders-read-hep"
    ours, _, _ = emitted(case, tmp_path)
    theirs = [hep.decode(packet) for packet in payloads(case / "hep.pcap")]

    def told(packet: hep.Packet) -> tuple[object, ...]:
        return (
            packet.source,
            packet.source_port,
            packet.destination,
            packet.destination_port,
            packet.protocol,
            packet.payload,
        )

    assert [told(packet) for packet in theirs if XR3 not in (packet.payload or b"")] == [
        told(packet) for packet in ours
    ]
    assert len(theirs) - len(ours) == (1 if version == "5.6.3" else 0)
    assert {(packet.seconds, packet.microseconds) for packet in ours} == {(1500000000, 123456)}


def test_as_kamailio_without_the_headers(shared: Path, tmp_path: Path) -> None:
    """Case 72: neither stored nor sent; the module also damages the message that it forwards."""
    case = shared / "siptrace" / "vectors" / "5.6.3" / "72-xheaders-read"
    assert emitted(case, tmp_path) == ([], [], [])
    assert not any(json.loads((case / "rows.json").read_text()).values())
