"""Capture files of every kind, built byte by byte, and their expected content."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from struct import pack

from capture_agent.records.frames import FRAME_INTERFACE, FRAME_ROW, FRAME_TIME_NS, FRAME_WIRE_LENGTH
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError

SECOND = 10**9
T0 = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Packet:
    """A frame as it should come out."""

    data: bytes
    time_ns: int = T0
    wire: int = -1  # -1: as long as data
    interface: int = 0

    @property
    def wire_length(self) -> int:
        return len(self.data) if self.wire < 0 else self.wire


PACKETS = [
    Packet(b"first frame", T0 + 1_000),
    Packet(b"", T0 + 2_345_678_000),
    Packet(b"cut short", T0 + 3 * SECOND + 999_999_000, wire=1500),
]
NANO_PACKETS = [Packet(p.data, p.time_ns + 1 + n, p.wire) for n, p in enumerate(PACKETS)]


def pcap_header(order: str = "<", magic: int = 0xA1B2C3D4, network: int = 1, minor: int = 4, major: int = 2) -> bytes:
    return pack(order + "IHHiIII", magic, major, minor, 0, 0, 262144, network)


def pcap_record(packet: Packet, order: str = "<", unit: int = 1000, extra: bytes = b"") -> bytes:
    seconds, fraction = divmod(packet.time_ns, SECOND)
    lengths = (len(packet.data), packet.wire_length)
    return pack(order + "IIII", seconds, fraction // unit, *lengths) + extra + packet.data


def pcap(packets: Iterable[Packet], order: str = "<", unit: int = 1000) -> bytes:
    magic = 0xA1B23C4D if unit == 1 else 0xA1B2C3D4
    return pcap_header(order, magic) + b"".join(pcap_record(packet, order, unit) for packet in packets)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = pack(order + "I", len(body) + 12)
    return pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", major: int = 1) -> bytes:
    return block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1) + option(4, b"a test", order), order)


def interface(
    link_type: int = 1,
    order: str = "<",
    name: bytes = b"",
    snapshot: int = 0,
    resolution: int | None = None,
    offset: int | None = None,
) -> bytes:
    options = option(1, b"a comment", order)
    if name:
        options += option(2, name, order)
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if offset is not None:
        options += option(14, pack(order + "q", offset), order)
    return block(1, pack(order + "HHI", link_type, 0, snapshot) + options + option(0, b"", order), order)


def enhanced(packet: Packet, order: str = "<", ticks: int | None = None, interface_id: int | None = None) -> bytes:
    ticks = packet.time_ns // 1000 if ticks is None else ticks
    number = packet.interface if interface_id is None else interface_id
    fixed = pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet.data), packet.wire_length)
    data = packet.data + bytes(-len(packet.data) % 4)
    return block(6, fixed + data + option(1, b"packet comment", order), order)


def obsolete(packet: Packet, order: str = "<") -> bytes:
    ticks = packet.time_ns // 1000
    lengths = (len(packet.data), packet.wire_length)
    fixed = pack(order + "HHIIII", packet.interface, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, *lengths)
    return block(2, fixed + packet.data, order)


def simple(packet: Packet, order: str = "<") -> bytes:
    return block(3, pack(order + "I", packet.wire_length) + packet.data, order)


def statistics(interface_id: int, order: str = "<", **drops: int) -> bytes:
    codes = {"interface": 5, "kernel": 7}
    options = b"".join(option(codes[place], pack(order + "Q", count), order) for place, count in drops.items())
    return block(5, pack(order + "III", interface_id, 0, 0) + option(4, bytes(8), order) + options, order)


def pcapng(packets: Iterable[Packet], order: str = "<") -> bytes:
    return section(order) + interface(order=order) + b"".join(enhanced(packet, order) for packet in packets)


def packets_of(source: CaptureFile) -> list[Packet]:
    """All of it; raises what the source raises."""
    found: list[Packet] = []
    read_into(source, found)
    return found


def read_into(source: CaptureFile, found: list[Packet]) -> None:
    for frames in source.batches():
        assert frames.first_number == len(found) + 1
        for n in range(len(frames)):
            row = frames.index[n * FRAME_ROW : (n + 1) * FRAME_ROW]
            found.append(Packet(frames.frame(n), row[FRAME_TIME_NS], row[FRAME_WIRE_LENGTH], row[FRAME_INTERFACE]))


def read(path: Path | str) -> tuple[list[Packet], SourceError | None]:
    """The frames before an error, and the error."""
    found: list[Packet] = []
    try:
        with CaptureFile(path) as source:
            read_into(source, found)
    except SourceError as error:
        return found, error
    return found, None


def same(found: list[Packet], wanted: list[Packet]) -> bool:
    return [(p.data, p.time_ns, p.wire_length, p.interface) for p in found] == [
        (p.data, p.time_ns, p.wire_length, p.interface) for p in wanted
    ]


def unprivileged(prepare: str) -> str:
    """The error of `open_it(path)` for a user without permissions: SourceError.usage and its text."""
    script = f"""
import os
from capture_agent.sources.source import SourceError
{prepare}
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    open_it(path)
except SourceError as error:
    print(error.usage, error)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
