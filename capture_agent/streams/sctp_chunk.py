"""One DATA or I-DATA chunk: where its user data starts, why it may be refused, which part of a message it is."""

from __future__ import annotations

from enum import StrEnum

from capture_agent.records.datagram import Datagram
from capture_agent.streams.sctp_fragments import FIRST, LAST

DATA, I_DATA = 0, 64
UNORDERED = 4


class ChunkRejection(StrEnum):
    """Why a chunk is left out."""

    MALFORMED = "malformed"  # shorter than its kind, or longer than its packet
    CUT = "cut"  # the snap length ends within it
    EMPTY = "empty"  # RFC 9260 3.3.1: no user data is a protocol violation
    OUTSIDE = "outside"  # the receiver would not accept its tag or its TSN
    CONFLICT = "conflict"  # this part of the message came with another TSN


def data_start(data: bytes, at: int) -> int:
    """RFC 9260 3.3.1; RFC 8260 2.1 for I-DATA."""
    return at + (16 if data[at] == DATA else 20)


def refusal(datagram: Datagram, at: int, chunk_end: int) -> ChunkRejection | None:
    """Why the chunk at this offset is left out; None: it is not."""
    data, end = datagram.data, min(chunk_end, datagram.end)
    start, missing, flags = data_start(data, at), chunk_end - end, data[at + 1]
    if chunk_end < start or missing > datagram.missing:
        return ChunkRejection.MALFORMED
    if chunk_end == start:
        return ChunkRejection.EMPTY
    if start >= end or (missing and flags & 3 != FIRST | LAST):
        return ChunkRejection.CUT
    if data[at] == I_DATA and not flags & FIRST and data[at + 16 : at + 20] == b"\0\0\0\0":
        return ChunkRejection.MALFORMED  # RFC 8260 2.1: FSN 0 is the first fragment's
    return None


def fragment_place(data: bytes, at: int) -> tuple[tuple[int, int, bytes], int]:
    """What names its message within the association, and the position of this fragment in it."""
    kind, flags = data[at], data[at + 1]
    unordered = flags & UNORDERED
    if kind == DATA:  # RFC 9260 3.3.1: the stream's sequence number says nothing in an unordered one
        name = data[at + 8 : at + (10 if unordered else 12)]
        return (kind, unordered, name), int.from_bytes(data[at + 4 : at + 8], "big")
    name = data[at + 8 : at + 10] + data[at + 12 : at + 16]
    # RFC 8260 2.1: the first one has the payload protocol in the place of the FSN, which is 0.
    return (kind, unordered, name), 0 if flags & FIRST else int.from_bytes(data[at + 16 : at + 20], "big")
