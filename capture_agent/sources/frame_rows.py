"""Joins rows of Frames.index. Hot: compiled with frame_rows.pxd, or plain Python."""

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
PIECE = cython.declare(cython.int, 4)  # numbers in a row of `pieces`


def merge_rows(index: array[int], pieces: array[int], into: array[int]) -> cython.Py_ssize_t:
    """The rows of several pieces of an index, sorted by time; rows with the same time keep the order of the pieces.

    `pieces` has a row per piece: its first row in the index and the one after its last, and the numbers to add to
    FRAME_START and FRAME_INTERFACE of its rows. This function advances the first rows.
    """
    rows = index  # typed in the .pxd
    heads = pieces
    merged = into
    piece: cython.Py_ssize_t
    best: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    row: cython.Py_ssize_t
    time_ns: cython.longlong
    earliest: cython.longlong = 0
    while True:
        best = -1
        for piece in range(0, len(pieces), PIECE):
            if heads[piece] < heads[piece + 1]:
                time_ns = rows[heads[piece] * FRAME_ROW + FRAME_TIME_NS]
                if best < 0 or time_ns < earliest:
                    best = piece
                    earliest = time_ns
        if best < 0:
            return at // FRAME_ROW
        row = heads[best] * FRAME_ROW
        heads[best] += 1
        merged[at + FRAME_START] = rows[row + FRAME_START] + heads[best + 2]
        merged[at + FRAME_LENGTH] = rows[row + FRAME_LENGTH]
        merged[at + FRAME_WIRE_LENGTH] = rows[row + FRAME_WIRE_LENGTH]
        merged[at + FRAME_TIME_NS] = earliest
        merged[at + FRAME_INTERFACE] = rows[row + FRAME_INTERFACE] + heads[best + 3]
        at += FRAME_ROW
