"""What every source is: batches of frames, and what was lost before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from capture_agent.records import Frames

# libpcap's DLT_ values differ from the LINKTYPE_ values of files for these (https://www.tcpdump.org/linktypes.html).
# Some programs write them into files all the same; as LINKTYPE_ they mean nothing else.
LINK_TYPES_OF_DLT = {
    11: 100,  # RFC 1483 ATM
    12: 101,  # raw IP
    14: 101,  # raw IP, as OpenBSD numbers it
}

# The largest captured length that libpcap takes (MAXIMUM_SNAPLEN in pcap-int.h): the longest frame on `lo`.
MAXIMUM_SNAPSHOT = 262_144


class SourceError(Exception):
    """One clear line for the user.

    `usage`: what was asked for cannot be read at all: no such file or interface, no capture, a wrong filter.
    Otherwise a source broke while it was read; every frame before that has been delivered.
    """

    def __init__(self, message: str, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class Source(Protocol):
    """Where frames come from. Used by one thread; `dropped` and `close` may be called by others."""

    name: str  # path or interface

    def batches(self) -> Iterator[Frames]:
        """Frames in the order of the source; a live source yields an empty batch where it has waited in vain.

        Raises SourceError, behind the last good frame.
        """
        ...

    def dropped(self) -> Mapping[str, int]:
        """Frames that were lost before us, by place.

        `kernel`: its buffer was full; `interface`; `unread`: they were in its buffer when the source was closed.
        """
        ...

    def close(self) -> None:
        """Ends `batches`, which may still raise what had broken the source before."""
        ...


def link_type(value: int) -> int:
    """The LINKTYPE_ value of what libpcap or a file has given."""
    return LINK_TYPES_OF_DLT.get(value, value)
