"""HEP from outside: mutants as packets and as streams, through the framing, the unwrapping and the HEP sink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from random import Random

import fuzz_paths  # noqa: F401
from fuzz_corpus import packets, payloads
from fuzz_stages import taken
from stream_samples import segment, syn

from capture_agent.config import HepTarget
from capture_agent.intake.unwrapping import Refused, Unwrapping
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import HEP_LINK_TYPE, Frames, Interface
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_other import relayed_packet
from capture_agent.sources.hep_listener import HepBatches
from capture_agent.streams.layers import layers_with_hep
from capture_agent.streams.streams import Streams
from hep import Chunk, Packet, encode
from hep.batch import Encoder

OWN = b"relay--1"
NAME, KEY = "hep:192.0.2.1:9060", b"secret"
TARGET = HepTarget("192.0.2.2", capture_id=1, node_name="relay")
LONGEST = 65_535


def relayed_samples() -> list[bytes]:
    """Packets of each version, with each chunk that is read, and some that have been at other relays."""
    whole = Packet(
        source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", source_port=5060, destination_port=5080, protocol=17,
        seconds=1_700_000_000, microseconds=1, protocol_type=1, capture_id=7, correlation_id=b"leg", vlan=120,
        agent_name=b"sbc", auth_key=KEY, payload=payloads()[0],
    )  # fmt: skip
    path = partial(Chunk, 0xCA9E, 0x401)
    made = [
        *(replace(whole, protocol_type=kind) for kind in (5, 100, 200)),
        *(replace(whole, extra=(path(data),)) for data in (b"relay--2", OWN, b"relay--2" * 8, b"x")),
        replace(whole, source=bytes(16), destination=bytes(16), compressed=True, payload=bytes(60_000)),
    ]
    old = [encode(whole, version) for version in (1, 2)]
    return [*map(encode, made), *old, b"".join(map(encode, made[:3])), bytes(12), b"HEP3\0\x0c" + bytes(6), *packets()]


class RelayRun:
    """A mutant as a datagram, then as what a connection brings, in pieces. What comes out is what another relay takes."""

    def __init__(self) -> None:
        self._encoder = Encoder(TARGET.version, TARGET.capture_id, b"key", TARGET.node_name.encode())
        self._numbers = 0
        self._new()

    def _new(self) -> None:
        self._pipeline = Pipeline(unwrapping=Unwrapping({NAME: KEY}, OWN))

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        self._numbers += 1
        if self._numbers % 100 == 0:
            self._new()
        frames = Frames.of([data], HEP_LINK_TYPE, [draw.randrange(2**62)])
        if draw.random() < 0.2:
            frames.interfaces[:] = [Interface(NAME, HEP_LINK_TYPE)]
        self._through(frames)
        self._as_a_stream(data, draw)

    def _through(self, frames: Frames) -> None:
        before = self._pipeline.unwrapping.seen if self._pipeline.unwrapping is not None else 0
        traced = self._pipeline.process(frames)
        ledgers = self._pipeline.ledgers()
        assert [ledger for ledger in ledgers if ledger.difference] == []
        assert sum(ledger.seen for ledger in ledgers if ledger.name == "hep") == before + frames.count
        self._encode(traced)

    def _encode(self, traced: list[TracedMessage]) -> None:
        at = 0
        while at < len(traced):
            at, too_long = fill(self._encoder, traced, at, LONGEST, packed)
            at += too_long
            for start, end in pairwise([0, *self._encoder.ends]):
                next_one = Unwrapping(own=b"relay--9")
                next_one.unwrapped(PacketDecoder().decode(one_packet(bytes(self._encoder.buffer[start:end]))))
                assert next_one.seen == 1
                # A mutant may name the next one.
                assert next_one.rejected[Refused.HOPS] + next_one.rejected[Refused.LOOP] == sum(next_one.rejected)
            self._encoder.clear()

    def _as_a_stream(self, data: bytes, draw: Random) -> None:
        """Any cuts give the same packets, no more than one packet is kept, and what is broken says so."""
        stream = draw.choice((b"", encode(Packet(payload=b"x")))) + data
        places = sorted(draw.randint(0, len(stream)) for _ in range(draw.randrange(8)))
        whole, pieces = HepBatches(NAME), HepBatches(NAME)
        _, rest, broken = whole.read(reading(stream), b"")
        pending = b""
        for start, end in pairwise([0, *places, len(stream)]):
            if start < end:
                _, pending, ended = pieces.read(reading(stream[start:end]), pending)
                assert len(pending) < LONGEST
                if ended:
                    break
        else:
            assert not broken
            assert pending == rest
        found = whole.take()
        assert texts(found) == texts(pieces.take())
        self._through(found)
        segments = [segment(stream[start:end], 1001 + start) for start, end in pairwise([0, *places, len(stream)])]
        if draw.random() < 0.3 and segments:
            del segments[draw.randrange(len(segments))]
        taken([syn(1000), *segments], Streams(make_layers=layers_with_hep))


def reading(data: bytes) -> Callable[[memoryview], int]:
    """A socket's recv_into that finds this."""

    def read_into(room: memoryview) -> int:
        room[: len(data)] = data
        return len(data)

    return read_into


def packed(traced: TracedMessage) -> bytes:
    return relayed_packet(traced, TARGET, traced.message.origin or Origin())


def one_packet(data: bytes) -> Frames:
    return Frames.of([data], HEP_LINK_TYPE, [1])


def texts(frames: Frames) -> list[bytes]:
    return [frames.frame(n) for n in range(frames.count)]
