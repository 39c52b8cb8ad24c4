"""Wraps data from sockets in IP packets, so that everything takes the same data path."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from struct import Struct

from capture_agent.records.frames import Frames, Interface

RAW_IP = 101  # LINKTYPE_RAW
UDP, TCP = 17, 6
SYN, ACK, FIN = 0x02, 0x10, 0x01

IPV4 = Struct("!BBHHHBBH4s4s")  # RFC 791
IPV6 = Struct("!IHBB16s16s")  # RFC 8200
UDP_HEADER = Struct("!HHHH")  # RFC 768
TCP_HEADER = Struct("!HHIIBBHHH")  # RFC 9293

LONGEST_SEGMENT = 65_535 - 20 - TCP_HEADER.size


@dataclass(frozen=True, slots=True)
class Ends:
    """Source and destination: packed addresses of one family, and ports."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int


def udp(ends: Ends, payload: bytes) -> bytes:
    """A packet with this datagram; checksums are zero, as nobody reads them."""
    header = UDP_HEADER.pack(ends.source_port, ends.destination_port, UDP_HEADER.size + len(payload), 0)
    return ip(ends, UDP, header + payload)


def tcp(ends: Ends, sequence: int, flags: int, payload: bytes = b"") -> bytes:
    """A packet with this segment; `sequence` may exceed 32 bits."""
    window = 65_535
    offset = TCP_HEADER.size // 4 << 4
    header = TCP_HEADER.pack(
        ends.source_port, ends.destination_port, sequence & 0xFFFFFFFF, 0, offset, flags, window, 0, 0
    )
    return ip(ends, TCP, header + payload)


def ip(ends: Ends, protocol: int, payload: bytes) -> bytes:
    if len(ends.source) == 4:
        length = IPV4.size + len(payload)
        return IPV4.pack(0x45, 0, length, 0, 0, 64, protocol, 0, ends.source, ends.destination) + payload
    return IPV6.pack(6 << 28, len(payload), protocol, 64, ends.source, ends.destination) + payload


class Batches:
    """Collects packets into batches with consecutive frame numbers."""

    def __init__(self, name: str, link_type: int = RAW_IP) -> None:
        self._interfaces = [Interface(name, link_type, time_decimals=9, built=True)]
        self._number = 1
        self._clear()

    def _clear(self) -> None:
        self._packets: list[bytes] = []
        self._index = array("q")
        self._length = 0

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, packet: bytes, time_ns: int) -> None:
        self._index.extend((self._length, len(packet), len(packet), time_ns, 0))
        self._packets.append(packet)
        self._length += len(packet)

    def take(self) -> Frames:
        """The packets added since the last call; the batch may be empty."""
        frames = Frames(b"".join(self._packets), self._index, len(self._packets), self._interfaces, self._number)
        self._number += len(self._packets)
        self._clear()
        return frames
