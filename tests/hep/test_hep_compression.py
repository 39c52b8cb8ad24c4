"""The compressed payload, chunk 0x0010."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hep_samples import chunk, hep3

from hep import HepError, Packet, Reason, decode, encode

pytestmark = pytest.mark.once

TEXT = b"OPTIONS sip:a@b SIP/2.0\r\n" * 20


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("text", [b"", TEXT, bytes(65_535)], ids=["empty", "SIP", "longest"])
def test_both_formats_are_read(compress: Callable[[bytes], bytes], text: bytes) -> None:
    assert decode(hep3(chunk(16, compress(text)))) == Packet(payload=text, compressed=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(raw_deflate(TEXT), Reason.COMPRESSION, id="raw deflate"),
        pytest.param(zlib.compress(TEXT)[:-1], Reason.COMPRESSION, id="checksum torn"),
        pytest.param(gzip.compress(TEXT)[:-9], Reason.COMPRESSION, id="end torn"),
        pytest.param(zlib.compress(TEXT)[:-1] + b"\0", Reason.COMPRESSION, id="checksum wrong"),
        pytest.param(zlib.compress(TEXT) + b"x", Reason.COMPRESSION, id="a byte behind"),
        pytest.param(gzip.compress(TEXT) * 2, Reason.COMPRESSION, id="two gzip members"),
        pytest.param(zlib.compress(bytes(65_536)), Reason.TOO_LONG, id="a byte too long"),
        pytest.param(gzip.compress(bytes(65_536)), Reason.TOO_LONG, id="gzip, a byte too long"),
    ],
)
def test_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(HepError) as caught:
        decode(hep3(chunk(7, b"\1\2"), chunk(16, data)))
    assert (caught.value.reason, caught.value.chunk, caught.value.offset) == (reason, "payload", 14)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(hep3(chunk(16, zlib.compress(bytes(20_000_000)))), id="one bomb"),
        pytest.param(hep3(chunk(16, zlib.compress(bytes(65_536))) * 700), id="many small ones"),
    ],
)
def test_bomb_costs_no_memory(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(HepError, match="inflates beyond 65535 bytes"):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_compressed_counts_before_plain() -> None:
    compressed, plain = chunk(16, zlib.compress(b"a")), chunk(15, b"b")
    for data in (hep3(compressed, plain), hep3(plain, compressed)):
        assert decode(data) == Packet(payload=b"a", compressed=True)


def test_written_as_gzip() -> None:
    data = encode(Packet(payload=TEXT, compressed=True))
    assert data[6:10] == b"\0\0\0\x10"
    assert gzip.decompress(data[12:]) == TEXT
    assert decode(data) == Packet(payload=TEXT, compressed=True)
    assert data == encode(Packet(payload=TEXT, compressed=True))


def test_no_payload_to_compress() -> None:
    assert encode(Packet(compressed=True)) == hep3()


def test_payloads_that_nobody_would_inflate_are_not_sent() -> None:
    assert len(encode(Packet(payload=bytes(65_535), compressed=True))) < 200
    with pytest.raises(HepError, match=r"^payload: 65536 bytes, at most 65535$") as caught:
        encode(Packet(payload=bytes(65_536), compressed=True))
    assert caught.value.reason is Reason.TOO_LONG
