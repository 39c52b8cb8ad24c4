"""pcapng and pcap, both with nanoseconds."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Protocol

from capture_agent.records.frames import CapturedFrame
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sinks.files.packets import buildable

SNAP_LENGTH = 262_144  # of all interfaces: libpcap reads no file in which they differ
LONGEST_NAME = 255

# draft-ietf-opsawg-pcapng 4.1 to 4.3: section header, interface, enhanced packet.
SECTION = Struct("<IIIHHqI").pack(0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = Struct("<IIHHI")
PACKET = Struct("<IIIIIII")
WORD = Struct("<I")
BLOCK = Struct("<II")
NANOSECONDS = Struct("<HHB3xHH").pack(9, 1, 9, 0, 0)  # if_tsresol, and the end of the options
# draft-ietf-opsawg-pcap 4 and 5.
FILE = Struct("<IHHiIII")
MAGIC = FILE.pack(0xA1B23C4D, 2, 4, 0, 0, SNAP_LENGTH, 0)[:-4]
RECORD = Struct("<IIII")


class CaptureFormat(Protocol):
    def accepts(self, frames: tuple[CapturedFrame, ...], file: OpenFile) -> bool:
        """Whether these frames can be written into this file."""

    def link_type(self, wanted: int, file: OpenFile) -> int:
        """Of rebuilt frames: this one, unless the file cannot have it."""

    def records(self, frame: CapturedFrame, file: OpenFile) -> Iterator[bytes]:
        """What is appended to the file."""

    def whole(self, handle: int, size: int) -> int:
        """The end of the last complete packet. Raises OSError if another program has written the file."""


class Pcapng:
    """Each time that a file is opened a section begins, with interfaces of its own: by link type and name."""

    def accepts(self, frames: tuple[CapturedFrame, ...], file: OpenFile) -> bool:
        return True

    def link_type(self, wanted: int, file: OpenFile) -> int:
        return wanted

    def records(self, frame: CapturedFrame, file: OpenFile) -> Iterator[bytes]:
        """A time before 1970 is shown as 1970."""
        data, time_ns, cut, where = frame
        number = file.interfaces.get((where.link_type, where.name))
        if number is None:
            if not file.interfaces:
                yield SECTION
            number = file.interfaces[where.link_type, where.name] = len(file.interfaces)
            yield interface(where.link_type, where.name)
        padding = -len(data) % 4
        size = PACKET.size + len(data) + padding + WORD.size
        high, low = divmod(max(0, time_ns), 1 << 32)
        yield PACKET.pack(6, size, number, high, low, len(data), len(data) + cut)
        yield data
        yield bytes(padding) + WORD.pack(size)

    def whole(self, handle: int, size: int) -> int:
        return whole(handle, size, SECTION, 0, BLOCK.size, lambda head: BLOCK.unpack(head)[1])


class Pcap:
    """A file has one link type: that of the first message, if frames of it can be built. Others are rebuilt for it."""

    def accepts(self, frames: tuple[CapturedFrame, ...], file: OpenFile) -> bool:
        wanted = self.link_type(frames[0].interface.link_type, file)
        return all(frame.interface.link_type == wanted for frame in frames)

    def link_type(self, wanted: int, file: OpenFile) -> int:
        if not file.interfaces:
            return buildable(link_type_of(file.begins) if file.size else wanted)
        return next(iter(file.interfaces))[0]

    def records(self, frame: CapturedFrame, file: OpenFile) -> Iterator[bytes]:
        """pcap has 32 bits of seconds: earlier and later times are shown as the first and last of them."""
        data, time_ns, cut, where = frame
        if not file.interfaces:
            file.interfaces[where.link_type, ""] = 0
            if not file.size:
                yield MAGIC + WORD.pack(where.link_type)
        seconds, nanoseconds = divmod(min(max(0, time_ns), ((1 << 32) - 1) * 1_000_000_000), 1_000_000_000)
        yield RECORD.pack(seconds, nanoseconds, len(data), len(data) + cut)
        yield data

    def whole(self, handle: int, size: int) -> int:
        return whole(handle, size, MAGIC, FILE.size, RECORD.size, lambda head: RECORD.size + RECORD.unpack(head)[2])


FORMATS: dict[str, Callable[[], CaptureFormat]] = {"pcapng": Pcapng, "pcap": Pcap}


def link_type_of(begins: bytes) -> int:
    """Raises OSError."""
    link_type: int = FILE.unpack(begins)[-1] if len(begins) == FILE.size else -1
    if buildable(link_type) != link_type:
        raise OSError(errno.EINVAL, "it exists and was not written by this sink")
    return link_type


def interface(link_type: int, name: str) -> bytes:
    text = name.encode("utf-8", "replace")[:LONGEST_NAME]
    named = Struct("<HH").pack(2, len(text)) + text + bytes(-len(text) % 4) if text else b""  # if_name
    size = INTERFACE.size + len(named) + len(NANOSECONDS) + WORD.size
    return INTERFACE.pack(1, size, link_type, 0, SNAP_LENGTH) + named + NANOSECONDS + WORD.pack(size)


def whole(handle: int, size: int, begin: bytes, first: int, head: int, length: Callable[[bytes], int]) -> int:
    """`begin`: how the files of this sink begin; `first`: where the first block is."""
    begun = os.pread(handle, len(begin), 0)
    if begun != begin[: len(begun)]:
        raise OSError(errno.EINVAL, "it exists and was not written by this sink")
    end = first
    while end + head <= size:
        more = length(os.pread(handle, head, end))
        if more < head or end + more > size:
            break
        end += more
    return end if end > first else 0
