"""A batch of captured frames in one buffer. Hot: compiled with frames.pxd, or plain Python."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple

import cython

# A row of Frames.index: the frame's place in the buffer, its length on the wire, its time and interface.
if not cython.compiled:
    FRAME_START = 0
    FRAME_LENGTH = 1
    FRAME_WIRE_LENGTH = 2
    FRAME_TIME_NS = 3
    FRAME_INTERFACE = 4
    FRAME_ROW = 5

# Of frames that are HEP packets. LINKTYPE_ values, which files have, are below 65,536.
HEP_LINK_TYPE = 0x1_0001


@dataclass(frozen=True, slots=True)
class Interface:
    """Where frames were captured: an interface of this host, or one described in a capture file."""

    name: str
    link_type: int  # LINKTYPE_ value, https://www.tcpdump.org/linktypes.html
    time_decimals: int = 6  # decimals of a second that the capture itself has
    built: bool = False  # the agent has wrapped what it received in these packets; nobody has captured them


class CapturedFrame(NamedTuple):
    """A frame for itself: its captured bytes, its time, the bytes that the capture cut off, and where it was seen."""

    data: bytes
    time_ns: int
    cut: int
    interface: Interface


@cython.final
@cython.cclass
class Frames:
    """A batch of frames: one buffer, and an index of `count` rows of FRAME_ROW integers."""

    __slots__ = ("count", "data", "first_number", "index", "interfaces")

    def __init__(
        self,
        data: bytes,
        index: array[int],
        count: int,
        interfaces: list[Interface],
        first_number: int = 1,
    ) -> None:
        if len(index) < count * FRAME_ROW:
            raise ValueError(f"{count} frames need {count * FRAME_ROW} integers, the index has {len(index)}")
        self.data = data
        self.index = index
        self.count = count
        self.interfaces = interfaces
        self.first_number = first_number  # number of the first frame in its source, from 1

    def __len__(self) -> int:
        return self.count

    def frame(self, n: int) -> bytes:
        """The captured bytes of frame n of this batch, from 0."""
        row = n * FRAME_ROW
        start = self.index[row + FRAME_START]
        return self.data[start : start + self.index[row + FRAME_LENGTH]]

    @staticmethod
    def of(
        frames: list[bytes],
        link_type: int = 1,
        times_ns: list[int] | None = None,
        first_number: int = 1,
    ) -> Frames:
        """A batch of separate frames: for hooks, tools and tests, not for the hot path."""
        index = array("q")
        start = 0
        for n, frame in enumerate(frames):
            index.extend((start, len(frame), len(frame), times_ns[n] if times_ns else 0, 0))
            start += len(frame)
        return Frames(b"".join(frames), index, len(frames), [Interface("", link_type)], first_number)
