"""Which of some networks an address is in. Hot: compiled with networks.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import cython

if not cython.compiled:
    NONE = -1
    WORDS = 7  # of an entry: bytes of an address, port, number, and mask and address in two words each

HALF = 0xFFFFFFFF_FFFFFFFF

SHORT_WORDS = cython.declare(cython.Py_ssize_t, 4)  # of one for IPv4: mask, address, port, number

Entry = tuple[IPv4Network | IPv6Network, int, int]


def as_read(address: IPv4Address) -> int:
    """Its bytes as this machine reads them."""
    return int.from_bytes(address.packed, sys.byteorder)


@cython.final
@cython.cclass
class Networks:
    """An ordered list of networks, each with a number and a port (0: on any); the first one that fits counts.

    A miss costs as many comparisons as there are networks.
    """

    __slots__ = ("_short", "_short_count", "_table", "count")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        entries = tuple(entries)
        table = array("Q")
        for network, port, number in entries:
            mask, address = int(network.netmask), int(network.network_address)
            table.extend(
                (network.max_prefixlen // 8, port, number, mask >> 64, address >> 64, mask & HALF, address & HALF)
            )
        self._table = table
        self.count = len(table) // WORDS
        short = array("Q")
        for network, port, number in entries:
            if network.version == 4:
                short.extend((as_read(network.netmask), as_read(network.network_address), port, number))
        self._short = short
        self._short_count = len(short) // SHORT_WORDS

    def find(self, data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t, port: cython.int) -> cython.int:
        """The number of the network that the address data[at:at + size] is in; NONE: it is in none of them."""
        high: cython.ulonglong = 0
        low: cython.ulonglong = 0
        _: cython.Py_ssize_t
        if at < 0 or at + size > len(data) or (size != 4 and size != 16):
            return NONE
        if cython.compiled and size == 4:
            return self._find_short(data, at, port)
        if not cython.compiled:
            high, low = divmod(int.from_bytes(data[at : at + size], "big"), 1 << 64)
            return self._plain(size, high, low, port)
        text: cython.p_char = data
        memcpy(cython.address(high), text + at, 8)
        memcpy(cython.address(low), text + at + 8, 8)
        high = in_order_of_host(high)
        low = in_order_of_host(low)
        entry: cython.pointer(cython.ulonglong) = self._table.data.as_ulonglongs  # type: ignore[valid-type]
        for _ in range(self.count):
            if (
                entry[0] == cython.cast(cython.ulonglong, size)
                and low & entry[5] == entry[6]
                and high & entry[3] == entry[4]
                and (entry[1] == 0 or entry[1] == cython.cast(cython.ulonglong, port))
            ):
                return entry[2]
            entry += WORDS
        return NONE

    def _find_short(self, data: bytes, at: cython.Py_ssize_t, port: cython.int) -> cython.int:
        """Compiled only: of an IPv4 address, within bounds."""
        address: cython.uint = 0
        _: cython.Py_ssize_t
        text: cython.p_char = PyBytes_AS_STRING(data)
        memcpy(cython.address(address), text + at, 4)
        entry: cython.pointer(cython.ulonglong) = self._short.data.as_ulonglongs  # type: ignore[valid-type]
        for _ in range(self._short_count):
            if address & entry[0] == entry[1] and (entry[2] == 0 or entry[2] == cython.cast(cython.ulonglong, port)):
                return entry[3]
            entry += SHORT_WORDS
        return NONE

    def _plain(self, size: int, high: int, low: int, port: int) -> int:
        words = iter(self._table)
        for bytes_of, one, number, mask_high, address_high, mask_low, address_low in zip(*[words] * WORDS, strict=True):
            fits = low & mask_low == address_low and high & mask_high == address_high
            if bytes_of == size and fits and one in (0, port):
                return number
        return NONE

    def number(self, address: bytes, port: int = 0) -> int:
        """For callers that are not compiled: of a packed address."""
        return self.find(address, 0, len(address), port)
