"""HEP3 over TCP in any segmentation, and what a broken stream does."""

from itertools import pairwise

import pytest
from hep_samples import chunk, golden, hep3, sip_packet
from hypothesis import given, settings
from hypothesis import strategies as st

from hep import HepError, Packet, Reason, StreamDecoder, encode

pytestmark = pytest.mark.once

PACKETS = [sample for sample in golden() if sample.version == 3]
STREAM = b"".join(sample.data for sample in PACKETS)
SENT = [sample.packet for sample in PACKETS]
GOOD = encode(sip_packet())
BAD_CHUNK = hep3(chunk(7, b"\1"))


def replay(*segments: bytes) -> list[Packet | tuple[Reason, int | None]]:
    """What comes out, errors as reason and offset."""
    decoder = StreamDecoder()
    seen: list[Packet | tuple[Reason, int | None]] = []
    for segment in segments:
        decoder.feed(segment)
        while True:
            try:
                seen.append(next(decoder))
            except StopIteration:
                break
            except HepError as error:
                seen.append((error.reason, error.offset))
    return seen


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 100, 1460, 65_536])
def test_segments_of(size: int) -> None:
    assert replay(*(STREAM[i : i + size] for i in range(0, len(STREAM), size))) == SENT


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_segmentation_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    segments = [STREAM[begin:end] for begin, end in pairwise(edges)]
    assert replay(*segments) == SENT


PACKET = sip_packet()


@pytest.mark.parametrize(
    ("segments", "seen"),
    [
        pytest.param([b""], [], id="nothing"),
        pytest.param([GOOD[:5]], [], id="half a header"),
        pytest.param([GOOD[:-1]], [], id="last byte missing"),
        pytest.param([b"EEP1" + GOOD[4:]], [PACKET], id="draft magic"),
        pytest.param([GOOD + b"HEP4\0\6", GOOD], [PACKET, (Reason.MAGIC, len(GOOD))], id="framing lost"),
        pytest.param([GOOD, b"HEP", b"3\0\5", GOOD], [PACKET, (Reason.TOTAL_LENGTH, len(GOOD) + 4)], id="length 5"),
        pytest.param([encode(PACKET, 2)], [(Reason.MAGIC, 0)], id="HEP2 has no frames"),
        pytest.param([b"GET / HTTP/1.1\r\n\r\n"], [(Reason.MAGIC, 0)], id="HTTP"),
        pytest.param(
            [GOOD + BAD_CHUNK + GOOD],
            [PACKET, (Reason.CHUNK_SIZE, len(GOOD) + 6), PACKET],
            id="a bad chunk, then on",
        ),
    ],
)
def test_streams(segments: list[bytes], seen: list[object]) -> None:
    assert replay(*segments) == seen


def test_broken_once_and_for_all() -> None:
    decoder = StreamDecoder()
    with pytest.raises(HepError, match=r"^header: starts with b'junk', not b'HEP3' \(byte 0\)$"):
        list(decoder.feed(b"junk, junk"))
    assert decoder.broken
    assert list(decoder.feed(GOOD)) == []
    assert decoder.pending == 0


def test_feed_takes_the_bytes_even_if_nobody_iterates() -> None:
    decoder = StreamDecoder()
    decoder.feed(GOOD[:10])
    decoder.feed(GOOD[10:])
    assert list(decoder) == [PACKET]


def test_books() -> None:
    decoder = StreamDecoder()
    assert len(list(decoder.feed(STREAM + GOOD[:30]))) == len(SENT)
    assert (decoder.offset, decoder.pending) == (len(STREAM), 30)


def test_holds_no_more_than_one_packet() -> None:
    decoder, longest = StreamDecoder(), hep3(chunk(15, bytes(65_523)))
    stream = longest * 20
    for begin in range(0, len(stream), 9_999):
        for _ in decoder.feed(stream[begin : begin + 9_999]):
            pass
        assert decoder.pending < 65_535
