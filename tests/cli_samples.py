"""Captures made by hand, and the command run as users run it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

ALICE, PROXY, BOB = "10.0.0.1", "10.0.0.2", "10.0.0.3"
START = 1_700_000_000


@dataclass(frozen=True)
class Packet:
    """A UDP datagram from port 5060 to port 5060."""

    seconds: float
    source: str
    destination: str
    payload: bytes


def frame(packet: Packet) -> bytes:
    """Ethernet, IPv4, UDP; checksums of zero."""
    udp = struct.pack("!HHHH", 5060, 5060, 8 + len(packet.payload), 0) + packet.payload
    addresses = ip_address(packet.source).packed + ip_address(packet.destination).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + udp


def pcap(packets: Sequence[Packet]) -> bytes:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for packet in packets:
        raw = frame(packet)
        microseconds = round(packet.seconds * 1e6)
        moment = (START + microseconds // 1_000_000, microseconds % 1_000_000)
        data += struct.pack("<IIII", *moment, len(raw), len(raw)) + raw
    return data


def sip(start: str, call_id: str = "a@b", cseq: str = "1 INVITE", sdp: bool = False, sender: str = "alice") -> bytes:
    body = "v=0\r\no=- 0 0 IN IP4 10.0.0.1\r\n" if sdp else ""
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:{sender}@a.example>;tag=f1\r\n"
        f"To: <sip:bob@b.example>\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode("utf-8", "surrogateescape")


INVITE = sip("INVITE sip:bob@b.example SIP/2.0", sdp=True)
RINGING = sip("SIP/2.0 180 Ringing")
OK = sip("SIP/2.0 200 OK", sdp=True)
ACK = sip("ACK sip:bob@10.0.0.3 SIP/2.0", cseq="1 ACK")
BYE = sip("BYE sip:alice@10.0.0.1 SIP/2.0", cseq="2 BYE")
BYE_OK = sip("SIP/2.0 200 OK", cseq="2 BYE")

CALL = [
    Packet(0.0, ALICE, PROXY, INVITE),
    Packet(0.001, PROXY, BOB, INVITE),
    Packet(0.5, ALICE, PROXY, INVITE),
    Packet(0.7, BOB, PROXY, RINGING),
    Packet(0.701, PROXY, ALICE, RINGING),
    Packet(3.25, BOB, PROXY, OK),
    Packet(3.251, PROXY, ALICE, OK),
    Packet(3.3, ALICE, BOB, ACK),
    Packet(65.0, BOB, ALICE, BYE),
    Packet(65.02, ALICE, BOB, BYE_OK),
]
OTHER = [
    Packet(70.0, ALICE, PROXY, sip("REGISTER sip:b.example SIP/2.0", "r@b", "7 REGISTER")),
    Packet(70.1, PROXY, ALICE, sip("SIP/2.0 200 OK", "r@b", "7 REGISTER")),
    Packet(71.0, ALICE, PROXY, b"\x80" + bytes(20)),
]


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


def capture_agent(*arguments: object, folder: Path | None = None, **environment: str) -> Ended:
    """Run the command in a folder, as its own process, and never see this process's settings."""
    clean = {name: value for name, value in os.environ.items() if "__" not in name or "CAPTURE_AGENT" not in name}
    ended = subprocess.run(
        [sys.executable, "-m", "capture_agent", *map(str, arguments)],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def on_terminal(columns: int, *arguments: object) -> str:
    """What the command writes on a terminal without colours that is so wide."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "capture_agent", *map(str, arguments)]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment | {"TERM": "dumb"}) as running:
        os.close(end)
        written = b""
        while part := read_terminal(terminal):
            written += part
        running.wait(timeout=60)
    os.close(terminal)
    return written.decode()


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the other end is closed
        return b""
