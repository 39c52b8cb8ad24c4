"""Protocol facts of HEP3 rev. 37 (2025-06-25) and of the HEP1/2 headers, as tables."""

import struct
from enum import IntEnum
from typing import NamedTuple

MAX_BYTES = 65_535  # of a whole message: its total length is a u16, like a UDP datagram's
MAGIC = b"HEP3"
MAGICS = frozenset({MAGIC, b"EEP1"})  # EEP1: the draft's name for the same format
GENERIC = 0


class Family(IntEnum):
    """Linux AF_ values, which HEP uses on the wire."""

    IPV4 = 2
    IPV6 = 10


class Vendor(IntEnum):
    """Who defined a chunk type."""

    GENERIC = 0
    FREESWITCH = 1
    KAMAILIO = 2
    OPENSIPS = 3
    ASTERISK = 4
    HOMER = 5
    SIPXECS = 6
    YETI = 7
    GENESYS = 8


class ProtocolType(IntEnum):
    """The kind of the payload (chunk 0x000b). Other numbers are legal: `Packet.protocol_type` is a plain int."""

    SIP = 0x01
    XMPP = 0x02
    SDP = 0x03
    RTP = 0x04
    RTCP_JSON = 0x05
    MGCP = 0x06
    MEGACO = 0x07
    M2UA = 0x08
    M3UA = 0x09
    IAX = 0x0A
    H322 = 0x0B
    H321 = 0x0C
    M2PA = 0x0D
    MOS_FULL_JSON = 0x22
    MOS_SHORT_JSON = 0x23
    SIP_JSON = 0x32
    DNS_JSON = 0x35
    M3UA_JSON = 0x36
    RTSP_JSON = 0x37
    DIAMETER_JSON = 0x38
    GSM_MAP_JSON = 0x39
    RTCP_PION = 0x3A
    CDR = 0x3C
    VERTO = 0x3D
    # Not in rev. 37, but sent by Kamailio (hlog) and heplify, and read by heplify-server.
    LOG = 0x64


class ChunkType(NamedTuple):
    """A generic chunk: its field of `Packet` and its struct format, "" for octets of any length."""

    field: str
    format: str = ""

    @property
    def size(self) -> int | None:
        """Bytes of data; None for any number."""
        return struct.calcsize(">" + self.format) if self.format else None


# HEP3 rev. 37, vendor 0. 0x19 to 0x1f are reserved: like any unknown type, they are kept in `Packet.extra`.
CHUNKS: dict[int, ChunkType] = {
    0x0001: ChunkType("family", "B"),
    0x0002: ChunkType("protocol", "B"),
    0x0003: ChunkType("source", "4s"),
    0x0004: ChunkType("destination", "4s"),
    0x0005: ChunkType("source", "16s"),
    0x0006: ChunkType("destination", "16s"),
    0x0007: ChunkType("source_port", "H"),
    0x0008: ChunkType("destination_port", "H"),
    0x0009: ChunkType("seconds", "I"),
    0x000A: ChunkType("microseconds", "I"),
    0x000B: ChunkType("protocol_type", "B"),
    0x000C: ChunkType("capture_id", "I"),
    0x000D: ChunkType("keep_alive", "H"),
    0x000E: ChunkType("auth_key"),
    0x000F: ChunkType("payload"),
    0x0010: ChunkType("payload"),  # compressed
    0x0011: ChunkType("correlation_id"),
    0x0012: ChunkType("vlan", "H"),
    0x0013: ChunkType("agent_name"),
    0x0014: ChunkType("source_mac", "Q"),
    0x0015: ChunkType("destination_mac", "Q"),
    0x0016: ChunkType("ethertype", "H"),
    0x0017: ChunkType("tcp_flags", "B"),
    0x0018: ChunkType("tos", "B"),
    0x0020: ChunkType("mos", "H"),
    0x0021: ChunkType("r_factor", "H"),
    0x0022: ChunkType("geo_location"),
    0x0023: ChunkType("jitter", "I"),
    0x0024: ChunkType("transaction_type"),
    0x0025: ChunkType("json_keys"),
    0x0026: ChunkType("tag_values"),
    0x0027: ChunkType("tag_type", "H"),
    0x0028: ChunkType("event_type", "H"),
    0x0029: ChunkType("group_id"),
}
PAYLOAD = 0x000F
COMPRESSED_PAYLOAD = 0x0010
