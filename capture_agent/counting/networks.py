"""Which of some networks an address is in. Hot: compiled with networks.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, attr-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from ipaddress import IPv4Network, IPv6Network
from operator import itemgetter

import cython

if not cython.compiled:
    NONE = -1
    WORDS = 3  # of a range: its first address in two words, and its number plus 1
    ENTRY_WORDS = 7  # mask and address in two words each, bytes of an address, port, number

HALF = 0xFFFFFFFF_FFFFFFFF

Entry = tuple[IPv4Network | IPv6Network, int, int]


@cython.final
@cython.cclass
class Networks:
    """An ordered list of networks, each with a number and a port (0: on any); the first one that fits counts.

    A search costs the logarithm of their number: they become ranges of addresses that do not overlap. Where one has a
    port, each is compared instead.
    """

    __slots__ = ("_compared", "_long", "_ranges", "_short", "_with_ports", "count")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        entries = tuple(entries)
        self.count = len(entries)
        self._with_ports = any(port for _, port, _ in entries)
        self._compared = array("Q")
        for network, port, number in entries:
            for one in (int(network.netmask), int(network.network_address)):
                self._compared.extend((one >> 64, one & HALF))
            self._compared.extend((network.max_prefixlen // 8, port, number))
        self._ranges = {size: ranges_of(entries, size) for size in (4, 16)}
        self._short = array("Q", [first << 32 | number + 1 for first, number in self._ranges[4]])
        self._long = array("Q")
        for first, number in self._ranges[16]:
            self._long.extend((first >> 64, first & HALF, number + 1))
        if cython.compiled:
            self.table.with_ports = self._with_ports
            self.table.entries = self._compared.data.as_ulonglongs
            self.table.count = self.count
            self.table.ranges4 = self._short.data.as_ulonglongs
            self.table.ranges16 = self._long.data.as_ulonglongs
            self.table.count16 = len(self._long) // WORDS
            for first in range(256):
                self.table.low[first] = bisect_right(self._short, first << 56 | 0xFFFFFFFF) - 1
                self.table.high[first] = bisect_right(self._short, first << 56 | 0xFFFFFF_FFFFFFFF) - 1

    def find(self, data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t, port: cython.int) -> cython.int:
        """The number of the network that the address data[at:at + size] is in; NONE: it is in none of them."""
        if at < 0 or at + size > len(data) or (size != 4 and size != 16):
            return NONE
        if not cython.compiled:
            return self._plain(int.from_bytes(data[at : at + size], "big"), size, port)
        return number_at(cython.address(self.table), PyBytes_AS_STRING(data) + at, size, port)

    def _plain(self, address: int, size: int, port: int) -> int:
        if not self._with_ports:
            return self._ranges[size][bisect_right(self._ranges[size], address, key=itemgetter(0)) - 1][1]
        words = iter(self._compared)
        for high, low, first, second, bytes_of, one, number in zip(*[words] * ENTRY_WORDS, strict=True):
            if bytes_of == size and one in (0, port) and address & (high << 64 | low) == first << 64 | second:
                return number
        return NONE

    def number(self, address: bytes, port: int = 0) -> int:
        """For callers that are not compiled: of a packed address."""
        return self.find(address, 0, len(address), port)


def ranges_of(entries: Sequence[Entry], size: int) -> list[tuple[int, int]]:
    """The first address of each range and its number, ascending, from address 0 on: of networks of this size."""
    spans = sorted(
        (int(network.network_address), order, int(network.broadcast_address), number)
        for order, (network, _, number) in enumerate(entries)
        if network.max_prefixlen == size * 8
    )
    ranges = [(0, NONE)]
    inside: list[tuple[int, int, int]] = []
    upcoming = 0
    for first in sorted({edge for span in spans for edge in (span[0], span[2] + 1)}):
        while upcoming < len(spans) and spans[upcoming][0] == first:
            _, order, last, number = spans[upcoming]
            heappush(inside, (order, last, number))
            upcoming += 1
        while inside and inside[0][1] < first:
            heappop(inside)
        number = inside[0][2] if inside else NONE
        if first == 0:
            ranges = [(0, number)]
        elif number != ranges[-1][1] and first < 1 << size * 8:
            ranges.append((first, number))
    return ranges
