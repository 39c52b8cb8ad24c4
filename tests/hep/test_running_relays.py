"""A relay as its own process between real senders and a collector: each message arrives with what its sender said."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from faults.peers import certificate
from free_ports import free_port
from hep_programs import PATIENCE, Receiver, running
from hep_receivers import FILES
from installed_programs import npm_package, program
from sink_samples import eventually

from capture_agent.pipeline import Pipeline
from capture_agent.sources.capture_file import CaptureFile
from hep import Packet, StreamDecoder, encode

ROOT = Path(__file__).resolve().parents[2]
CALL = ROOT / "pcaps" / "call.pcap"
AGENT = str(Path(sys.executable).parent / "capture-agent")
SIP = (
    b"MESSAGE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:alice@b>;tag=f\r\n"
    b"To: <sip:bob@example.net>\r\nCall-ID: relays\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 6\r\n\r\nsecret"
)
WHOLE = Packet(
    source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", source_port=5060, destination_port=5080, protocol=17, family=2,
    seconds=1_700_000_000, microseconds=123_456, protocol_type=1, capture_id=3005, agent_name=b"sbc", payload=SIP,
)  # fmt: skip


class HepCollector:
    """Reads HEP from connections."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._read, args=(client,), daemon=True).start()

    def _read(self, client: socket.socket) -> None:
        decoder = StreamDecoder()
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                self.packets += decoder.feed(data)

    def wait_for(self, count: int) -> list[Packet]:
        eventually(lambda: len(self.packets) >= count, PATIENCE)
        return self.packets

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def collector() -> Iterator[HepCollector]:
    with closing(HepCollector()) as one:
        yield one


@contextmanager
def agent(settings: str, folder: Path) -> Iterator[Receiver]:
    """One that runs with these settings; `log` has its books when it has ended."""
    folder.mkdir(exist_ok=True)
    (folder / "agent.toml").write_text(settings)
    command = [AGENT, "run", "--config", str(folder / "agent.toml"), "--control", ""]
    with running(*command, folder=folder, patience=PATIENCE) as receiver:
        receiver.wait_for(lambda: "capturing on" in receiver.log.read_text() or None, "the relay")
        yield receiver


def passing_on(uri: str, collector: HepCollector, more: str = "") -> str:
    return f'[[listen]]\nuri = "{uri}"\n{more}\n[[hep]]\nuri = "hep+tcp:127.0.0.1:{collector.port}?id=9&node=relay"\n'


def without_path(packet: Packet) -> Packet:
    """The relay adds its own chunk."""
    assert [chunk.vendor for chunk in packet.extra] == [0xCA9E]
    return replace(packet, extra=())


def test_hep_js(collector: HepCollector, tmp_path: Path) -> None:
    said = {
        "protocolFamily": 2,
        "protocol": 17,
        "srcIp": "10.0.0.1",
        "dstIp": "10.0.0.2",
        "srcPort": 5060,
        "dstPort": 5080,
        "timeSeconds": 1_700_000_000,
        "timeUseconds": 123_456,
        "captureId": 3005,
        "hepNodeName": "sbc",
    }
    payloads = [(1, SIP), (5, b'{"sender_information":{}}'), (100, b"a line of a log"), (35, b"mos")]
    sent = [[text.decode(), said | {"payloadType": kind, "correlation_id": "leg-7"}] for kind, text in payloads]
    environment = {**os.environ, "NODE_PATH": str(npm_package("hep-js", "1.0.22"))}
    port = free_port()
    with agent(passing_on(f"hep:127.0.0.1:{port}", collector), tmp_path / "relay"):
        command = [program("node", "nodejs"), str(FILES / "hep_js_send.js"), str(port)]
        subprocess.run(command, input=json.dumps(sent).encode(), env=environment, timeout=PATIENCE, check=True)
        found = collector.wait_for(len(sent))
    by_kind = sorted(map(without_path, found), key=lambda one: one.protocol_type or 0)
    want = [
        replace(WHOLE, protocol_type=kind, correlation_id=b"leg-7", payload=text) for kind, text in sorted(payloads)
    ]
    assert by_kind == want


