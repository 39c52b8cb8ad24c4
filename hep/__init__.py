"""HEP (Homer Encapsulation Protocol) versions 1, 2 and 3: packets to bytes and back.

Standard library only, no I/O, no clock, no imports from `capture_agent`: usable on its own.

    tables.py       protocol facts: chunk types, protocol types, vendors, limits
    packet.py       Packet: one HEP message; Chunk: a chunk for which Packet has no field
    codec.py        encode, decode, version_of: select the version
    version12.py    the fixed headers of HEP 1 and 2 (as Kamailio's siptrace sends them)
    version3.py     reads the chunks of HEP 3 (rev. 37)
    order.py        writes the chunks of HEP 3, in the order of a table
    compression.py  inflates a compressed payload, up to a limit
    stream.py       StreamDecoder: HEP 3 over TCP, in any segmentation
    batch.py        hot: many captured SIP messages into one buffer (needs the cython module; not imported here)
    errors.py       HepError, the only exception that bytes can cause

    >>> from hep import Packet, ProtocolType, decode, encode
    >>> home, away = b"\\x7f\\0\\0\\1", b"\\x7f\\0\\0\\2"
    >>> sent = Packet(source=home, destination=away, protocol_type=ProtocolType.SIP, payload=b"...")
    >>> decode(encode(sent)).destination_address
    IPv4Address('127.0.0.2')
"""

from hep.codec import decode, encode, version_of
from hep.errors import HepError, Reason
from hep.order import HLOG_ORDER, SIP_ORDER, Order
from hep.packet import Chunk, Packet
from hep.stream import StreamDecoder
from hep.tables import CHUNKS, MAX_BYTES, ChunkType, Family, ProtocolType, Vendor

__all__ = [
    "CHUNKS",
    "HLOG_ORDER",
    "MAX_BYTES",
    "SIP_ORDER",
    "Chunk",
    "ChunkType",
    "Family",
    "HepError",
    "Order",
    "Packet",
    "ProtocolType",
    "Reason",
    "StreamDecoder",
    "Vendor",
    "decode",
    "encode",
    "version_of",
]
