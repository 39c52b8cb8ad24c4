"""Finds HEP3 packets in the bytes of connections and files. Hot: compiled with hep_walker.pxd, or plain Python."""

from __future__ import annotations

from array import array

import cython

from capture_agent.sources.containers import Stop

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.frames import (
        FRAME_INTERFACE,
        FRAME_LENGTH,
        FRAME_ROW,
        FRAME_START,
        FRAME_TIME_NS,
        FRAME_WIRE_LENGTH,
    )
HEADER = cython.declare(cython.Py_ssize_t, 6)


@cython.final
@cython.cclass
class HepWalker:
    """Walks over packets, as PcapWalker does over records."""

    __slots__ = ("at", "stopped", "value")

    def __init__(self) -> None:
        self.stopped = Stop.MORE
        self.at = 0
        self.value = HEADER

    def walk(self, data: bytes, at: cython.Py_ssize_t, index: array[int], limit: cython.Py_ssize_t) -> int:
        """Index up to `limit` packets from data[at] on; returns how many there were. They have no time."""
        return self.walk_part(data, at, len(data), index, 0, limit, 0)

    def walk_part(
        self,
        data: bytes | bytearray | memoryview,
        at: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        index: array[int],
        first: cython.Py_ssize_t,
        limit: cython.Py_ssize_t,
        time_ns: cython.longlong,
    ) -> int:
        """The same in data[at:end], with rows from the `first` on to before the `limit`."""
        text = data  # typed in the .pxd, as `rows`
        rows = index
        length: cython.Py_ssize_t
        row: cython.Py_ssize_t
        count: cython.Py_ssize_t = first
        self.stopped, self.value = Stop.FULL, 0
        while count < limit:
            length = HEADER
            if at < end and not may_begin(text, at, end):
                self.stopped = Stop.HEP
                break
            if end - at >= HEADER:
                length = text[at + 4] << 8 | text[at + 5]
                if length < HEADER:
                    self.stopped, self.value = Stop.HEP, length
                    break
            if end - at < length:
                self.stopped, self.value = Stop.MORE, length
                break
            row = count * FRAME_ROW
            rows[row + FRAME_START] = at
            rows[row + FRAME_LENGTH] = length
            rows[row + FRAME_WIRE_LENGTH] = length
            rows[row + FRAME_TIME_NS] = time_ns
            rows[row + FRAME_INTERFACE] = 0
            at += length
            count += 1
        self.at = at
        return count - first


def may_begin(text: bytes | bytearray | memoryview, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """Whether these bytes, of which there may be only a few, begin as HEP3 or EEP1: for others nobody waits."""
    old: cython.bint = text[at] == 0x45
    if not old and text[at] != 0x48:
        return False
    if end - at > 1 and text[at + 1] != 0x45:
        return False
    if end - at > 2 and text[at + 2] != 0x50:
        return False
    return end - at < 4 or text[at + 3] == (0x31 if old else 0x33)
