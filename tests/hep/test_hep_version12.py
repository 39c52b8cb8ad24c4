"""HEP1 and HEP2 beyond the golden packets."""

from dataclasses import replace

import pytest
from hep_samples import changed, sip_packet

from hep import HepError, Packet, Reason, decode, encode

pytestmark = pytest.mark.once

ONE, TWO = encode(sip_packet(), 1), encode(sip_packet(), 2)
ONE6, TWO6 = encode(sip_packet(v6=True), 1), encode(sip_packet(v6=True), 2)


def patched(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]


@pytest.mark.parametrize(
    ("data", "reason", "part", "offset"),
    [
        pytest.param(b"\1", Reason.TRUNCATED, "header", 0, id="version alone"),
        pytest.param(ONE[:7], Reason.TRUNCATED, "header", 0, id="7 bytes"),
        pytest.param(ONE[:8], Reason.TRUNCATED, "addresses", 8, id="no addresses"),
        pytest.param(ONE[:15], Reason.TRUNCATED, "addresses", 8, id="addresses torn"),
        pytest.param(ONE6[:39], Reason.TRUNCATED, "addresses", 8, id="IPv6 addresses torn"),
        pytest.param(TWO[:16], Reason.TRUNCATED, "time", 16, id="no time"),
        pytest.param(TWO[:27], Reason.TRUNCATED, "time", 16, id="time without its padding"),
        pytest.param(TWO6[:51], Reason.TRUNCATED, "time", 40, id="IPv6, time torn"),
        pytest.param(patched(ONE, 2, 0), Reason.FAMILY, "family", 2, id="family 0"),
        pytest.param(patched(TWO, 2, 30), Reason.FAMILY, "family", 2, id="family 30"),
        pytest.param(patched(ONE, 2, 10), Reason.HEADER_LENGTH, "hp_l", 1, id="IPv6 with IPv4's length"),
        pytest.param(patched(ONE, 1, 0), Reason.HEADER_LENGTH, "hp_l", 1, id="length 0"),
        pytest.param(patched(ONE, 1, 28), Reason.HEADER_LENGTH, "hp_l", 1, id="HEP1 with a time's length"),
        pytest.param(patched(TWO, 1, 27), Reason.HEADER_LENGTH, "hp_l", 1, id="HEP2, length 27"),
        pytest.param(patched(ONE, 0, 3), Reason.MAGIC, "header", 0, id="version 3"),
        pytest.param(patched(ONE, 0, 0), Reason.MAGIC, "header", 0, id="version 0"),
    ],
)
def test_malformed(data: bytes, reason: Reason, part: str, offset: int) -> None:
    with pytest.raises(HepError) as caught:
        decode(data)
    assert (caught.value.reason, caught.value.chunk, caught.value.offset) == (reason, part, offset)


@pytest.mark.parametrize(("data", "length"), [(TWO, 28), (TWO6, 52)])
def test_header_length_may_count_the_time(data: bytes, length: int) -> None:
    assert decode(patched(data, 1, length)) == decode(data)


def test_padding_is_not_looked_at() -> None:
    # siptrace's own is the uninitialised tail of a C struct.
    assert decode(patched(TWO, 27, 0xAA)) == decode(TWO)


def test_capture_id_keeps_16_bits() -> None:
    # As siptrace: 70000 is recorded as 4464.
    assert decode(encode(replace(sip_packet(), capture_id=70_000), 2)).capture_id == 4464


def test_the_rest_stays_behind() -> None:
    rich = replace(sip_packet(), correlation_id=b"c", auth_key=b"k", vlan=7, compressed=True)
    assert encode(rich, 1) == ONE
    assert encode(rich, 2) == TWO


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("field", ["source", "destination", "source_port", "destination_port", "protocol"])
def test_field_missing(field: str, version: int) -> None:
    with pytest.raises(HepError, match=f"^{field}: ") as caught:
        encode(changed(sip_packet(), field, None), version)
    assert caught.value.reason is Reason.MISSING


@pytest.mark.parametrize("field", ["seconds", "microseconds", "capture_id"])
def test_time_missing(field: str) -> None:
    packet = changed(sip_packet(), field, None)
    with pytest.raises(HepError, match=f"^{field}: "):
        encode(packet, 2)
    assert encode(packet, 1) == ONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", 256),
        ("source_port", 65_536),
        ("destination_port", -1),
        ("seconds", 1 << 32),
        ("capture_id", -1),
    ],
)
def test_number_too_large(field: str, value: int) -> None:
    with pytest.raises(HepError, match=f"^{field}: {value} ") as caught:
        encode(changed(sip_packet(), field, value), 2)
    assert caught.value.reason is Reason.RANGE


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(replace(sip_packet(), source=bytes(16)), id="families differ"),
        pytest.param(replace(sip_packet(), family=10), id="family of another address"),
        pytest.param(replace(sip_packet(), family=30), id="no such family"),
        pytest.param(replace(sip_packet(), source=bytes(5), destination=bytes(5)), id="5 bytes"),
    ],
)
def test_addresses_and_family_must_agree(packet: Packet) -> None:
    with pytest.raises(HepError) as caught:
        encode(packet, 1)
    assert caught.value.reason is Reason.FAMILY


@pytest.mark.parametrize(("version", "v6", "room"), [(1, False, 16), (1, True, 40), (2, False, 28), (2, True, 52)])
def test_longest_message(version: int, v6: bool, room: int) -> None:
    payload = bytes(65_535 - room)
    assert len(encode(sip_packet(payload, v6), version)) == 65_535
    with pytest.raises(HepError, match=r"^packet: 65536 bytes, at most 65535$") as caught:
        encode(sip_packet(payload + b"x", v6), version)
    assert caught.value.reason is Reason.TOO_LONG
