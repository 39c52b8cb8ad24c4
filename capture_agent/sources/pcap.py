"""The file header of pcap (draft-ietf-opsawg-pcap), and its older and modified variants."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from capture_agent.records.frames import Interface
from capture_agent.sources.containers import PcapWalker, Stop
from capture_agent.sources.source import MAXIMUM_SNAPSHOT, SourceError, link_type

HEADER_SIZE = 24
LINK_TYPE_MASK = 0x03FF_FFFF  # above it: the length of the frame check sequence


class Variant(NamedTuple):
    """The variant that a magic number names."""

    big_endian: bool
    unit_ns: int
    record_header: int = 16


VARIANTS = {
    bytes.fromhex("a1b2c3d4"): Variant(True, 1000),
    bytes.fromhex("d4c3b2a1"): Variant(False, 1000),
    bytes.fromhex("a1b23c4d"): Variant(True, 1),
    bytes.fromhex("4d3cb2a1"): Variant(False, 1),
    # Alexey Kuznetsov's patched libpcap: interface, protocol and packet type after the lengths
    bytes.fromhex("a1b2cd34"): Variant(True, 1000, record_header=24),
    bytes.fromhex("34cdb2a1"): Variant(False, 1000, record_header=24),
}


class PcapFormat:
    """How to walk a pcap file, and what its damage means."""

    def __init__(self, header: bytes, name: str) -> None:
        variant = VARIANTS[header[:4]]
        order = ">" if variant.big_endian else "<"
        major, minor, _, _, _, network = Struct(order + "HHiIII").unpack_from(header, 4)
        if major != 2 or minor > 4:
            raise SourceError(f"{name}: unknown pcap version {major}.{minor}, expected 2.4", usage=True)
        self.walker = PcapWalker(variant.big_endian, variant.unit_ns, variant.record_header, minor)
        decimals = 9 if variant.unit_ns == 1 else 6
        self.interfaces = [Interface("", link_type(network & LINK_TYPE_MASK), decimals)]
        self.start = HEADER_SIZE
        self.dropped: dict[str, int] = {}

    def read_block(self, data: bytes) -> str:
        raise AssertionError("pcap has no blocks")

    def damage(self) -> str:
        """The problem at which the walker has stopped."""
        captured = self.walker.value
        swapped = int.from_bytes(captured.to_bytes(4, "big"), "little")
        hint = ""
        if self.walker.stopped is Stop.CAPTURED and swapped <= MAXIMUM_SNAPSHOT:
            orders = ("big", "little") if self.walker.big_endian else ("little", "big")
            hint = " (the file header is {}-endian, the record seems to be {}-endian)".format(*orders)
        return self.walker.stopped.value.format(value=captured) + hint

    def cut(self, left: int) -> str:
        """The problem if the bytes end `left` bytes after the last complete record."""
        return f"the file ends inside a packet record, {left} of {self.walker.value} bytes are there"
