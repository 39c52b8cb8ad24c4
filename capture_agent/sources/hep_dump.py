"""A file with HEP3 packets back to back, as a socket has received them. Each packet is a frame.

A frame has no time: what is in it has one.
"""

from __future__ import annotations

from capture_agent.records.frames import HEP_LINK_TYPE, Interface
from capture_agent.sources.hep_walker import HepWalker
from hep.tables import MAGICS as DUMPS

__all__ = ["DUMPS", "HepDumpFormat"]


class HepDumpFormat:
    """How to walk such a file, and what its damage means."""

    def __init__(self) -> None:
        self.walker = HepWalker()
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
