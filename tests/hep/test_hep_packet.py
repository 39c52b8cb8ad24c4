"""Packet's conveniences, and the protocol tables."""

import pickle
from dataclasses import fields
from ipaddress import ip_address

import pytest
from hep_samples import sip_packet

import hep
from hep import CHUNKS, ChunkType, HepError, Packet, ProtocolType, Reason, Vendor, decode, version_of

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("v6", "text"), [(False, "192.0.2.1"), (True, "2001:db8::1")])
def test_addresses_as_objects(v6: bool, text: str) -> None:
    assert sip_packet(v6=v6).source_address == ip_address(text)
    assert str(sip_packet(v6=v6).destination_address) == text[:-1] + "2"


def test_no_addresses() -> None:
    assert Packet().source_address is Packet().destination_address is None


def test_key_is_not_in_the_repr() -> None:
    assert "hush" not in repr(Packet(auth_key=b"hush"))


def test_every_chunk_fills_a_field() -> None:
    named = {field.name for field in fields(Packet)} - {"compressed", "extra"}
    assert {layout.field for layout in CHUNKS.values()} == named


def test_revision_37_is_complete() -> None:
    assert set(CHUNKS) == {*range(1, 0x19), *range(0x20, 0x2A)}
    assert CHUNKS[0x0007] == ChunkType("source_port", "H")
    assert (CHUNKS[0x0007].size, CHUNKS[0x0005].size, CHUNKS[0x000F].size) == (2, 16, None)
    assert (ProtocolType.SIP, ProtocolType.LOG, Vendor.KAMAILIO) == (1, 100, 2)


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"\1", 1),
        (b"\2x", 2),
        (b"HEP3", 3),
        (b"EEP1\0\6", 3),
        (b"", None),
        (b"HEP", None),
        (b"SIP/2.0 200 OK", None),
    ],
)
def test_version_of(data: bytes, version: int | None) -> None:
    assert version_of(data) == version


def test_errors_survive_pickling() -> None:
    with pytest.raises(HepError) as caught:
        decode(b"HEP3\0\x0d\0\0\0\7\0\7\0")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.reason, error.offset) == (str(caught.value), Reason.CHUNK_SIZE, 6)
    assert str(error) == "source_port: 1 bytes, not 2 (byte 6)"


def test_exports_exist() -> None:
    assert [name for name in hep.__all__ if not hasattr(hep, name)] == []
