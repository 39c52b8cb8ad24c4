"""What was traced as pcapng or pcap files, in packets with rebuilt headers."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from struct import Struct

from capture_agent.config.targets import PcapTarget
from capture_agent.net.sender import OVERSIZE
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files.file_sink import FileSink
from capture_agent.sinks.files.packets import Oversize, Packets
from capture_agent.sinks.files.rotating_files import OpenFile, RotatingFiles
from capture_agent.sinks.sink import NOT_SIP

ETHERNET = 1
SNAP_LENGTH = 262_144

# draft-ietf-opsawg-pcapng 4.1 to 4.3: section header, interface with if_tsresol 9, enhanced packet.
SECTION = Struct("<IIIHHqI")
INTERFACE = Struct("<IIHHIHHB3xHHI")
PACKET = Struct("<IIIIIII")
WORD = Struct("<I")
BLOCK = Struct("<II")
PCAPNG_HEADER = SECTION.pack(0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + INTERFACE.pack(
    1, INTERFACE.size, ETHERNET, 0, SNAP_LENGTH, 9, 1, 9, 0, 0, INTERFACE.size
)
# draft-ietf-opsawg-pcap 4 and 5, with nanoseconds.
PCAP_HEADER = Struct("<IHHiIII").pack(0xA1B23C4D, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET)
RECORD = Struct("<IIII")


class PcapSink(FileSink):
    """Masks hold: packets are built from the message as it is sent, never taken from the capture.

    rejected   oversize: longer than a datagram; not_sip
    """

    def __init__(self, target: PcapTarget) -> None:
        pcapng = target.format == "pcapng"
        header, whole = (PCAPNG_HEADER, whole_blocks) if pcapng else (PCAP_HEADER, whole_records)
        super().__init__(str(target), self._packed, RotatingFiles(target, header, whole))
        self._record: Callable[[int, bytes], bytes] = block if pcapng else record
        self._packets = Packets()

    def _packed(self, messages: list[TracedMessage], file: OpenFile) -> tuple[bytes, Counter[str]]:
        parts: list[bytes] = []
        rejected: Counter[str] = Counter()
        for one in messages:
            message = one.message
            if type(message) is not CapturedMessage:
                rejected[NOT_SIP] += 1
                continue
            datagram = message.datagram
            try:
                for frame in self._packets.frames(datagram, message.raw, file.serial):
                    parts.append(self._record(datagram.time_ns, frame))
            except Oversize:
                rejected[OVERSIZE] += 1
        return b"".join(parts), rejected


def block(time_ns: int, frame: bytes) -> bytes:
    """An enhanced packet block; a time before 1970 is shown as 1970."""
    padding = -len(frame) % 4
    size = PACKET.size + len(frame) + padding + WORD.size
    high, low = divmod(max(0, time_ns), 1 << 32)
    return b"".join(
        (PACKET.pack(6, size, 0, high, low, len(frame), len(frame)), frame, bytes(padding), WORD.pack(size))
    )


def record(time_ns: int, frame: bytes) -> bytes:
    """pcap has 32 bits of seconds: earlier and later times are shown as the first and last of them."""
    seconds, nanoseconds = divmod(min(max(0, time_ns), ((1 << 32) - 1) * 1_000_000_000), 1_000_000_000)
    return RECORD.pack(seconds, nanoseconds, len(frame), len(frame)) + frame


def whole_blocks(handle: int, size: int) -> int:
    return whole(handle, size, PCAPNG_HEADER, BLOCK.size, lambda head: BLOCK.unpack(head)[1])


def whole_records(handle: int, size: int) -> int:
    return whole(handle, size, PCAP_HEADER, RECORD.size, lambda head: RECORD.size + RECORD.unpack(head)[2])


def whole(handle: int, size: int, header: bytes, head: int, length: Callable[[bytes], int]) -> int:
    """The end of the last complete packet. Raises OSError if another program has written the file."""
    begun = os.pread(handle, len(header), 0)
    if begun != header[: len(begun)]:
        raise OSError(errno.EINVAL, "it exists and was not written by this sink")
    if len(begun) < len(header):
        return 0
    end = len(header)
    while end + head <= size:
        more = length(os.pread(handle, head, end))
        if more < head or end + more > size:
            break
        end += more
    return end
