"""The interface of sources: batches of frames, and the losses before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from capture_agent.books import Account, Ledger
from capture_agent.records.frames import Frames

# libpcap's DLT_ values differ from the LINKTYPE_ values of files for these (https://www.tcpdump.org/linktypes.html).
# Some programs write them into files anyway; as LINKTYPE_ they have no other meaning.
LINK_TYPES_OF_DLT = {
    11: 100,  # RFC 1483 ATM
    12: 101,  # raw IP
    14: 101,  # raw IP, as OpenBSD numbers it
}

# The largest captured length that libpcap accepts (MAXIMUM_SNAPLEN in pcap-int.h): the longest frame on `lo`.
MAXIMUM_SNAPSHOT = 262_144


# Places where packets are lost before us.
KERNEL = "kernel"  # the kernel's buffer was full
INTERFACE = "interface"
UNREAD = "unread"  # in the kernel's buffer, or between a source and the pipeline, when the agent stopped
LOST = Account("frames", lost=(KERNEL, INTERFACE, UNREAD))


class SourceError(Exception):
    """One clear line for the user.

    `usage`: the source cannot be read at all: no such file or interface, not a capture, an invalid filter. Otherwise
    reading failed; every frame before the failure has been delivered.
    """

    def __init__(self, message: str, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


class Source(Protocol):
    """Yields frames. One thread uses it; others may call `dropped` and `close`."""

    name: str  # path or interface

    def batches(self) -> Iterator[Frames]:
        """Frames in source order; a live source yields an empty batch if none arrived while it waited.

        Raises SourceError, after the last good frame.
        """
        ...

    def dropped(self) -> Mapping[str, int]:
        """Frames that were lost before us, by place: KERNEL, INTERFACE, UNREAD, or any other."""
        ...

    def close(self) -> None:
        """Ends `batches`, which may still raise an earlier error of the source."""
        ...


def link_type(value: int) -> int:
    """The LINKTYPE_ value for a value from libpcap or a file."""
    return LINK_TYPES_OF_DLT.get(value, value)


def lost_frames(of_sources: Iterable[Mapping[str, int]]) -> Ledger:
    """Losses of sources, in the ledger of frames. Packages may name other places."""
    lost: Counter[str] = Counter()
    for of_source in of_sources:
        lost.update(of_source)
    return Ledger("frames", lost.total(), lost=lost)
