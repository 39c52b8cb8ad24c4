"""The features of a network card that are on, as `ethtool -k` lists them, from the kernel. Linux."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946  # linux/sockios.h
# linux/ethtool.h
GET_STRINGS, GET_SET_SIZES, GET_FEATURES = 0x1B, 0x37, 0x3A
FEATURE_NAMES = 4  # ETH_SS_FEATURES
NAME_SIZE = 32
BLOCK = struct.Struct("=IIII")  # available, requested, active, never changed: of 32 features
MOST = 1024  # features; kernels have some sixty


def features(interface: str) -> frozenset[str]:
    """The names of those that are active. Raises OSError: no such interface, or one without them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        count = feature_count(any_socket, interface)
        names = ask(any_socket, interface, struct.pack("=III", GET_STRINGS, FEATURE_NAMES, count), count * NAME_SIZE)
        blocks = -(-count // 32)
        bits = ask(any_socket, interface, struct.pack("=II", GET_FEATURES, blocks), blocks * BLOCK.size)
    active = [BLOCK.unpack_from(bits, 8 + n * BLOCK.size)[2] for n in range(blocks)]
    found = (names[12 + n * NAME_SIZE : 12 + (n + 1) * NAME_SIZE].split(b"\0")[0] for n in range(count))
    return frozenset(name.decode("ascii", "replace") for n, name in enumerate(found) if active[n // 32] >> n % 32 & 1)


def feature_count(any_socket: socket.socket, interface: str) -> int:
    request = struct.pack("=IIQ", GET_SET_SIZES, 0, 1 << FEATURE_NAMES)
    answer = ask(any_socket, interface, request, 4)
    return min(MOST, int(struct.unpack_from("=I", answer, len(request))[0]))


def ask(any_socket: socket.socket, interface: str, request: bytes, room: int) -> bytes:
    """The request as filled in by the kernel, with this many more bytes. Raises OSError."""
    buffer = ctypes.create_string_buffer(request, len(request) + room)
    name = interface.encode()[:15]
    fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", name, ctypes.addressof(buffer)) + bytes(16))
    return buffer.raw
