"""Reading HEP3: what is refused, with which message, and what is tolerated."""

import pytest
from hep_samples import chunk, hep3

from hep import Chunk, HepError, Packet, Reason, decode

pytestmark = pytest.mark.once

PORT = chunk(7, b"\x13\xc4")

# Bytes, reason, chunk, offset.
MALFORMED = [
    pytest.param(b"", Reason.MAGIC, "header", 0, id="nothing"),
    pytest.param(b"HEP", Reason.MAGIC, "header", 0, id="3 bytes of the magic"),
    pytest.param(b"HEP3", Reason.TRUNCATED, "header", 0, id="magic alone"),
    pytest.param(b"HEP3\0", Reason.TRUNCATED, "header", 0, id="half a total length"),
    pytest.param(b"HEP4\0\6", Reason.MAGIC, "header", 0, id="another version"),
    pytest.param(b"hep3\0\6", Reason.MAGIC, "header", 0, id="lower case magic"),
    pytest.param(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", Reason.MAGIC, "header", 0, id="plain SIP"),
    pytest.param(b"\r\n\r\n", Reason.MAGIC, "header", 0, id="keep-alive"),
    pytest.param(hep3(PORT, length=0), Reason.TOTAL_LENGTH, "header", 4, id="total length 0"),
    pytest.param(hep3(PORT, length=5), Reason.TOTAL_LENGTH, "header", 4, id="total length 5"),
    pytest.param(hep3(PORT, length=13), Reason.TOTAL_LENGTH, "header", 4, id="total length below the datagram's"),
    pytest.param(hep3(PORT, length=15), Reason.TOTAL_LENGTH, "header", 4, id="total length above the datagram's"),
    pytest.param(hep3(PORT) + b"x", Reason.TOTAL_LENGTH, "header", 4, id="a byte after the packet"),
    pytest.param(hep3(PORT, b"\0"), Reason.TRUNCATED, "chunk", 14, id="1 byte of a chunk header"),
    pytest.param(hep3(PORT, b"\0\0\0\7\0"), Reason.TRUNCATED, "chunk", 14, id="5 bytes of a chunk header"),
    pytest.param(hep3(chunk(7, length=0)), Reason.CHUNK_LENGTH, "source_port", 6, id="chunk length 0"),
    pytest.param(hep3(PORT, chunk(0x2A, length=0)), Reason.CHUNK_LENGTH, "chunk 0x0000/0x002a", 14, id="0, unknown"),
    pytest.param(hep3(chunk(7, b"\1\2", length=5)), Reason.CHUNK_LENGTH, "source_port", 6, id="chunk length 5"),
    pytest.param(hep3(chunk(15, b"x", length=8)), Reason.CHUNK_LENGTH, "payload", 6, id="1 byte past the end"),
    pytest.param(hep3(chunk(15, length=65535)), Reason.CHUNK_LENGTH, "payload", 6, id="far past the end"),
    pytest.param(
        hep3(chunk(9, b"x", vendor=2, length=99)),
        Reason.CHUNK_LENGTH,
        "chunk 0x0002/0x0009",
        6,
        id="vendor, past end",
    ),
    pytest.param(hep3(PORT, chunk(0)), Reason.CHUNK_TYPE, "chunk", 14, id="type 0"),
    pytest.param(hep3(PORT, bytes(6)), Reason.CHUNK_LENGTH, "chunk 0x0000/0x0000", 14, id="zeros"),
    pytest.param(hep3(PORT, chunk(16, b"\0\1")), Reason.COMPRESSION, "payload", 14, id="compressed garbage"),
    pytest.param(hep3(PORT, chunk(16)), Reason.COMPRESSION, "payload", 14, id="compressed nothing"),
]


@pytest.mark.parametrize(("data", "reason", "part", "offset"), MALFORMED)
def test_malformed(data: bytes, reason: Reason, part: str, offset: int) -> None:
    with pytest.raises(HepError) as caught:
        decode(data)
    error = caught.value
    assert (error.reason, error.chunk, error.offset) == (reason, part, offset)
    assert str(error).startswith(f"{part}: ")
    assert str(error).endswith(f"(byte {offset})")


@pytest.mark.parametrize("size", [0, 1, 3, 5, 9, 17, 100])
@pytest.mark.parametrize(
    ("kind", "field", "width"),
    [
        (0x01, "family", 1),
        (0x02, "protocol", 1),
        (0x03, "source", 4),
        (0x04, "destination", 4),
        (0x05, "source", 16),
        (0x06, "destination", 16),
        (0x07, "source_port", 2),
        (0x08, "destination_port", 2),
        (0x09, "seconds", 4),
        (0x0A, "microseconds", 4),
        (0x0B, "protocol_type", 1),
        (0x0C, "capture_id", 4),
        (0x0D, "keep_alive", 2),
        (0x12, "vlan", 2),
        (0x14, "source_mac", 8),
        (0x15, "destination_mac", 8),
        (0x16, "ethertype", 2),
        (0x17, "tcp_flags", 1),
        (0x18, "tos", 1),
        (0x20, "mos", 2),
        (0x21, "r_factor", 2),
        (0x23, "jitter", 4),
        (0x27, "tag_type", 2),
        (0x28, "event_type", 2),
    ],
)
def test_wrong_width(kind: int, field: str, width: int, size: int) -> None:
    size += size == width
    with pytest.raises(HepError) as caught:
        decode(hep3(PORT, chunk(kind, bytes(size)), chunk(15, b"x")))
    assert str(caught.value) == f"{field}: {size} bytes, not {width} (byte 14)"
    assert caught.value.reason is Reason.CHUNK_SIZE


FORGIVEN = [
    pytest.param(hep3(), Packet(), id="no chunks at all"),
    pytest.param(hep3(chunk(15, b"x")), Packet(payload=b"x"), id="payload alone"),
    pytest.param(hep3(chunk(1, b"\x1e")), Packet(family=30), id="BSD's number for IPv6"),
    pytest.param(
        hep3(chunk(1, b"\2"), chunk(5, bytes(16))),
        Packet(family=2, source=bytes(16)),
        id="family of another address",
    ),
    pytest.param(hep3(PORT, chunk(7, b"\0\1")), Packet(source_port=1), id="twice: the last one counts"),
    pytest.param(hep3(chunk(15, b"x"), chunk(15, b"y")), Packet(payload=b"y"), id="payload twice"),
    pytest.param(hep3(chunk(3, bytes(4)), chunk(5, bytes(16))), Packet(source=bytes(16)), id="IPv4, then IPv6 address"),
    pytest.param(hep3(chunk(5, bytes(16)), chunk(3, bytes(4))), Packet(source=bytes(4)), id="IPv6, then IPv4"),
    pytest.param(hep3(chunk(0x1F, b"x")), Packet(extra=(Chunk(0, 0x1F, b"x"),)), id="reserved type"),
    pytest.param(hep3(chunk(0xFFFF)), Packet(extra=(Chunk(0, 0xFFFF, b""),)), id="unknown, empty"),
    pytest.param(hep3(chunk(7, b"x", 1)), Packet(extra=(Chunk(1, 7, b"x"),)), id="vendor's own type 7"),
    pytest.param(hep3(chunk(0, b"x", 3)), Packet(extra=(Chunk(3, 0, b"x"),)), id="vendor's own type 0"),
]


@pytest.mark.parametrize(("data", "packet"), FORGIVEN)
def test_forgiven(data: bytes, packet: Packet) -> None:
    assert decode(data) == packet


def test_largest_packet() -> None:
    data = hep3(chunk(15, bytes(65_535 - 12)))
    assert len(data) == 65_535
    assert decode(data).payload == bytes(65_523)


def test_most_chunks_a_packet_can_hold() -> None:
    data = hep3(chunk(0x2A) * 10_921)
    assert len(decode(data).extra) == 10_921
