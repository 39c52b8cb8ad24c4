"""Keys of the directions of connections: addresses, then ports. Hot: compiled, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram

PORTS = cython.declare(cython.int, 4)  # bytes at the end of a key


def key_of(datagram: Datagram) -> bytes:
    """Of one direction of a connection: addresses and ports. Neither interface nor VLAN, for what is seen twice."""
    at: cython.Py_ssize_t = datagram.address_at
    size: cython.Py_ssize_t = 2 * datagram.address_size
    source: cython.int = datagram.source_port
    destination: cython.int = datagram.destination_port
    if at < 0 or not 0 <= size <= 32 or at + size > len(datagram.data):
        raise ValueError(f"addresses of {size} bytes at {at} lie outside of {len(datagram.data)} bytes")
    if not cython.compiled:
        return datagram.data[at : at + size] + bytes((source >> 8, source & 255, destination >> 8, destination & 255))
    # A bytes object may be filled by who has made it, before anybody else sees it.
    key: bytes = PyBytes_FromStringAndSize(cython.NULL, size + PORTS)  # type: ignore[name-defined]  # noqa: F821 - cimported
    into: cython.p_uchar = cython.cast(cython.p_uchar, key)
    text: cython.p_char = datagram.data
    memcpy(into, text + at, size)  # type: ignore[name-defined]  # noqa: F821 - cimported
    into[size] = source >> 8 & 0xFF
    into[size + 1] = source & 0xFF
    into[size + 2] = destination >> 8 & 0xFF
    into[size + 3] = destination & 0xFF
    return key


def addresses_in(key: bytes) -> bytes:
    return key[: len(key) - PORTS]


def opposite(key: bytes) -> bytes:
    """Of the other direction of the same connection."""
    half = (len(key) - PORTS) // 2
    ports = 2 * half
    return key[half:ports] + key[:half] + key[ports + 2 :] + key[ports : ports + 2]