@pytest.mark.parametrize("scheme", ["hep", "hep+tcp", "hep+tls"])
def test_our_own_agent(scheme: str, collector: HepCollector, tmp_path: Path) -> None:
    pipeline = Pipeline()
    with CaptureFile(CALL) as capture:
        wanted = [message for frames in capture.batches() for message in pipeline.messages(frames)]
    port = free_port()
    uri, more, trusts = f"{scheme}:127.0.0.1:{port}", "", ""
    if scheme == "hep+tls":
        pem = certificate(tmp_path)
        more, trusts = f'tls_cert = "{pem}"\n', f'tls_ca = "{pem}"\n'
    edge = tmp_path / "edge.toml"
    edge.write_text(f'[[hep]]\nuri = "{uri}?id=41&node=edge"\n{trusts}')
    with agent(passing_on(uri, collector, more), tmp_path / "relay"):
        command = [AGENT, "replay", str(CALL), "--config", str(edge)]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
        found = collector.wait_for(len(wanted))
    assert [one.payload for one in found] == [one.raw for one in wanted]
    assert [(one.source, one.source_port, one.destination, one.destination_port) for one in found] == [
        (at.source, at.source_port, at.destination, at.destination_port) for at in (one.datagram for one in wanted)
    ]
    times = [(one.seconds or 0) * 10**6 + (one.microseconds or 0) for one in found]
    assert times == [one.time_ns // 1000 for one in wanted]
    assert {(one.capture_id, one.agent_name) for one in found} == {(41, b"edge")}


def test_rtpengine(collector: HepCollector, tmp_path: Path) -> None:
    """Its reports of RTCP pass on unchanged."""
    homer, control = free_port(), free_port()
    command = [
        program("rtpengine", "rtpengine-daemon"), "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}",
        "--table=-1", "--foreground", "--log-stderr", f"--homer=127.0.0.1:{homer}", "--homer-protocol=udp",
        "--homer-id=77", "--config-file=none", "--port-min=20000", "--port-max=20999", f"--pidfile={tmp_path / 'pid'}",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(agent(passing_on(f"hep:127.0.0.1:{homer}", collector), tmp_path / "relay"))
        stack.enter_context(running(*command, folder=tmp_path, port=control)).wait_until_bound()
        ends = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for end in ends:
            end.bind(("127.0.0.1", 0))
        said: list[bytes] = []
        for verb, end in zip((b"offer", b"answer"), ends, strict=True):
            said.append(negotiated(control, verb, end.getsockname()[1]))
        to_caller = int(re.findall(rb"m=audio (\d+)", said[1])[0])
        ends[0].sendto(sender_report(), ("127.0.0.1", to_caller + 1))
        [found] = collector.wait_for(1)
    assert (found.protocol_type, found.capture_id, found.correlation_id) == (5, 77, b"call-1")
    report = json.loads(found.payload or b"")
    assert (report["ssrc"], report["type"], report["sender_information"]["packets"]) == (0x01020304, 200, 7)
    assert (found.source, found.destination_port) == (b"\x7f\0\0\1", to_caller + 1)


def negotiated(port: int, verb: bytes, media: int) -> bytes:
    """rtpengine's answer to an offer or an answer with this media port (its protocol NG: bencode)."""
    sdp = (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {media} RTP/AVP 0\r\n"
        f"a=rtcp:{media}\r\n"
    ).encode()
    entries = {b"call-id": b"call-1", b"command": verb, b"from-tag": b"a", b"sdp": sdp}
    if verb == b"answer":
        entries[b"to-tag"] = b"b"
    body = b"".join(b"%d:%s" % (len(text), text) for pair in sorted(entries.items()) for text in pair)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE)
        peer.sendto(b"1_1 d" + body + b"e", ("127.0.0.1", port))
        said = peer.recv(65535)
    assert b"6:result2:ok" in said, said
    return said


def sender_report() -> bytes:
    """RFC 3550 6.4.1, without a report block, and the SDES that must follow."""
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x01020304, 0xE0000000, 0, 160, 7, 1120)
    return report + struct.pack("!BBHIBB4sxx", 0x81, 202, 3, 0x01020304, 1, 4, b"test")


def test_two_relays_in_a_loop(collector: HepCollector, tmp_path: Path) -> None:
    """Each sends what it gets to the other: a message goes round once."""
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        relays = [
            stack.enter_context(
                agent(
                    passing_on(f"hep+tcp:127.0.0.1:{mine}", collector)
                    + f'[[hep]]\nuri = "hep+tcp:127.0.0.1:{other}"\n',
                    tmp_path / str(mine),
                )
            )
            for mine, other in (ports, ports[::-1])
        ]
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=PATIENCE) as peer:
            peer.sendall(b"".join(encode(replace(WHOLE, capture_id=n)) for n in range(50)))
            collector.wait_for(100)  # each relay's
        for relay in relays:
            relay.process.terminate()
            relay.process.wait(PATIENCE)
    assert sorted(one.capture_id or 0 for one in collector.packets) == sorted([*range(50)] * 2)
    assert "hep: 100 seen, 50 sip, 50 rejected (loop 50)" in relays[0].log.read_text()
    assert "hep: 50 seen, 50 sip\n" in relays[1].log.read_text()


def test_the_example(collector: HepCollector, tmp_path: Path) -> None:
    """examples/relay.toml with the addresses of this host: one tenant's messages are masked everywhere."""
    text, port, database = (ROOT / "examples" / "relay.toml").read_text(), free_port(), tmp_path / "rows.sqlite"
    text = changed(text, "0.0.0.0:9060", f"127.0.0.1:{port}", 2)
    text = changed(text, "homer.example.net:9060", f"127.0.0.1:{collector.port}")
    text = changed(text, "postgresql://trace@db.example.net/homer", f"sqlite:///{database}")
    text = changed(text, "/var/lib/capture-agent/spool", str(tmp_path / "spool"))
    text = changed(text, "127.0.0.1:9165", f"127.0.0.1:{free_port()}")
    subprocess.run(
        [AGENT, "db", "create", "--db", f"sqlite:///{database}"], capture_output=True, check=True, timeout=PATIENCE
    )
    theirs, others = replace(WHOLE, capture_id=3005), replace(WHOLE, capture_id=4000)
    with agent(text, tmp_path / "relay"):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
            peer.sendall(encode(theirs) + encode(others))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(encode(replace(theirs, capture_id=3099), 2), ("127.0.0.1", port))
        found = {one.capture_id: one.payload or b"" for one in collector.wait_for(3)}
        eventually(lambda: len(rows(database)) == 3, PATIENCE)
    assert found[4000] == SIP
    masked = [found[3005], found[3099], *(row for row in rows(database) if row != SIP)]
    assert len(masked) == 4
    assert len(set(masked)) == 1
    assert b"secret" not in masked[0]
    assert b"sip:bob@" not in masked[0]


def changed(text: str, before: str, after: str, times: int = 1) -> str:
    assert text.count(before) == times, before
    return text.replace(before, after)


def rows(database: Path) -> list[bytes]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT msg FROM sip_trace")]
