"""Ethernet, IPv4, UDP and TCP, as far as the generated traffic needs them."""

from __future__ import annotations

import struct

ETHERNET = (
    bytes.fromhex("020000000002020000000001") + b"\x08\x00",
    bytes.fromhex("020000000001020000000002") + b"\x08\x00",
)
TCP, UDP = 6, 17
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


def ipv4(
    source: bytes, destination: bytes, protocol: int, payload: bytes, number: int = 0, fragment: int = DONT_FRAGMENT
) -> bytes:
    """With its checksum. `fragment`: flags, and the offset in units of eight bytes."""
    addresses = source + destination
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), number & 0xFFFF, fragment, 64, protocol)
    total = sum(struct.unpack("!8H", head[:10] + b"\0\0" + addresses[:4])) + sum(struct.unpack("!2H", addresses[4:]))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"".join((head, struct.pack("!H", checksum), addresses, payload))


def udp(source_port: int, destination_port: int, payload: bytes) -> bytes:
    """Without a checksum."""
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def tcp(ports: tuple[int, int], sequence: int, acknowledged: int, flags: int, payload: bytes = b"") -> bytes:
    """Without a checksum."""
    numbers = sequence & 0xFFFFFFFF, acknowledged & 0xFFFFFFFF
    return struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 64240, 0, 0) + payload


def frame(
    up: bool, source: bytes, destination: bytes, source_port: int, destination_port: int, payload: bytes
) -> bytes:
    """Ethernet, IPv4, UDP."""
    return ETHERNET[up] + ipv4(source, destination, UDP, udp(source_port, destination_port, payload))
