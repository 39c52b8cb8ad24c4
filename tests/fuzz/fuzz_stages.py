"""The stages with state: mutants as fragments, TCP segments, WebSocket frames and SCTP chunks, against plain models."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import fuzz_paths  # noqa: F401
import test_sctp
from fuzz_corpus import TOKENS
from fuzz_mutations import Target
from stream_samples import FIN, RST, SYN, request, response, segment, syn
from test_websocket import GET, TEXT, Deflater, frame, switching

from capture_agent.packet.defrag import LONGEST, Defragmenter
from capture_agent.records.datagram import Datagram
from capture_agent.streams.counts import NAMES, Counts
from capture_agent.streams.sctp import SctpAssociations
from capture_agent.streams.streams import Streams
from capture_agent.streams.websocket import WebSocket

FRAGMENT = struct.Struct("!BBHBH")  # key, more, offset, length, milliseconds


def fragments() -> list[bytes]:
    """Programs of FRAGMENT records: in order, backwards, overlapping, twice, of several datagrams in turn."""
    parts = [FRAGMENT.pack(1, n < 4, 8 * n, 8, 1) for n in range(5)]
    wide = [FRAGMENT.pack(2, n < 3, 80 * n, 88 if n < 3 else 40, 1) for n in range(4)]
    late = [FRAGMENT.pack(1, 1, 0, 8, 40_000), FRAGMENT.pack(1, 0, 8, 3, 1)]
    turns = [one for pair in zip(parts, wide, strict=False) for one in pair]
    far = [FRAGMENT.pack(3, 1, 65_528 - 8 * n, 8, 0) for n in range(20)]
    return [b"".join(order) for order in (parts, parts[::-1], wide, wide * 2, parts * 3, late * 2, turns * 2, far)]


class FragmentRun:
    """Bounds and balance always hold, and a resulting datagram consists of bytes that went in."""

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        table = Defragmenter(limit_datagrams=draw.choice((1, 2, 10)), limit_bytes=draw.choice((1500, 4000, 100_000)))
        given: dict[int, list[tuple[int, bytes]]] = {}
        now = draw.choice((0, 10**18, -(10**18)))
        for n, at in enumerate(range(0, len(data) - FRAGMENT.size + 1, FRAGMENT.size)):
            key, more, offset, length, wait = FRAGMENT.unpack_from(data, at)
            key, payload = key % 4, bytes([n % 256]) * length
            now += wait * draw.choice((1, 1, 1, -1)) * 10**6
            refused = table.refused.total()
            whole = table.add(bytes([key]), offset, bool(more & 1), payload, now)
            if table.refused.total() == refused:
                given.setdefault(key, []).append((offset, payload))
            if whole is not None:
                assert 0 < len(whole) <= LONGEST
                assert made_of(whole, given[key])
            counts = dict(table.accounts())
            assert sum(counts.values()) == table.seen == n + 1
            assert min(counts.values()) >= 0
            assert 0 <= table.held_bytes <= table.limit_bytes
            assert counts["waiting"] >= table.incomplete <= table.limit_datagrams


def made_of(whole: bytes, given: list[tuple[int, bytes]]) -> bool:
    """Whether each byte came in a fragment for that place."""
    places: list[set[int]] = [set() for _ in whole]
    for offset, payload in given:
        for place in range(offset, min(offset + len(payload), len(whole))):
            places[place].add(payload[0])
    return all(byte in possible for byte, possible in zip(whole, places, strict=True))


def streams_of_sip() -> list[bytes]:
    """One direction of a connection."""
    bodies = [request(1, b"v=0\r\n" * 9), request(2), response(3, b"x" * 30), request(4, method=b"INFO")]
    folded = b"INVITE sip:a SIP/2.0\r\nContent-Length:\r\n 3\r\nA: b\r\n c\r\n\r\nxyz" + request(5)
    odd = request(6, length=b"Content-Length: 99999999999\r\n") + request(7, b"ab", length=b"l: 2\r\n") + request(8)
    websocket = GET + frame(bodies[0], key=b"abcd") + frame(bodies[1][:9], fin=False) + frame(bodies[1][9:], 0)
    squeeze = Deflater()
    answer = (
        switching(b"permessage-deflate") + frame(squeeze(bodies[2]), rsv1=True) + frame(squeeze(bodies[2]), rsv1=True)
    )
    return [b"".join(bodies), b"\r\n\r\n".join(bodies), folded, odd, websocket, answer, bodies[0][40:] + bodies[1]]


class SegmentRun:
    """A mutated stream in one piece, then cut, out of order and in part sent again: the same messages."""

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        isn = draw.choice((0, 1000, 2**32 - 1, 2**32 - 40))
        one, whole = taken([syn(isn), segment(data, isn + 1)], Streams())
        cut, pieces = taken([syn(isn), *shuffled(data, isn, draw)], Streams())
        if not (is_searched(whole) or is_searched(pieces)):
            assert [message.payload for message in one] == [message.payload for message in cut]
        times = [message.time_ns for message in cut]
        assert all(before < after for before, after in pairwise(times))
        taken(list(hostile(data, isn, draw)), Streams(max_streams=3, max_bytes=draw.choice((100, 5000))))


def is_searched(streams: Streams) -> bool:
    """Whether a start line was searched. Then the start of a segment counts, so the result may depend on the cuts.

    Often before the first message and where a WebSocket may begin; rarely after a message, if a line that looks like a
    start line is followed by an invalid header.
    """
    return bool(streams.counts.foreign or streams.counts.not_sip_bytes or streams.counts.skipped_bytes)


def taken(segments: list[Datagram], streams: Streams) -> tuple[list[Datagram], Streams]:
    out = []
    for first in range(0, len(segments), 3):
        out += streams.messages(segments[first : first + 3])
        outcomes = {**streams.outcomes(), **streams.rejected()}
        assert sum(outcomes.values()) == streams.counts.seen
        assert min(outcomes.values()) >= 0
        assert streams.buffered >= 0
    out += streams.close()
    assert (streams.counts.waiting, streams.buffered, len(streams)) == (0, 0, 0)
    assert min(int(getattr(streams.counts, name)) for name in NAMES if name != "rejected") >= 0
    return out, streams


def shuffled(data: bytes, isn: int, draw: Random) -> list[Datagram]:
    edges = [
        0,
        *sorted(draw.sample(range(1, len(data)), min(draw.randrange(12), len(data) - 1)) if len(data) > 1 else []),
    ]
    pieces = list(pairwise([*edges, len(data)]))
    for _ in range(draw.randrange(4)):  # again, with what lies around it
        start = draw.randrange(len(data) + 1)
        pieces.append((start, draw.randint(start, len(data))))
    order = sorted(range(len(pieces)), key=lambda n: n + draw.random() * draw.choice((0, 1, 4)))
    frames = enumerate((pieces[n] for n in order), 1)
    return [segment(data[start:end], isn + 1 + start, frame=n) for n, (start, end) in frames]


def hostile(data: bytes, isn: int, draw: Random) -> Iterator[Datagram]:
    """Segments of several connections, anywhere, with different bytes in the same places, cut by the snap length."""
    for n in range(draw.randrange(20)):
        start = draw.randrange(len(data) + 1)
        end = draw.randint(start, len(data))
        away = draw.choice((0, 0, 0, 1, -1, 70_000, 2**31, 2**24, -(2**24)))
        flags = draw.choice((16, 16, 16, SYN, FIN, RST, SYN | FIN, FIN | RST, 255))
        time_ns = draw.choice((n, n, n, 10**18, -(10**18), 2**62 - 1, -(2**62) + 1))
        ports = (draw.randrange(5), 5060)
        missing = draw.choice((0, 0, 0, 1, 1000))
        yield segment(data[start:end], isn + 1 + start + away, flags, n, time_ns, ports, missing=missing)


def frames_of_websockets() -> list[bytes]:
    squeeze = Deflater()
    plain = frame(request(1, b"x" * 200), key=b"abcd") + frame(b"", 9) + frame(request(2)[:5], fin=False)
    packed = b"".join(frame(squeeze(request(n)), rsv1=True) for n in range(3))
    return [
        plain + frame(b"ping", 9) + frame(request(2)[5:], 0),
        packed,
        frame(b"y" * 70_000) + frame(request(3), TEXT),
    ]


class WebSocketRun:
    """However the bytes are cut: the same messages and the same counts."""

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        deflate = draw.choice((None, True, False))
        whole, counts = WebSocket(deflate), Counts()
        messages = whole.feed(data, counts)
        pieces, others = WebSocket(deflate), Counts()
        edges = [0, *sorted(draw.randrange(len(data) + 1) for _ in range(draw.randrange(9))), len(data)]
        cut = [message for start, end in pairwise(edges) for message in pieces.feed(data[start:end], others)]
        assert cut == messages
        assert all(getattr(counts, name) == getattr(others, name) for name in NAMES if name != "rejected")
        assert whole.failed == pieces.failed
        lossy, lost = WebSocket(deflate), Counts()
        for start, end in pairwise(edges):
            if draw.random() < 0.3 and not lossy.lose(end - start):
                return
            lossy.feed(data[start:end], lost)
            assert 0 <= lossy.buffered <= 3 * (1 << 20)


def chunks() -> list[bytes]:
    whole = test_sctp.data(1, request(1)) + test_sctp.data(2, request(2), 7)
    parts = test_sctp.three(10, request(3)) + test_sctp.i_three([20, 21, 22], request(4))
    other = test_sctp.chunk(3, 0, bytes(12)) + test_sctp.init_ack(7, 99) + test_sctp.chunk(4, 0, b"beat")
    return [whole, b"".join(parts), b"".join(parts[::-1]), other + whole, whole + other + b"".join(parts)]


class SctpRun:
    """One association table for many mutants, small, so that entries are evicted."""

    def __init__(self) -> None:
        self._sctp = SctpAssociations(limit_associations=5, limit_bytes=5000)
        self._now = 0

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        self._now += draw.choice((0, 1, 10**9, 10**11, -(10**11)))
        cut = draw.choice((0, 0, 0, draw.randrange(len(data) + 1)))
        back = draw.random() < 0.2
        packet = test_sctp.packet(data, tag=draw.randrange(8), time_ns=self._now, cut=cut, back=back, frame=int(back))
        for message in self._sctp.feed(packet):
            assert message.payload
            # A packet may also let go what an association of the other direction has held: the frame says which.
            way = (test_sctp.HERE, test_sctp.THERE)
            assert (message.source, message.destination) == (way[::-1] if message.frame else way)
        test_sctp.balanced(self._sctp)


def stage_targets() -> dict[str, Target]:
    return {
        "fragments": Target(fragments(), [bytes(7), b"\xff" * 7], FragmentRun()),
        "segments": Target(streams_of_sip(), TOKENS, SegmentRun()),
        "websocket": Target(frames_of_websockets(), [bytes(2), b"\xff" * 10, *TOKENS], WebSocketRun()),
        "sctp": Target(chunks(), [bytes(4), b"\0\x03\0\x14", b"\x40\x03\xff\xff"], SctpRun()),
    }
