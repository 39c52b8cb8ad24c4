"""Live capture of RTP that real programs send: SIPp plays a stream with known faults, rtpengine relays one.

tcpdump captures the same packets; the figures are those that were made, and those of tshark within 1 %.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.interfaces import Namespace, wires
from installed_programs import program
from media_samples import packet, sdp, sip
from rtp_samples import Sent, Speech
from test_rtp_tshark import of_tshark

from hep import Packet, decode

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root")]

PATIENCE = 60
SPEECH = Speech(
    count=100, begin=0.0, jitter_ms=7, lost=frozenset({20, 21, 50, 77}), late=frozenset({30, 60}), late_by=2, twice=frozenset({40}),
)  # fmt: skip
MADE = {"TOTAL_PK": 96, "EXPECTED_PK": 100, "PACKET_LOSS": 4, "OUT_ORDER": 2, "DUPLICATES": 1, "CODEC_NAME": "PCMU"}
CALLER = """<?xml version="1.0" encoding="ISO-8859-1" ?><scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
]]></send>
<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="200"/>
<send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<nop><action><exec play_pcap_audio="speech.pcap"/></action></nop>
<pause milliseconds="2600"/>
<send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


class Capture:
    """The agent and tcpdump, both in this namespace on this interface."""

    def __init__(self, here: Namespace, interface: str, folder: Path, toml: str) -> None:
        self.collector = here.udp()
        self.collector.settimeout(PATIENCE)
        self.pcap = folder / "seen.pcap"
        config = folder / "agent.toml"
        hep = f"hep:127.0.0.1:{self.collector.getsockname()[1]}"
        config.write_text(
            f'[capture]\ninterfaces = ["{interface}"]\nports = ["5060-5069"]\n[[hep]]\nuri = "{hep}"\n'
            f'[control]\nsocket = ""\n[media]\nrtp = "all"\n{toml}'
        )
        dump = [program("tcpdump", "tcpdump"), "-i", interface, "-U", "-Z", "root", "-w", str(self.pcap), "udp"]
        self.dump = subprocess.Popen(here.command(*dump), stderr=subprocess.PIPE, text=True)
        run = [sys.executable, "-m", "capture_agent", "run", "--config", str(config)]
        self.agent = subprocess.Popen(here.command(*run), stderr=subprocess.PIPE, text=True)
        for process, ready in ((self.dump, "listening on"), (self.agent, "capturing on")):
            assert process.stderr is not None
            assert any(ready in line for line in iter(process.stderr.readline, "")), ready

    def ended(self, last: bytes) -> tuple[list[dict[str, Any]], str]:
        """The reports and the books, after a SIP message with this text has come out."""
        found: list[Packet] = []
        while not found or last not in (found[-1].payload or b""):
            found.append(decode(self.collector.recv(65_535)))
        self.agent.send_signal(signal.SIGTERM)
        _, text = self.agent.communicate(timeout=PATIENCE)
        self.dump.send_signal(signal.SIGINT)
        self.dump.communicate(timeout=PATIENCE)
        self.collector.setblocking(False)
        try:
            while True:
                found.append(decode(self.collector.recv(65_535)))
        except BlockingIOError:
            return [json.loads(one.payload or b"") for one in found if one.protocol_type == 34], text

    def close(self) -> None:
        for process in (self.agent, self.dump):
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.collector.close()


@contextmanager
def capturing(here: Namespace, interface: str, folder: Path, toml: str = "") -> Iterator[Capture]:
    made = Capture(here, interface, folder, toml)
    try:
        yield made
    finally:
        made.close()


