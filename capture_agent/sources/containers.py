"""Walks over the records in a buffer of a capture. Hot: compiled with containers.pxd, or plain Python.

A walker gets a buffer and writes a row of Frames.index for each complete frame in it. When it stops, `stopped` is the
reason, `at` the record's offset, and `value` the bytes that the record needs or the number that is wrong.
pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import sys
from array import array
from enum import Enum
from struct import Struct

import cython

from capture_agent.sources.source import MAXIMUM_SNAPSHOT

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.frames import (
        FRAME_INTERFACE,
        FRAME_LENGTH,
        FRAME_ROW,
        FRAME_START,
        FRAME_TIME_NS,
        FRAME_WIRE_LENGTH,
    )

# The first words of a pcap file, in either byte order: 2.4 is the version since 1998.
FILE_MAGICS = frozenset((0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1, 0xA1B2CD34, 0x34CDB2A1))
FILE_WORDS = Struct("<II")
FILE_VERSIONS = frozenset((0x0002_0004, 0x0400_0200, 0x0004_0002, 0x0200_0400))

LONGEST_FRAME = cython.declare(cython.longlong, MAXIMUM_SNAPSHOT)
LONGEST_BLOCK = cython.declare(cython.longlong, 16 * 1024 * 1024)  # as in libpcap and Wireshark
SMALLEST_BLOCK = cython.declare(cython.longlong, 12)

SECTION_HEADER = cython.declare(cython.longlong, 0x0A0D0D0A)  # reads the same in both byte orders
INTERFACE_DESCRIPTION = cython.declare(cython.longlong, 1)
OBSOLETE_PACKET = cython.declare(cython.longlong, 2)
SIMPLE_PACKET = cython.declare(cython.longlong, 3)
STATISTICS = cython.declare(cython.longlong, 5)
SECRETS = cython.declare(cython.longlong, 10)
ENHANCED_PACKET = cython.declare(cython.longlong, 6)
PACKET_HEADER = cython.declare(cython.longlong, 28)
SIMPLE_HEADER = cython.declare(cython.longlong, 12)
BYTE_ORDER = cython.declare(cython.longlong, 0x1A2B3C4D)
BYTE_ORDER_SWAPPED = cython.declare(cython.longlong, 0x4D3C2B1A)

# A row of PcapngWalker.clocks, one per interface of the section:
# its number in Frames.interfaces · the snap length, 0 for none · a tick is 2^-shift s, or with shift -1
# multiply / divide ns · ns to add
CLOCK_ROW = 6
INTERFACE_NUMBER, SNAPSHOT, SHIFT, MULTIPLY, DIVIDE, OFFSET = range(CLOCK_ROW)
CLOCK = cython.declare(cython.int, CLOCK_ROW)

SECOND = cython.declare(cython.ulonglong, 1_000_000_000)
LOW = cython.declare(cython.ulonglong, 0xFFFFFFFF)
# pcap and HEP have 32 bits for seconds. A later timestamp is wrong, but its packet may be right.
LATEST_SECOND = cython.declare(cython.ulonglong, 0xFFFFFFFF)
LATEST = cython.declare(cython.longlong, 4_294_967_295_999_999_999)
LATEST_TICKS = cython.declare(cython.ulonglong, 4_294_967_295_999_999_999)

NATIVE_BIG = cython.declare(cython.bint, sys.byteorder == "big")
LIVE_RECORD = Struct("=IIII")
ROW_OF = Struct("qqqqq")  # a whole row, for the plain build
LIVE_RECORD_SIZE = cython.declare(cython.Py_ssize_t, 16)


class Stop(Enum):
    """Why a walk has stopped."""

    MORE = "the record is incomplete"
    FULL = "the index is full"
    BLOCK = "a block that is not a packet"
    CAPTURED = "a packet record claims {value} captured bytes, more than 262144"
    BLOCK_LENGTH = "a block claims a length of {value} bytes: not a multiple of 4, or too small for its kind"
    BLOCK_TOO_LONG = "a block claims a length of {value} bytes, more than 16 MiB"
    BLOCK_ENDS = "the two lengths of a block differ, the one at its end is {value} bytes"
    BLOCK_CAPTURED = "a packet block claims {value} captured bytes, more than it holds"
    MAGIC = "a section header has the byte-order magic {value:#010x}, not 0x1a2b3c4d"
    FILE_HEADER = "another capture file begins, and ends inside its header"
    HEP = "what follows is not a HEP packet, or claims a length of {value} bytes"
    UNKNOWN_INTERFACE = "a packet of interface {value}, which the section has not described"


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def u32(data: bytes, at: cython.Py_ssize_t, big_endian: cython.bint) -> cython.longlong:
    """Compiled only: the plain build unpacks a whole record at once."""
    if not 0 <= at < len(data) - 3:
        raise IndexError("a number outside of its buffer")
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(data)) + at  # type: ignore[name-defined]  # noqa: F821 - cimported
    a: cython.uint = text[0]
    b: cython.uint = text[1]
    c: cython.uint = text[2]
    d: cython.uint = text[3]
    if big_endian:
        return a << 24 | b << 16 | c << 8 | d
    return d << 24 | c << 16 | b << 8 | a


@cython.cfunc
@cython.inline
def ticks_to_ns(
    ticks: cython.ulonglong,
    shift: cython.longlong,
    multiply: cython.ulonglong,
    divide: cython.ulonglong,
    offset: cython.longlong,
) -> cython.longlong:
    """Exact, in 64 bits, for every resolution of if_tsresol; clamped to 32 bits of seconds."""
    seconds: cython.ulonglong
    fraction: cython.ulonglong
    time_ns: cython.longlong
    if shift < 0:
        ticks = ticks // divide
        time_ns = LATEST if ticks > LATEST_TICKS // multiply else ticks * multiply
    else:
        seconds = ticks >> shift
        fraction = ticks - (seconds << shift)
        if shift < 32:
            fraction = fraction * SECOND >> shift
        else:
            fraction = ((fraction >> 32) * SECOND + ((fraction & LOW) * SECOND >> 32)) >> (shift - 32)
        time_ns = LATEST if seconds > LATEST_SECOND else seconds * SECOND + fraction
    time_ns += offset
    if time_ns < 0:
        return 0
    return time_ns if time_ns < LATEST else LATEST


@cython.cfunc
def starts_file(data: bytes, at: cython.Py_ssize_t) -> cython.bint:
    """Whether an empty record is really another pcap file's header: magic, version, zone 0, accuracy 0."""
    magic, version = FILE_WORDS.unpack_from(data, at)
    return magic in FILE_MAGICS and version in FILE_VERSIONS


