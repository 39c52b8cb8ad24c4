"""A file with HEP3 packets back to back, as a socket has received them. Each packet is a frame."""

from __future__ import annotations

from array import array

from capture_agent.records.frames import FRAME_ROW, HEP_LINK_TYPE, Interface
from capture_agent.sources.containers import Stop
from hep.tables import MAGICS as DUMPS

HEADER = 6

__all__ = ["DUMPS", "HepDumpFormat"]


class HepDumpWalker:
    """Walks over packets, as PcapWalker does over records. A frame has no time: what is in it has one."""

    def __init__(self) -> None:
        self.at = 0
        self.stopped = Stop.MORE
        self.value = HEADER  # bytes that the next packet needs

    def walk(self, data: bytes, start: int, index: array[int], most: int) -> int:
        """Fill the index with the packets from `start`. Returns how many there are."""
        at, count = start, 0
        self.stopped, self.value = Stop.FULL, 0
        while count < most:
            head = data[at : at + HEADER]
            length = head[4] << 8 | head[5] if len(head) == HEADER else HEADER
            if len(head) == HEADER and (head[:4] not in DUMPS or length < HEADER):
                self.stopped, self.value = Stop.HEP, length
                break
            if len(data) - at < length:
                self.stopped, self.value = Stop.MORE, length
                break
            row = count * FRAME_ROW
            index[row : row + FRAME_ROW] = array("q", (at, length, length, 0, 0))
            at += length
            count += 1
        self.at = at
        return count


class HepDumpFormat:
    """How to walk such a file, and what its damage means."""

    def __init__(self) -> None:
        self.walker = HepDumpWalker()
        self.interfaces = [Interface("", HEP_LINK_TYPE)]
        self.start = 0
        self.dropped: dict[str, int] = {}

    def read_block(self, data: bytes) -> str:
        raise AssertionError("a dump has no blocks")

    def damage(self) -> str:
        """The problem at which the walker has stopped."""
        return self.walker.stopped.value.format(value=self.walker.value)

    def cut(self, left: int) -> str:
        """The problem if the bytes end `left` bytes after the last complete packet."""
        return f"the file ends inside a HEP packet, {left} of {self.walker.value} bytes are there"
