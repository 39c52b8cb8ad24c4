"""A layer of one's own between reassembly and what a stream carries: the others do not change for it."""

from __future__ import annotations

import struct
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_samples import MILLISECOND, SECOND, START, A, B, parts, request, response, run, segment, syn
from test_websocket import GET, Deflater, frame, switching

from capture_agent.records.datagram import NO_FRAME, Datagram
from capture_agent.streams.content import Content
from capture_agent.streams.counts import Counts
from capture_agent.streams.layer import Between, Layer
from capture_agent.streams.layers import MakeLayers, PutBelow, layers_of, with_below
from capture_agent.streams.outlet import Emitter, Outlet
from capture_agent.streams.streams import Streams

ONE, TWO, THREE, FOUR = request(1, b"v=0\r\n" * 20), response(2, b"x" * 60 + b"\r\n"), request(3), request(4, b"abc")
ALL = ONE + TWO + THREE + FOUR


def flipped(data: bytes) -> bytes:
    return bytes(byte ^ 0x80 for byte in data)


class Flip(Between):
    """Another byte for each."""

    def deliver(self, data: bytes, start: int, end: int) -> bool:
        return self.hand_on(flipped(data[start:end]))


HEADER = struct.Struct("!BHH")  # 0x16 or 0x17, a version, the length


class Records(Between):
    """Records like those of TLS: handed on whole, and marked. A gap within one loses it; a torn header ends all."""

    def __init__(self, emitter: Emitter, upper: Layer) -> None:
        super().__init__(emitter, upper)
        self.kept = b""
        self.skip = 0
        self.torn = False

    def buffered(self) -> int:
        return len(self.kept) + super().buffered()

    def is_foreign(self) -> bool:
        return self.torn or super().is_foreign()

    def deliver(self, data: bytes, start: int, end: int) -> bool:
        passing = min(self.skip, end - start)
        self.skip -= passing
        self.kept += data[start + passing : end]
        while len(self.kept) >= HEADER.size and not self.torn:
            kind, version, size = HEADER.unpack_from(self.kept)
            self.torn = kind not in (0x16, 0x17) or version != 0x0303
            if self.torn or len(self.kept) < HEADER.size + size:
                break
            record, self.kept = self.kept[HEADER.size :][:size], self.kept[HEADER.size + size :]
            if kind == 0x17:
                self.hand_on(record, "tls")
        if self.torn:
            self.kept = b""
        return True

    def lose(self, size: int, cut: bool) -> bool:
        rest = HEADER.size + HEADER.unpack_from(self.kept)[2] if len(self.kept) >= HEADER.size else 0
        self.torn = self.torn or size > rest - len(self.kept)
        self.skip, self.kept = max(0, rest - len(self.kept) - size), b""
        return super().lose(max(0, rest - HEADER.size), False)


def records(stream: bytes, size: int = 100) -> bytes:
    handshake = HEADER.pack(0x16, 0x0303, 7) + b"INVITE "
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    return handshake + b"".join(HEADER.pack(0x17, 0x0303, len(piece)) + piece for piece in pieces)


def below(layer: PutBelow) -> MakeLayers:
    return with_below(layers_of, layer)


def sent(stream: bytes, cuts: list[int], isn: int = 1000) -> list[Datagram]:
    return [segment(data, sequence, frame=n) for n, (sequence, data) in enumerate(parts(stream, cuts, isn), 1)]


def seen(segments: list[Datagram], make: MakeLayers) -> list[tuple[bytes, int, bytes, bytes, int, int, int, int]]:
    """All that a message has from the segment that completed it, and its bytes."""
    return [
        (m.payload, m.time_ns, m.source, m.destination, m.source_port, m.destination_port, m.frame, m.missing)
        for m in run(segments, Streams(make_layers=make))[0]
    ]


def plain(segments: list[Datagram]) -> list[Datagram]:
    """The same segments as the upper layer would have them."""
    return [segment(flipped(s.payload), s.sequence, s.flags, s.frame, s.time_ns, missing=s.missing) for s in segments]