def write_ethernet(path: Path, sent: list[Sent]) -> None:
    """SIPp plays only Ethernet."""
    data = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for at, one in sent:
        frame = bytes(12) + b"\x08\x00" + packet(("192.0.2.1", 4000), ("192.0.2.2", 4000), one)
        data.append(struct.pack("<IIII", *divmod(round((at + 1) * 1e6), 10**6), len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(data))


def check(said: dict[str, Any], their: dict[str, float]) -> None:
    assert {key: said[key] for key in MADE} == MADE
    assert their["packets"] == said["TOTAL_PK"] + said["DUPLICATES"]
    names = {"DELTA": "mean_delta", "MAX_DELTA": "max_delta", "MEAN_JITTER": "mean_jitter", "MAX_JITTER": "max_jitter"}
    assert {key: said[key] for key in names} == {
        key: pytest.approx(their[name], rel=0.01, abs=0.003) for key, name in names.items()
    }


def test_a_stream_that_sipp_plays(tmp_path: Path) -> None:
    """With the list of ports, whose filter in the kernel lets RTP through."""
    write_ethernet(tmp_path / "speech.pcap", SPEECH.sent())
    (tmp_path / "caller.xml").write_text(CALLER)
    sipp = program("sipp", "sip-tester")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    with wires() as (here, there), capturing(here, "eth1", tmp_path, "report_seconds = 1\n") as capture:
        callee = [sipp, "-sn", "uas", "-i", "192.0.2.1", "-p", "5060", "-nostdin"]
        caller = [sipp, "-sf", "caller.xml", "192.0.2.1:5060", "-i", "192.0.2.2", "-p", "5061", "-m", "1", "-nostdin"]
        with subprocess.Popen(here.command(*callee), **quiet) as answering:
            try:
                called = subprocess.run(there.command(*caller), timeout=PATIENCE, check=False, **quiet)
            finally:
                answering.kill()
        assert called.returncode == 0
        reports, books = capture.ended(b"CSeq: 2 BYE")
    assert "does not balance" not in books
    *between, said = reports
    assert between
    assert {one["TYPE"] for one in between} == {"PERIODIC"}
    check(said, of_tshark(capture.pcap)[SPEECH.ssrc])


class Relay:
    """rtpengine, asked over its protocol NG (bencode), as a proxy does."""

    def __init__(self, here: Namespace, folder: Path) -> None:
        command = [
            program("rtpengine", "rtpengine-daemon"), "--interface=127.0.0.1", "--listen-ng=127.0.0.1:2223", "--table=-1",
            "--foreground", "--log-stderr", "--config-file=none", f"--pidfile={folder / 'pid'}",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            here.command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
        )
        self.socket = here.udp()
        self.socket.settimeout(1)

    def ask(self, entries: dict[bytes, bytes]) -> bytes:
        body = b"".join(b"%d:%s" % (len(text), text) for pair in sorted(entries.items()) for text in pair)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:  # it may not listen yet
            try:
                self.socket.sendto(b"%d d%se" % (time.monotonic_ns(), body), ("127.0.0.1", 2223))
                said = self.socket.recv(65_535)
            except (ConnectionRefusedError, TimeoutError):
                time.sleep(0.1)
                continue
            assert b"6:result2:ok" in said, said
            return said
        raise AssertionError("rtpengine does not answer")

    def port(self, verb: bytes, port: int) -> int:
        """What it says in the place of this port."""
        tags = {b"from-tag": b"1"} | ({b"to-tag": b"2"} if verb == b"answer" else {})
        said = self.ask({b"call-id": b"call-1", b"command": verb, b"sdp": sdp("127.0.0.1", port), **tags})
        return int(re.findall(rb"m=audio (\d+)", said)[0])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()


def play(sender: socket.socket, to: int, sent: list[Sent]) -> None:
    begin = time.monotonic()
    for at, data in sent:
        time.sleep(max(0.0, begin + at - time.monotonic()))
        sender.sendto(data, ("127.0.0.1", to))


def test_a_stream_that_rtpengine_relays(tmp_path: Path) -> None:
    """Both halves are streams of the call, with the same faults."""
    with wires() as (here, _), capturing(here, "lo", tmp_path) as capture:
        relay = Relay(here, tmp_path)
        caller, callee, signalling, other = (here.udp(port=port) for port in (4000, 5000, 5060, 5061))
        try:
            to_callee_from = relay.port(b"offer", 4000)
            to_relay = relay.port(b"answer", 5000)
            for sender, to, start, port in (
                (signalling, 5061, "INVITE sip:bob@h SIP/2.0", 4000), (other, 5060, "SIP/2.0 200 OK", to_relay),
                (other, 5060, "SIP/2.0 183 Leg", to_callee_from), (other, 5060, "SIP/2.0 183 Leg", 5000),
            ):  # fmt: skip
                sender.sendto(sip(start, "1 INVITE", sdp("127.0.0.1", port)), ("127.0.0.1", to))
            play(caller, to_relay, SPEECH.sent())
            callee.setblocking(False)
            received = 0
            deadline = time.monotonic() + PATIENCE
            while received < 97 and time.monotonic() < deadline:
                try:
                    callee.recv(2048)
                    received += 1
                except BlockingIOError:
                    time.sleep(0.01)
            signalling.sendto(sip("BYE sip:bob@h SIP/2.0", "2 BYE"), ("127.0.0.1", 5061))
            reports, books = capture.ended(b"BYE sip:bob")
        finally:
            relay.close()
            for one in (caller, callee, signalling, other):
                one.close()
    assert "does not balance" not in books
    assert len(reports) == 2
    for one in reports:
        assert {key: one[key] for key in MADE} == MADE
