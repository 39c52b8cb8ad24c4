"""Writing HEP3: order, limits, and packets that cannot be written."""

import struct
from dataclasses import replace

import pytest
from hep_samples import changed, golden, sip_packet

from hep import CHUNKS, HLOG_ORDER, SIP_ORDER, Chunk, HepError, Order, Packet, Reason, decode, encode

pytestmark = pytest.mark.once

FULL = next(sample.packet for sample in golden() if sample.name == "every generic chunk")


def kinds(data: bytes) -> list[int]:
    found, position = [], 6
    while position < len(data):
        _, kind, length = struct.unpack_from(">HHH", data, position)
        found.append(kind)
        position += length
    return found


def test_every_generic_chunk_has_its_place() -> None:
    written = set(kinds(encode(FULL))) | set(kinds(encode(sip_packet(v6=True)))) | {0x10}
    assert written == set(CHUNKS)


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        pytest.param(SIP_ORDER, [7, 8, 9, 10, 11, 12, 0x11, 0x0E, 0x0D, 0x12, 0x13], id="siptrace"),
        pytest.param(HLOG_ORDER, [8, 7, 9, 10, 11, 12, 0x11, 0x0E, 0x0D, 0x12, 0x13], id="hlog"),
        pytest.param(
            Order("auth_key", "correlation_id"),
            [3, 4, 7, 8, 9, 10, 11, 12, 0x0D, 0x12, 0x13],
            id="a custom one",
        ),
    ],
)
def test_order(order: Order, wanted: list[int]) -> None:
    data = encode(FULL, order=order)
    assert kinds(data)[4:15] == wanted
    assert kinds(data)[-1] == 0x0F
    assert decode(data) == FULL


def test_extra_chunks_go_before_the_payload() -> None:
    packet = replace(FULL, extra=(Chunk(0, 0x99, b"x"), Chunk(2, 1, b"")))
    assert kinds(encode(packet))[-3:] == [0x99, 1, 0x0F]


@pytest.mark.parametrize("fields", [("payload",), ("no_such",), ("vlan", "vlan")])
def test_order_of_nothing_we_know(fields: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=fields[0]):
        Order(*fields)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("source", b"\1\2\3", Reason.CHUNK_SIZE),
        ("destination", b"", Reason.CHUNK_SIZE),
        ("family", 256, Reason.RANGE),
        ("source_port", 65_536, Reason.RANGE),
        ("source_port", -1, Reason.RANGE),
        ("seconds", 1 << 32, Reason.RANGE),
        ("capture_id", 1 << 32, Reason.RANGE),
        ("source_mac", 1 << 64, Reason.RANGE),
        ("seconds", 1.5, Reason.RANGE),
    ],
)
def test_value_that_does_not_fit(field: str, value: object, reason: Reason) -> None:
    with pytest.raises(HepError) as caught:
        encode(changed(sip_packet(), field, value))
    assert (caught.value.chunk, caught.value.reason, caught.value.offset) == (field, reason, None)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        pytest.param(Chunk(0, 7, b"\1\2"), Reason.CHUNK_TYPE, id="a type that has a field"),
        pytest.param(Chunk(0, 0, b""), Reason.CHUNK_TYPE, id="type 0"),
        pytest.param(Chunk(65_536, 1, b""), Reason.RANGE, id="vendor"),
        pytest.param(Chunk(1, -1, b""), Reason.RANGE, id="type"),
    ],
)
def test_extra_chunk_refused(extra: Chunk, reason: Reason) -> None:
    with pytest.raises(HepError) as caught:
        encode(Packet(extra=(extra,)))
    assert caught.value.reason is reason


@pytest.mark.parametrize(("v6", "fixed"), [(False, 99), (True, 123)])
def test_longest_message(v6: bool, fixed: int) -> None:
    payload = bytes(65_535 - fixed)
    assert len(encode(sip_packet(payload, v6))) == 65_535
    with pytest.raises(HepError, match=r"^packet: 65536 bytes, at most 65535$") as caught:
        encode(sip_packet(payload + b"x", v6))
    assert caught.value.reason is Reason.TOO_LONG


@pytest.mark.parametrize("size", [65_529, 65_530, 65_536, 200_000])
def test_chunk_length_never_wraps(size: int) -> None:
    with pytest.raises(HepError, match="at most 65535") as caught:
        encode(Packet(payload=b"x", correlation_id=bytes(size)))
    assert caught.value.reason is Reason.TOO_LONG


@pytest.mark.parametrize("field", ["source", "destination"])
@pytest.mark.parametrize(("width", "family"), [(4, 2), (16, 10)])
def test_family_follows_the_addresses(field: str, width: int, family: int) -> None:
    assert decode(encode(changed(Packet(), field, bytes(width)))).family == family


def test_no_address_no_family() -> None:
    assert decode(encode(Packet(payload=b"x"))).family is None


@pytest.mark.parametrize("version", [0, 4, -1])
def test_no_such_version(version: int) -> None:
    with pytest.raises(HepError, match=r"^version: ") as caught:
        encode(sip_packet(), version)
    assert caught.value.reason is Reason.VERSION