N = len(ONE)
CASES = {
    "a message in each segment": [syn(), *sent(flipped(ALL), [N, N + len(TWO), N + len(TWO) + len(THREE)])],
    "cut anywhere": [syn(), *sent(flipped(ALL), [3, 40, N + 1, N + 50])],
    "reordered": [syn(), *sent(flipped(ALL), [40, N, N + 50])[::-1]],
    "sent again, overlapping": [syn(), *sent(flipped(ALL), [40, N]), *sent(flipped(ALL), [20, N - 9])],
    "a gap within a body": [syn(), *(s for s in sent(flipped(ALL), [N - 30, N - 20]) if s.frame != 2)],
    "a gap that hides the next start": [syn(), *(s for s in sent(flipped(ALL), [N - 30, N + 40]) if s.frame != 2)],
    "cut by the snap length": [syn(), segment(flipped(ONE[:-20]), 1001, frame=1, missing=20), segment(flipped(TWO), 1001 + N, frame=2)],
    "joined in the middle": sent(flipped(ALL[30:]), [N - 20, N + 10]),
    "joined at a boundary": sent(flipped(ALL), [N - 20]),
    "joined, then a gap": [s for s in sent(flipped(ALL[30:] + ALL), [N, N + 200]) if s.frame != 2],
    "another connection on the same ports": [
        syn(), *sent(flipped(ALL), [N]), syn(2**31), *sent(flipped(ALL), [N], 2**31),
    ],
}  # fmt: skip


@pytest.mark.parametrize("segments", [pytest.param(segments, id=name) for name, segments in CASES.items()])
def test_a_layer_below_changes_nothing_but_the_bytes(segments: list[Datagram]) -> None:
    """Time, addresses, ports, frame and what is missing are those of the segment that completed the message."""
    found = seen(segments, below(Flip))
    assert found == seen(plain(segments), layers_of)
    assert found
    assert {(source, destination) for _, _, source, destination, *_ in found} == {(A, B)}


@given(st.lists(st.integers(1, len(ALL) - 1), max_size=8), st.sets(st.integers(1, 9), max_size=2), st.booleans())
def test_so_it_is_wherever_the_stream_is_cut(cuts: list[int], lost: set[int], begun: bool) -> None:
    segments = [s for s in sent(flipped(ALL), cuts) if s.frame not in lost]
    segments = [syn(), *segments] if begun else segments
    assert seen(segments, below(Flip)) == seen(plain(segments), layers_of)


