"""Writes HEP3: each field's writer, and the order of a packet's chunks.

Receivers accept chunks in any order. But to match another sender byte for byte, a packet needs that sender's order, so
the order is a table: `Order` names the fields that come first. Other fields follow by chunk number, like heplify's
(VLAN, node name, TCP flags, TOS, MOS), then `Packet.extra`; the payload is last.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

from hep.compression import deflate
from hep.errors import HepError, Reason
from hep.packet import Chunk, Packet
from hep.tables import CHUNKS, COMPRESSED_PAYLOAD, GENERIC, MAGIC, MAX_BYTES, PAYLOAD
from hep.version3 import CHUNK_HEADER, HEADER_BYTES, PREAMBLE, chunk_name

_U16 = 0xFFFF
_Write = Callable[[Any], bytes]


def _octets(kind: int, data: bytes, vendor: int = GENERIC) -> bytes:
    # A length beyond 16 bits may wrap here: then the whole packet is too long, and refused.
    return CHUNK_HEADER.pack(vendor, kind, (HEADER_BYTES + len(data)) & _U16) + data


def _address(field: str) -> _Write:
    """IPv4 and IPv6 are two chunk types of one field: the address's length decides."""
    kinds = {layout.size: kind for kind, layout in CHUNKS.items() if layout.field == field}

    def write(address: bytes) -> bytes:
        if (kind := kinds.get(len(address))) is None:
            raise HepError(Reason.CHUNK_SIZE, field, f"{len(address)} bytes, neither 4 nor 16")
        return _octets(kind, address)

    return write


def _writers() -> dict[str, _Write]:
    writers: dict[str, _Write] = {}
    for kind, layout in CHUNKS.items():
        if layout.format.endswith("s"):
            writers[layout.field] = _address(layout.field)
        elif layout.size is not None:
            whole = struct.Struct(">HHH" + layout.format)
            writers[layout.field] = partial(whole.pack, GENERIC, kind, whole.size)
        elif kind not in (PAYLOAD, COMPRESSED_PAYLOAD):
            writers[layout.field] = partial(_octets, kind)
    return writers


_WRITERS = _writers()


class Order:
    """The order of a packet's chunks, by field of `Packet`; fields not named follow by chunk number.

    >>> heplify = Order(*SIP_FIELDS, "auth_key", "correlation_id")
    """

    __slots__ = ("_values", "_writers", "fields")

    def __init__(self, *first: str) -> None:
        self.fields = (*first, *(field for field in _WRITERS if field not in first))
        if unknown := set(self.fields) - set(_WRITERS):
            raise ValueError(f"no chunks to put in order: {', '.join(sorted(unknown))}")
        if len(self.fields) != len(_WRITERS):
            raise ValueError(f"a chunk named twice: {', '.join(first)}")
        self._writers = tuple(_WRITERS[field] for field in self.fields)
        # One call fetches all values.
        self._values = attrgetter(*("ip_family" if field == "family" else field for field in self.fields))

    def chunks(self, packet: Packet) -> Iterator[bytes]:
        """The chunks of all fields that are not None, without extra chunks and payload. Raises HepError."""
        for field, write, value in zip(self.fields, self._writers, self._values(packet), strict=True):
            if value is None:
                continue
            try:
                yield write(value)
            except struct.error as error:
                raise HepError(Reason.RANGE, field, f"{value!r} does not fit ({error})") from None


SIP_FIELDS = (
    "family",
    "protocol",
    "source",
    "destination",
    "source_port",
    "destination_port",
    "seconds",
    "microseconds",
    "protocol_type",
    "capture_id",
)
# Kamailio siptrace, trace_send_hep3_duplicate: correlation id before key, key before payload.
SIP_ORDER = Order(*SIP_FIELDS, "correlation_id", "auth_key")
# Kamailio siptrace, hlog(): the same with the ports swapped.
HLOG_ORDER = Order(*SIP_FIELDS[:4], "destination_port", "source_port", *SIP_FIELDS[6:], "correlation_id", "auth_key")


def encode3(packet: Packet, order: Order = SIP_ORDER) -> bytes:
    """`packet` as a HEP3 message. Raises HepError: number too large, wrong address, over 65,535 bytes."""
    chunks = [*order.chunks(packet), *map(_extra, packet.extra), _payload(packet)]
    total = HEADER_BYTES + sum(map(len, chunks))
    if total > MAX_BYTES:
        raise HepError(Reason.TOO_LONG, "packet", f"{total} bytes, at most {MAX_BYTES}")
    return PREAMBLE.pack(MAGIC, total) + b"".join(chunks)


def _extra(chunk: Chunk) -> bytes:
    vendor, kind, data = chunk
    if vendor == GENERIC and (kind in CHUNKS or kind == 0):
        raise HepError(Reason.CHUNK_TYPE, chunk_name(vendor, kind), "does not belong in Packet.extra")
    if not (0 <= vendor <= _U16 and 0 <= kind <= _U16):
        raise HepError(Reason.RANGE, chunk_name(vendor, kind), "vendor or type does not fit 16 bits")
    return _octets(kind, data, vendor)


def _payload(packet: Packet) -> bytes:
    if packet.payload is None:
        return b""
    if not packet.compressed:
        return _octets(PAYLOAD, packet.payload)
    if len(packet.payload) > MAX_BYTES:
        # It might fit when compressed, but no receiver with sane limits would inflate it.
        raise HepError(Reason.TOO_LONG, "payload", f"{len(packet.payload)} bytes, at most {MAX_BYTES}")
    return _octets(COMPRESSED_PAYLOAD, deflate(packet.payload))
