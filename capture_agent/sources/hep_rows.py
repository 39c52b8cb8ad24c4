"""Finds HEP packets in the bytes of a connection or a file. Hot: compiled with hep_rows.pxd, or plain Python."""

from __future__ import annotations

from array import array

import cython

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
FIRST_ROWS = 1024


@cython.final
@cython.cclass
class HepRows:
    """Rows of Frames.index, one for each packet. `broken`: the last bytes were not the header of HEP3."""

    __slots__ = ("_rows", "broken", "count", "index")

    def __init__(self) -> None:
        self.broken = False
        self.count = 0
        self.index = array("q", bytes(8 * FRAME_ROW * FIRST_ROWS))
        self._rows = self.index

    def cut(self, data: bytes, base: cython.Py_ssize_t, time_ns: cython.longlong) -> cython.Py_ssize_t:
        """Add a row for each whole packet; `base` is the place of the data in the batch's buffer.

        Returns where the first packet begins that is not whole.
        """
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(data)
        length: cython.Py_ssize_t
        row: cython.Py_ssize_t
        self.broken = False
        while end - at >= HEADER:
            length = data[at + 4] << 8 | data[at + 5]
            if not is_magic(data, at) or length < HEADER:
                self.broken = True
                return at
            if end - at < length:
                return at
            row = self.count * FRAME_ROW
            if row == len(self._rows):
                self._grow()
            self._rows[row + FRAME_START] = base + at
            self._rows[row + FRAME_LENGTH] = length
            self._rows[row + FRAME_WIRE_LENGTH] = length
            self._rows[row + FRAME_TIME_NS] = time_ns
            self._rows[row + FRAME_INTERFACE] = 0
            self.count += 1
            at += length
        if not may_begin(data, at, end):
            self.broken = True
        return at

    def _grow(self) -> None:
        self.index = self.index * 2
        self._rows = self.index


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def is_magic(data: bytes, at: cython.Py_ssize_t) -> cython.bint:
    """HEP3 or EEP1."""
    if data[at + 1] != 0x45 or data[at + 2] != 0x50:
        return False
    return (data[at] == 0x48 and data[at + 3] == 0x33) or (data[at] == 0x45 and data[at + 3] == 0x31)


@cython.cfunc
@cython.exceptval(-1, check=True)
def may_begin(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """Whether these few bytes may be the first of a header: what cannot be one is not waited for."""
    first: bytes = data[at : min(end, at + 4)]
    return b"HEP3".startswith(first) or b"EEP1".startswith(first)