def test_layers_in_a_row() -> None:
    def twice(emitter: Emitter, joined: bool) -> Layer:
        return Records(emitter, Flip(emitter, Flip(emitter, Content(emitter, joined))))

    segments = [syn(), *sent(records(ALL), [50, 300])]
    assert [m[0] for m in seen(segments, twice)] == [ONE, TWO, THREE, FOUR]


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_records_that_do_not_end_with_segments(size: int, seed: int) -> None:
    """The segment that completes a message is the one that completes its last record."""
    stream = records(ALL, size)
    draw = Random(seed)
    edges = sorted({0, len(stream), *(draw.randrange(1, len(stream)) for _ in range(9))})
    segments = [segment(stream[a:b], 1001 + a, frame=n) for n, (a, b) in enumerate(pairwise(edges), 1)]
    out = run([syn(), *segments], Streams(make_layers=below(Records)))[0]
    assert [message.payload for message in out] == [ONE, TWO, THREE, FOUR]
    for message, end in zip(out, [N, N + len(TWO), N + len(TWO) + len(THREE), len(ALL)], strict=True):
        last = -(-end // size)  # the record with the last byte
        place = HEADER.size + 7 + last * HEADER.size + min(last * size, len(ALL))
        number = next(n for n, edge in enumerate(edges) if edge >= place)
        assert message.frame == number
        assert message.time_ns // MILLISECOND * MILLISECOND == START + number * MILLISECOND
        assert (message.transport, message.source, message.destination) == ("tls", A, B)
        assert message.data[: message.address_size * 2] == A + B
        assert message.frame_at == NO_FRAME


def test_a_lost_record_is_a_gap_in_what_it_carries() -> None:
    stream = records(ALL, 20)
    at = HEADER.size + 7 + 6 * (HEADER.size + 20)  # a record within the body of the first message
    segments = [segment(stream[: at + 8], 1001, frame=1), segment(stream[at + 18 :], 1001 + at + 18, frame=2)]
    out, streams = run([syn(), *segments], Streams(make_layers=below(Records)))
    assert [message.payload for message in out] == [TWO, THREE, FOUR]
    assert (streams.counts.gaps, streams.counts.lost_bytes, streams.counts.broken) == (1, 10, 1)


def test_what_a_layer_cannot_read_is_not_sip() -> None:
    """Joined within a record: its segments count as such, and nothing is looked for in them."""
    segments = sent(records(ALL)[3:], [40, 300])
    out, streams = run(segments, Streams(make_layers=below(Records)))
    assert out == []
    assert (streams.rejected()["not_sip"], streams.counts.joined) == (3, 1)


def test_what_a_layer_keeps_is_in_the_account() -> None:
    streams = Streams(make_layers=below(Records))
    streams.messages([syn(), segment(records(ALL)[:60], 1001)])
    assert streams.buffered == 60 - HEADER.size - 7
    streams.messages([segment(records(ALL)[60:], 1061, frame=1)])
    assert streams.buffered == 0


def test_a_layer_hears_what_the_other_direction_has_learned() -> None:
    """The compression of a WebSocket, agreed upon below a layer."""
    squeeze = Deflater()
    there = flipped(GET)
    back = flipped(switching(b"permessage-deflate; client_no_context_takeover"))
    message = flipped(frame(squeeze(ONE), rsv1=True) + frame(squeeze(ONE), rsv1=True))
    ends = {"ports": (5060, 40000), "addresses": B + A}
    segments = [
        syn(), syn(**ends), segment(there, 1001, frame=1), segment(back, 1001, frame=2, **ends),  # type: ignore[arg-type]
        segment(message, 1001 + len(there), frame=3),
    ]  # fmt: skip
    out, streams = run(segments, Streams(make_layers=below(Flip)))
    assert [m.payload for m in out] == [ONE]  # without takeover the second refers to what is not there
    assert streams.counts.undecoded == 1
    assert [m.transport for m in out] == ["ws"]


def test_a_websocket_in_records_is_secure() -> None:
    stream = records(GET + frame(ONE, key=b"abcd"))
    out = run([syn(), *sent(stream, [90])], Streams(make_layers=below(Records)))[0]
    assert [(m.payload, m.transport, m.frame) for m in out] == [(ONE, "wss", 2)]


READS_NOTHING: dict[str, MakeLayers] = {
    "alone": lambda emitter, joined: Layer(emitter),
    "above another": lambda emitter, joined: Between(emitter, Layer(emitter)),
}


@pytest.mark.parametrize("make", READS_NOTHING.values(), ids=READS_NOTHING)
def test_a_layer_that_reads_nothing_is_a_layer(make: MakeLayers) -> None:
    segments = [syn(), *sent(ALL, [9, 200, 300])]
    out, streams = run([*segments[:3], *segments[4:]], Streams(make_layers=make))
    assert out == []
    assert streams.rejected()["not_sip"] == 3
    assert streams.counts.not_sip_bytes == len(ALL) - 100


def test_a_layer_in_between_answers_as_the_next_one() -> None:
    """Between hands on every question of Layer: one that it forgot would be answered as by a layer that reads nothing."""
    emitter = Emitter(A + B, Outlet(Counts()))
    upper = Content(emitter, False)
    layer = Between(emitter, upper)
    questions = {name for name, value in vars(Layer).items() if not name.startswith("_") and callable(value)}
    own = {name for name, value in vars(Between).items() if not name.startswith("_") and callable(value)}
    assert questions - own == {"is_seeking", "passed"}  # it cannot take bytes that come late
    assert layer.is_foreign() == upper.is_foreign()
    assert layer.needs_order() == upper.needs_order()


def test_patience_with_a_gap_is_as_without_it() -> None:
    segments = [syn(), segment(flipped(ONE), 1001, frame=1), segment(flipped(THREE), 1001 + N + 50, frame=2)]
    streams = Streams(make_layers=below(Flip))
    assert [m.payload for m in streams.messages(segments)] == [ONE]
    out = streams.messages([segment(b"", time_ns=START + 20 * SECOND, ports=(1, 2))] * 9)
    assert [(m.payload, m.frame, m.time_ns) for m in out] == [(THREE, 2, START + 2 * MILLISECOND)]
