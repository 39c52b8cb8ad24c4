"""Capture files for tools and tests: read classic pcap, write pcap and pcapng.

Deliberately without code of capture_agent: tests of its reader must not use it to write files.
"""

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ETHERNET, RAW, NULL, LINUX_SLL, LINUX_SLL2 = 1, 101, 0, 113, 276  # https://www.tcpdump.org/linktypes.html
NANO_MAGIC, MICRO_MAGIC = 0xA1B23C4D, 0xA1B2C3D4
SNAPSHOT_LENGTH = 262144


@dataclass(frozen=True)
class Packet:
    time_ns: int
    frame: bytes
    wire_length: int = 0  # 0: nothing was cut off


@dataclass(frozen=True)
class Capture:
    link_type: int
    packets: list[Packet]


def read(path: Path) -> Capture:
    """A complete classic pcap file in this machine's byte order."""
    data = path.read_bytes()
    magic, link_type = struct.unpack_from("<I16xI", data)
    unit = {NANO_MAGIC: 1, MICRO_MAGIC: 1000}[magic]
    packets = []
    at = 24
    while at < len(data):
        seconds, fraction, length, wire = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + length]
        packets.append(Packet(seconds * 1_000_000_000 + fraction * unit, frame, wire))
        at += 16 + length
    return Capture(link_type, packets)


def merge(captures: Sequence[Capture]) -> Capture:
    packets = sorted((packet for capture in captures for packet in capture.packets), key=lambda p: p.time_ns)
    return Capture(captures[0].link_type, packets)


def pcap(capture: Capture, nano: bool = False, order: str = "<") -> bytes:
    unit = 1 if nano else 1000
    magic = NANO_MAGIC if nano else MICRO_MAGIC
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, SNAPSHOT_LENGTH, capture.link_type)]
    for packet in capture.packets:
        seconds, fraction = divmod(packet.time_ns, 1_000_000_000)
        wire = packet.wire_length or len(packet.frame)
        parts.append(struct.pack(f"{order}IIII", seconds, fraction // unit, len(packet.frame), wire) + packet.frame)
    return b"".join(parts)


def write(path: Path, capture: Capture, nano: bool = False) -> None:
    path.write_bytes(pcap(capture, nano))


def write_gzip(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, mtime=0))  # the same bytes every time


def write_pcapng(path: Path, captures: Sequence[Capture], names: Sequence[str]) -> None:
    """One interface per capture, nanoseconds, packets sorted by time."""
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for capture, name in zip(captures, names, strict=True):
        options = option(2, name.encode()) + option(9, b"\x09") + option(0, b"")  # if_name, if_tsresol 10^-9
        blocks.append(block(1, struct.pack("<HHI", capture.link_type, 0, SNAPSHOT_LENGTH) + options))
    numbered = [(packet, n) for n, capture in enumerate(captures) for packet in capture.packets]
    for packet, interface in sorted(numbered, key=lambda pair: pair[0].time_ns):
        high, low = divmod(packet.time_ns, 1 << 32)
        wire = packet.wire_length or len(packet.frame)
        head = struct.pack("<IIIII", interface, high, low, len(packet.frame), wire)
        blocks.append(block(6, head + padded(packet.frame)))
    path.write_bytes(b"".join(blocks))


def block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + padded(value)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