@cython.final
@cython.cclass
class PcapWalker:
    """Walks over the packet records of one pcap file."""

    __slots__ = (
        "_header",
        "_header_size",
        "_lengths_mixed",
        "_lengths_swapped",
        "_unit",
        "at",
        "big_endian",
        "stopped",
        "value",
    )

    def __init__(self, big_endian: bool, unit_ns: int, header_size: int, minor_version: int) -> None:
        self.big_endian = big_endian
        self._unit = unit_ns
        self._header_size = header_size
        # Version 2.3 exchanged the two lengths, but not in every writer (libpcap, sf-pcap.c).
        self._lengths_swapped = minor_version < 3
        self._lengths_mixed = minor_version == 3
        self._header = Struct((">" if big_endian else "<") + "IIII")
        self.stopped = Stop.MORE
        self.at = 0
        self.value = 0

    def walk(
        self, data: bytes, at: cython.Py_ssize_t, index: array[int], limit: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Index up to `limit` frames from data[at] on; returns how many there were."""
        rows = index  # typed in the .pxd
        unpack = self._header.unpack_from
        end: cython.Py_ssize_t = len(data)
        header_size: cython.Py_ssize_t = self._header_size
        big_endian: cython.bint = self.big_endian
        seconds: cython.longlong
        fraction: cython.longlong
        captured: cython.longlong
        wire: cython.longlong
        time_ns: cython.longlong
        row: cython.Py_ssize_t
        count: cython.Py_ssize_t = 0
        while count < limit:
            if end - at < header_size:
                return self._stop(Stop.MORE, at, header_size, count)
            if cython.compiled:
                seconds = u32(data, at, big_endian)
                fraction = u32(data, at + 4, big_endian)
                captured = u32(data, at + 8, big_endian)
                wire = u32(data, at + 12, big_endian)
            else:
                seconds, fraction, captured, wire = unpack(data, at)
            if self._lengths_swapped or (self._lengths_mixed and captured > wire):
                captured, wire = wire, captured
            if not 0 < captured <= LONGEST_FRAME:  # one comparison for both rare cases
                if captured:
                    return self._stop(Stop.CAPTURED, at, captured, count)
                if not wire and starts_file(data, at):
                    return self._stop(Stop.FILE_HEADER, at, 0, count)
            if captured > end - at - header_size:
                return self._stop(Stop.MORE, at, header_size + captured, count)
            row = count * FRAME_ROW
            time_ns = seconds * 1_000_000_000 + fraction * self._unit
            time_ns = time_ns if time_ns < LATEST else LATEST
            if cython.compiled:
                rows[row + FRAME_START] = at + header_size
                rows[row + FRAME_LENGTH] = captured
                rows[row + FRAME_WIRE_LENGTH] = wire
                rows[row + FRAME_TIME_NS] = time_ns
                rows[row + FRAME_INTERFACE] = 0
            else:
                ROW_OF.pack_into(rows, count * ROW_OF.size, at + header_size, captured, wire, time_ns, 0)
            at += header_size + captured
            count += 1
        return self._stop(Stop.FULL, at, 0, count)

    def _stop(
        self, why: Stop, at: cython.Py_ssize_t, value: cython.longlong, count: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        self.stopped = why
        self.at = at
        self.value = value
        return count


@cython.final
@cython.cclass
class PcapngWalker:
    """Walks over the blocks of one pcapng file. The reader of interface descriptions fills in `clocks`."""

    __slots__ = (
        "_block",
        "_captured",
        "_header_size",
        "_kind",
        "_length",
        "_packet",
        "_time_ns",
        "_wire",
        "_word",
        "at",
        "big_endian",
        "clocks",
        "stopped",
        "value",
    )

    def __init__(self) -> None:
        self.clocks = array("q")
        self._kind = self._length = self._header_size = self._captured = self._wire = self._time_ns = 0
        self._set_order(False)
        self.stopped = Stop.MORE
        self.at = 0
        self.value = 0

    def walk(
        self, data: bytes, at: cython.Py_ssize_t, index: array[int], limit: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Index up to `limit` frames from data[at] on; returns how many there were.

        Stops at each block that Python has to read; `value` is then its length. At a section header the byte order
        is already the new section's.
        """
        rows = index  # typed in the .pxd
        clocks = self.clocks
        why: object
        clock: cython.Py_ssize_t
        row: cython.Py_ssize_t
        count: cython.Py_ssize_t = 0
        self.at = at
        while count < limit:
            why = self._enter_block(data, self.at)
            if why is not None:
                self.stopped = why
                return count
            if self._kind == ENHANCED_PACKET or self._kind == SIMPLE_PACKET or self._kind == OBSOLETE_PACKET:
                clock = self._enter_packet(data, self.at, clocks)
                if clock < 0:
                    return count
                row = count * FRAME_ROW
                rows[row + FRAME_START] = self.at + self._header_size
                rows[row + FRAME_LENGTH] = self._captured
                rows[row + FRAME_WIRE_LENGTH] = self._wire
                rows[row + FRAME_TIME_NS] = self._time_ns
                rows[row + FRAME_INTERFACE] = clocks[clock + INTERFACE_NUMBER]
                count += 1
            self.at += self._length
        self.stopped = Stop.FULL
        return count

    def _set_order(self, big_endian: cython.bint) -> cython.void:
        order = ">" if big_endian else "<"
        self.big_endian = big_endian
        self._block = Struct(order + "III")
        self._packet = Struct(order + "IIIII")
        self._word = Struct(order + "I")

    def _enter_block(self, data: bytes, at: cython.Py_ssize_t) -> Stop | None:
        """Read the frame of a block; None, or why to stop at it."""
        left: cython.longlong = len(data) - at
        self.value = SMALLEST_BLOCK
        if left < SMALLEST_BLOCK:
            return Stop.MORE
        self._read_header(data, at)
        if self._kind == SECTION_HEADER and self.value != BYTE_ORDER:
            if self.value != BYTE_ORDER_SWAPPED:
                return Stop.MAGIC
            self._set_order(not self.big_endian)
            self._read_header(data, at)
        self.value = self._length
        if self._kind > SECTION_HEADER and self._kind in FILE_MAGICS and self._length in FILE_VERSIONS:
            return Stop.FILE_HEADER
        if self._length < SMALLEST_BLOCK or self._length % 4 != 0:
            return Stop.BLOCK_LENGTH
        if self._length > LONGEST_BLOCK:
            return Stop.BLOCK_TOO_LONG
        if self._length > left:
            return Stop.MORE
        if cython.compiled:
            self.value = u32(data, at + self._length - 4, self.big_endian)
        else:
            (self.value,) = self._word.unpack_from(data, at + self._length - 4)
        if self.value != self._length:
            return Stop.BLOCK_ENDS
        if self._kind == SECTION_HEADER or self._kind == INTERFACE_DESCRIPTION:
            return Stop.BLOCK
        if self._kind == STATISTICS or self._kind == SECRETS:
            return Stop.BLOCK
        return None

    def _read_header(self, data: bytes, at: cython.Py_ssize_t) -> cython.void:
        """A block's kind and length, and the word after them."""
        if cython.compiled:
            self._kind = u32(data, at, self.big_endian)
            self._length = u32(data, at + 4, self.big_endian)
            self.value = u32(data, at + 8, self.big_endian)
        else:
            self._kind, self._length, self.value = self._block.unpack_from(data, at)

    def _enter_packet(self, data: bytes, at: cython.Py_ssize_t, clocks: array[int]) -> cython.Py_ssize_t:
        """Read a packet's header; returns its interface's row in clocks, or -1 to stop there."""
        simple: cython.bint = self._kind == SIMPLE_PACKET
        interface: cython.longlong = 0
        ticks: cython.ulonglong = 0
        clock: cython.Py_ssize_t
        self._header_size = SIMPLE_HEADER if simple else PACKET_HEADER
        if self._length < self._header_size + 4:
            return self._stop(Stop.BLOCK_LENGTH, self._length)
        if cython.compiled:
            interface = u32(data, at + 8, self.big_endian)
            if not simple:
                ticks = u32(data, at + 12, self.big_endian)
                ticks = ticks << 32 | cython.cast(cython.ulonglong, u32(data, at + 16, self.big_endian))
                self._captured = u32(data, at + 20, self.big_endian)
                self._wire = u32(data, at + 24, self.big_endian)
        elif simple:
            (interface,) = self._word.unpack_from(data, at + 8)
        else:
            interface, high, low, self._captured, self._wire = self._packet.unpack_from(data, at + 8)
            ticks = high << 32 | low
        if simple:  # the first word is its length on the wire; its interface is number 0
            self._captured = self._wire = interface
            interface = 0
        elif self._kind == OBSOLETE_PACKET:  # two halves: interface and drop count
            interface = interface >> 16 if self.big_endian else interface & 0xFFFF
        clock = interface * CLOCK
        if clock >= len(clocks):
            return self._stop(Stop.UNKNOWN_INTERFACE, interface)
        if not simple:
            self._time_ns = ticks_to_ns(
                ticks,
                clocks[clock + SHIFT],
                clocks[clock + MULTIPLY],
                clocks[clock + DIVIDE],
                clocks[clock + OFFSET],
            )
        elif 0 < clocks[clock + SNAPSHOT] < self._captured:
            self._captured = clocks[clock + SNAPSHOT]
        if self._captured > self._length - self._header_size - 4:
            return self._stop(Stop.BLOCK_CAPTURED, self._captured)
        return clock

    def _stop(self, why: Stop, value: cython.longlong) -> cython.Py_ssize_t:
        self.stopped = why
        self.value = value
        return -1


def index_live_batch(meta: bytes, data_size: cython.Py_ssize_t, index: array[int]) -> cython.Py_ssize_t:
    """The rows for a batch of pcapy's next_batch: per frame seconds, microseconds, offset and length.

    It does not report the length on the wire: the captured length is used instead.
    """
    rows = index  # typed in the .pxd
    seconds: cython.longlong
    fraction: cython.longlong
    start: cython.longlong
    length: cython.longlong
    row: cython.Py_ssize_t
    n: cython.Py_ssize_t
    count: cython.Py_ssize_t = len(meta) // LIVE_RECORD_SIZE
    for n in range(count):
        if cython.compiled:
            seconds = u32(meta, n * LIVE_RECORD_SIZE, NATIVE_BIG)
            fraction = u32(meta, n * LIVE_RECORD_SIZE + 4, NATIVE_BIG)
            start = u32(meta, n * LIVE_RECORD_SIZE + 8, NATIVE_BIG)
            length = u32(meta, n * LIVE_RECORD_SIZE + 12, NATIVE_BIG)
        else:
            seconds, fraction, start, length = LIVE_RECORD.unpack_from(meta, n * LIVE_RECORD_SIZE)
        if start + length > data_size:
            raise ValueError(f"frame {n} lies outside of its batch")
        row = n * FRAME_ROW
        rows[row + FRAME_START] = start
        rows[row + FRAME_LENGTH] = length
        rows[row + FRAME_WIRE_LENGTH] = length
        rows[row + FRAME_TIME_NS] = seconds * 1_000_000_000 + fraction * 1000
        rows[row + FRAME_INTERFACE] = 0
    return count
