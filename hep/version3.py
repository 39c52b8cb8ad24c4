"""Reads HEP3: `HEP3`, total length u16; then chunks of vendor u16, type u16, length u16 (all 6 counted).

Every length must be right, because after a wrong one everything is misread. No chunk is required, and a family that
does not match the addresses is kept: the receiver of an incomplete packet decides what to do with it. If a chunk occurs
twice, the last one counts (also an IPv6 address after an IPv4 one), as in Kamailio, sngrep and hep-js, so that we show
what Homer would. A compressed payload takes precedence over a plain one.
"""

import struct
from collections.abc import Callable
from typing import Any

from hep.compression import inflate
from hep.errors import HepError, Reason
from hep.packet import Chunk, Packet
from hep.tables import CHUNKS, COMPRESSED_PAYLOAD, GENERIC, MAGICS

PREAMBLE = struct.Struct(">4sH")
CHUNK_HEADER = struct.Struct(">HHH")
HEADER_BYTES = 6  # of the packet and, by coincidence, of each chunk

_Unpack = Callable[[bytes, int], tuple[Any, ...]]


def _readers() -> dict[int, tuple[str, int, _Unpack | None]]:
    """Type -> field, length on the wire (0: any), function to read it (None: octets)."""
    readers: dict[int, tuple[str, int, _Unpack | None]] = {}
    for kind, (field, layout) in CHUNKS.items():
        fixed = struct.Struct(">" + layout)
        readers[kind] = (field, HEADER_BYTES + fixed.size, fixed.unpack_from) if layout else (field, 0, None)
    readers[COMPRESSED_PAYLOAD] = (_DEFLATED, 0, None)
    return readers


_DEFLATED = "deflated"
_READERS = _readers()


def total_length(data: bytes | bytearray, offset: int = 0) -> int:
    """Bytes of the packet that `data`, of at least 6 bytes, begins with. Raises HepError if it is not HEP3."""
    if len(data) < HEADER_BYTES:
        raise HepError(Reason.TRUNCATED, "header", f"{len(data)} bytes, not {HEADER_BYTES}", offset)
    magic, length = PREAMBLE.unpack_from(data)
    if magic not in MAGICS:
        raise HepError(Reason.MAGIC, "header", f"starts with {magic!r}, not b'HEP3'", offset)
    if length < HEADER_BYTES:
        detail = f"total length {length}, at least {HEADER_BYTES}"
        raise HepError(Reason.TOTAL_LENGTH, "header", detail, offset + 4)
    return int(length)


def decode3(data: bytes) -> Packet:
    """The packet in `data`, one complete HEP3 message. Raises HepError."""
    if (length := total_length(data)) != len(data):
        detail = f"total length {length}, but {len(data)} bytes came"
        raise HepError(Reason.TOTAL_LENGTH, "header", detail, 4)
    fields: dict[str, Any] = {}
    extra: list[Chunk] = []
    deflated_at = 0
    position = HEADER_BYTES
    while position < length:
        if (begin := position + HEADER_BYTES) > length:
            raise _torn_header(length - position, position)
        vendor, kind, size = CHUNK_HEADER.unpack_from(data, position)
        if size < HEADER_BYTES or (after := position + size) > length:
            raise _wrong_length(chunk_name(vendor, kind), size, length - position, position)
        reader = _READERS.get(kind) if vendor == GENERIC else None
        if reader is None:
            extra.append(_unknown(vendor, kind, data[begin:after], position))
        else:
            field, wanted, unpack = reader
            if unpack is None:
                fields[field] = data[begin:after]
                if kind == COMPRESSED_PAYLOAD:
                    deflated_at = position
            elif size == wanted:
                (fields[field],) = unpack(data, begin)
            else:
                raise _wrong_size(field, size, wanted, position)
        position = after
    if deflated_at:
        # Once, after the loop: many small compression bombs in one packet cost no more than one.
        fields["payload"] = inflate(fields.pop(_DEFLATED), deflated_at)
        fields["compressed"] = True
    return Packet(extra=tuple(extra), **fields)


def _torn_header(left: int, position: int) -> HepError:
    return HepError(Reason.TRUNCATED, "chunk", f"header of {left} bytes, not {HEADER_BYTES}", position)


def _wrong_length(chunk: str, size: int, left: int, position: int) -> HepError:
    bound = f"at least {HEADER_BYTES}" if size < HEADER_BYTES else f"but {left} bytes are left"
    return HepError(Reason.CHUNK_LENGTH, chunk, f"length {size}, {bound}", position)


def _unknown(vendor: int, kind: int, content: bytes, position: int) -> Chunk:
    # Type 0 is unassigned: zeroed or shifted memory looks like that, and Kamailio also drops such a packet.
    if vendor == GENERIC and kind == 0:
        raise HepError(Reason.CHUNK_TYPE, "chunk", "type 0", position)
    return Chunk(vendor, kind, content)


def _wrong_size(field: str, size: int, wanted: int, position: int) -> HepError:
    detail = f"{size - HEADER_BYTES} bytes, not {wanted - HEADER_BYTES}"
    return HepError(Reason.CHUNK_SIZE, field, detail, position)


def chunk_name(vendor: int, kind: int) -> str:
    """The field's name, or the chunk's numbers if it has none."""
    if vendor == GENERIC and kind in CHUNKS:
        return CHUNKS[kind].field
    return f"chunk {vendor:#06x}/{kind:#06x}"
