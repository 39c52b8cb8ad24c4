"""Round trips of arbitrary packets, and golden packets mutated in every way.

HEP_FUZZ_CASES sets the number of cases of each property.
"""

import os
from dataclasses import replace

import pytest
from hep_samples import golden
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hep import (
    CHUNKS,
    HLOG_ORDER,
    SIP_ORDER,
    Chunk,
    HepError,
    Order,
    Packet,
    Reason,
    StreamDecoder,
    decode,
    encode,
)

pytestmark = pytest.mark.once

CASES = int(os.environ.get("HEP_FUZZ_CASES", "2000"))
fuzz = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

GOLDEN = [sample.data for sample in golden()]
CODES = {"B": 8, "H": 16, "I": 32, "Q": 64}


def values(field: str, layout: str) -> st.SearchStrategy[int | bytes | None]:
    if layout.endswith("s"):
        return st.none() | st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
    if layout:
        return st.none() | st.integers(0, (1 << CODES[layout]) - 1)
    return st.none() | st.binary(max_size=300)


EXTRA = st.builds(Chunk, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=50)).filter(
    lambda chunk: chunk.vendor != 0 or (chunk.type != 0 and chunk.type not in CHUNKS)
)
PACKETS = st.builds(
    Packet,
    compressed=st.booleans(),
    extra=st.lists(EXTRA, max_size=3).map(tuple),
    **{layout.field: values(layout.field, layout.format) for layout in CHUNKS.values()},
)


@fuzz
@given(PACKETS, st.sampled_from([SIP_ORDER, HLOG_ORDER]))
def test_hep3_round_trip(packet: Packet, order: Order) -> None:
    wanted = replace(packet, family=packet.ip_family, compressed=packet.compressed and packet.payload is not None)
    assert decode(encode(packet, order=order)) == wanted


@st.composite
def old_packets(draw: st.DrawFn) -> Packet:
    """Packets with all that HEP2 carries, and no more."""
    width = draw(st.sampled_from([4, 16]))
    address, port, word = (
        st.binary(min_size=width, max_size=width),
        st.integers(0, 0xFFFF),
        st.integers(0, (1 << 32) - 1),
    )
    return Packet(
        source=draw(address),
        destination=draw(address),
        source_port=draw(port),
        destination_port=draw(port),
        protocol=draw(st.integers(0, 255)),
        family=2 if width == 4 else 10,
        seconds=draw(word),
        microseconds=draw(word),
        capture_id=draw(port),
        payload=draw(st.binary(max_size=300)),
    )


@fuzz
@given(old_packets())
def test_hep1_and_hep2_round_trip(packet: Packet) -> None:
    assert decode(encode(packet, 2)) == packet
    assert decode(encode(packet, 1)) == replace(packet, seconds=None, microseconds=None, capture_id=None)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A golden packet after flips, cuts, insertions and splices, half of them with a right total length."""
    data = bytearray(draw(st.sampled_from(GOLDEN)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "cut", "remove", "insert", "splice"]))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 12))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "splice":
            other = draw(st.sampled_from(GOLDEN))
            data[at:] = other[draw(st.integers(0, len(other))) :]
    if len(data) >= 6 and draw(st.booleans()):
        data[4:6] = len(data).to_bytes(2, "big")
    return bytes(data)


@fuzz
@given(mutants())
def test_mutants_are_refused_or_survive_another_trip(data: bytes) -> None:
    try:
        packet = decode(data)
    except HepError as error:
        assert error.reason in Reason
        assert error.offset is not None
        assert 0 <= error.offset <= len(data)
        return
    version = 3 if data[:1] in b"HE" else data[0]
    assert decode(encode(packet, version)) == replace(packet, family=packet.ip_family)


@fuzz
@given(st.lists(mutants() | st.sampled_from(GOLDEN), max_size=4).map(b"".join), st.integers(1, 700))
def test_a_bad_stream_is_the_same_in_any_segments(data: bytes, size: int) -> None:
    whole = drained(data)
    assert drained(*(data[i : i + size] for i in range(0, len(data), size))) == whole


def drained(*segments: bytes) -> list[str]:
    decoder, seen = StreamDecoder(), []
    for segment in segments:
        decoder.feed(segment)
        ended = False
        while not ended:
            try:
                packet = next(decoder, None)
                ended = packet is None
                seen += [] if packet is None else [repr(packet)]
            except HepError as error:
                seen.append(str(error))
    return seen
