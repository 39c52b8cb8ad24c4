"""The blocks of pcapng other than packets (draft-ietf-opsawg-pcapng): sections, interfaces, statistics, secrets."""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack_from

from capture_agent.records.frames import Interface
from capture_agent.sources.containers import CLOCK_ROW, PcapngWalker
from capture_agent.sources.source import INTERFACE, KERNEL, link_type

SECTION_HEADER = b"\n\r\r\n"
BYTE_ORDER_MAGICS = (bytes.fromhex("1a2b3c4d"), bytes.fromhex("4d3c2b1a"))
INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, DECRYPTION_SECRETS = 1, 5, 10
TLS_KEY_LOG = 0x544C534B  # a type of secrets: a key log

IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7
SIZES = {  # sizes of the fixed parts
    INTERFACE_DESCRIPTION: {IF_TSRESOL: 1, IF_TSOFFSET: 8},
    INTERFACE_STATISTICS: {ISB_IFDROP: 8, ISB_OSDROP: 8},
}
PLACES = {ISB_IFDROP: INTERFACE, ISB_OSDROP: KERNEL}

MICROSECONDS = 6
BINARY = 0x80
LARGEST_SHIFT, LARGEST_DECIMALS = 63, 19  # more ticks than that in one second do not fit 64 bits
LARGEST_OFFSET = 0xFFFF_FFFF  # seconds: later times are clamped anyway
MAX_INTERFACES = 65_536
LONGEST_NAME = 255

OnSecrets = Callable[[bytes], object]  # takes lines of a key log


class PcapngFormat:
    """How to walk a pcapng file, and what its damage means."""

    def __init__(self, on_secrets: OnSecrets | None = None) -> None:
        self._on_secrets = on_secrets
        self.walker = PcapngWalker()
        self.interfaces: list[Interface] = []
        self.start = 0
        self._numbers: dict[
            Interface, int
        ] = {}  # number of each interface; sections often describe the same ones again
        self._earlier: dict[str, int] = {}  # drops in earlier sections
        self._drops: dict[int, dict[str, int]] = {}  # drops in this section, by interface

    @property
    def dropped(self) -> dict[str, int]:
        """Drops in the interface statistics so far. They are totals: each interface's last one counts."""
        total = dict(self._earlier)
        for drops in self._drops.values():
            for place, count in drops.items():
                total[place] = total.get(place, 0) + count
        return total

    @property
    def _described(self) -> int:
        """How many interfaces this section has so far."""
        return len(self.walker.clocks) // CLOCK_ROW

    def read_block(self, block: bytes) -> str:
        """Process a block that is not a packet. Returns its problem, or an empty string."""
        order = ">" if self.walker.big_endian else "<"
        if block.startswith(SECTION_HEADER):
            return self._start_section(block, order)
        kind = unpack_from(order + "I", block)[0]
        if kind == INTERFACE_DESCRIPTION:
            return self._add_interface(block, order)
        if kind == DECRYPTION_SECRETS:
            return self._pass_on_secrets(block, order)
        return self._add_statistics(block, order)

    def _start_section(self, block: bytes, order: str) -> str:
        if len(block) < 28:
            return f"a section header of {len(block)} bytes, expected 28 or more"
        major, minor = unpack_from(order + "HH", block, 12)
        if major != 1:
            return f"unknown pcapng version {major}.{minor}, expected 1.0"
        self._earlier = self.dropped
        self._drops.clear()
        del self.walker.clocks[:]
        return ""

    def _add_interface(self, block: bytes, order: str) -> str:
        if len(block) < 20:
            return f"an interface description of {len(block)} bytes, expected 20 or more"
        kind, _, snapshot = unpack_from(order + "HHI", block, 8)
        found = options(block, 16, order, SIZES[INTERFACE_DESCRIPTION])
        resolution = found.get(IF_TSRESOL, bytes([MICROSECONDS]))[0]
        (offset,) = unpack_from(order + "q", found.get(IF_TSOFFSET, bytes(8)))
        binary, exponent = resolution & BINARY, resolution & ~BINARY
        if exponent > (LARGEST_SHIFT if binary else LARGEST_DECIMALS):
            return f"an interface whose time resolution is {2 if binary else 10}^-{exponent} s"
        coarse = (1 << exponent if binary else 10**exponent) <= 10**6
        name = found.get(IF_NAME, b"")[:LONGEST_NAME].decode("utf-8", "replace")
        number = self._number(Interface(name, link_type(kind), 6 if coarse else 9))
        if number >= MAX_INTERFACES or self._described >= MAX_INTERFACES:
            return f"more than {MAX_INTERFACES} interfaces"
        offset_ns = max(-LARGEST_OFFSET, min(offset, LARGEST_OFFSET)) * 10**9
        decimal = (-1, 10 ** max(9 - exponent, 0), 10 ** max(exponent - 9, 0))
        clock = (exponent, 1, 1) if binary else decimal
        self.walker.clocks.extend((number, snapshot, *clock, offset_ns))
        return ""

    def _number(self, interface: Interface) -> int:
        if interface not in self._numbers and len(self.interfaces) < MAX_INTERFACES:
            self._numbers[interface] = len(self.interfaces)
            self.interfaces.append(interface)
        return self._numbers.get(interface, MAX_INTERFACES)

    def _add_statistics(self, block: bytes, order: str) -> str:
        if len(block) < 24:
            return f"interface statistics of {len(block)} bytes, expected 24 or more"
        (interface,) = unpack_from(order + "I", block, 8)
        if interface < self._described:
            found = options(block, 20, order, SIZES[INTERFACE_STATISTICS])
            drops = self._drops.setdefault(interface, {})
            for code in PLACES.keys() & found:
                drops[PLACES[code]] = unpack_from(order + "Q", found[code])[0]
        return ""

    def _pass_on_secrets(self, block: bytes, order: str) -> str:
        if len(block) < 24:
            return f"decryption secrets of {len(block)} bytes, expected 24 or more"
        kind, size = unpack_from(order + "II", block, 8)
        if size > len(block) - 20:
            return f"decryption secrets of {size} bytes in a block of {len(block)}"
        if kind == TLS_KEY_LOG and self._on_secrets is not None:
            self._on_secrets(block[16 : 16 + size])
        return ""

    def damage(self) -> str:
        """The problem at which the walker has stopped."""
        return self.walker.stopped.value.format(value=self.walker.value)

    def cut(self, left: int) -> str:
        """The problem if the bytes end `left` bytes after the last complete block."""
        return f"the file ends inside a block, {left} of {self.walker.value} bytes are there"


def options(block: bytes, at: int, order: str, sizes: dict[int, int]) -> dict[int, bytes]:
    """The options from block[at] on, except those that have a wrong size or are cut off."""
    found: dict[int, bytes] = {}
    end = len(block) - 4
    while at + 4 <= end:
        code, size = unpack_from(order + "HH", block, at)
        at += 4
        if code == 0 or at + size > end:
            break
        if sizes.get(code, size) == size:
            found.setdefault(code, block[at : at + size])
        at += (size + 3) & ~3
    return found
