"""Streams of RTP with known faults, between the places that the calls of media_samples announce."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from media_samples import RAW_IP, SIP_A, SIP_B, START_NS, A, B, answer, bye, invite, packet, sdp

from capture_agent.records.frames import Frames

Sent = tuple[float, bytes]  # seconds after the begin, and the packet


def rtp(
    sequence: int, timestamp: int, ssrc: int = 0x11111111, kind: int = 0, *, marker: bool = False, payload: bytes = b"x"
) -> bytes:
    second = kind | (0x80 if marker else 0)
    return struct.pack(">BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


@dataclass(frozen=True)
class Speech:
    """`lost`, `late`, `twice`: the numbers of packets, from 0; a late one comes after the next `late_by`."""

    count: int = 500
    kind: int = 0
    rate: int = 8000  # of timestamps
    milliseconds: int = 20
    sequence: int = 1000
    timestamp: int = 50_000
    ssrc: int = 0x11111111
    jitter_ms: float = 0.0
    lost: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    late_by: int = 1
    twice: frozenset[int] = frozenset()
    silent: frozenset[int] = frozenset()  # packets that are not made: their time passes, their numbers do not
    begin: float = 1.0
    payload: int = 160
    seed: int = 1

    def sent(self) -> list[Sent]:
        random = Random(self.seed)
        found: list[Sent] = []
        sequence = self.sequence
        step = self.milliseconds / 1000
        after_silence = True
        for n in range(self.count):
            at = self.begin + n * step + random.random() * self.jitter_ms / 1000
            if n in self.silent:
                after_silence = True
                continue
            timestamp = self.timestamp + n * self.rate * self.milliseconds // 1000
            data = rtp(
                sequence, timestamp, self.ssrc, self.kind, marker=after_silence, payload=bytes([n & 255]) * self.payload
            )
            after_silence = False
            sequence += 1
            if n in self.lost:
                continue
            if n in self.late:
                at += self.late_by * step + 0.001
            found.append((at, data))
            if n in self.twice:
                found.append((at + 0.0005, data))
        return sorted(found, key=lambda one: one[0])


def dtmf(
    begin: float, sequence: int, timestamp: int, kind: int = 101, packets: int = 8, ssrc: int = 0x11111111
) -> list[Sent]:
    """One event (RFC 4733): packets with one timestamp, the last three with the end bit."""
    return [
        (
            begin + 0.02 * n,
            rtp(sequence + n, timestamp, ssrc, kind, marker=n == 0,
                payload=struct.pack(">BBH", 5, 0x8A if n >= packets - 3 else 0x0A, 160 * (n + 1))),
        )
        for n in range(packets)
    ]  # fmt: skip


def call_with(
    streams: Iterable[tuple[tuple[str, int], tuple[str, int], list[Sent]]],
    offer: bytes | None = None,
    answered: bytes | None = None,
    end: float | None = None,
) -> tuple[list[bytes], list[float]]:
    """A call between A and B with these streams, as packets of raw IP and their times."""
    given: list[Sent] = [
        (0.0, packet(SIP_A, SIP_B, invite(offer or sdp(*A)))),
        (0.5, packet(SIP_B, SIP_A, answer(200, answered or sdp(*B)))),
    ]
    for source, destination, sent in streams:
        given += [(at, packet(source, destination, data)) for at, data in sent]
    given.sort(key=lambda one: one[0])
    given.append(((given[-1][0] if end is None else end) + 0.1, packet(SIP_A, SIP_B, bye())))
    return [data for _, data in given], [at for at, _ in given]


def as_frames(packets: list[bytes], seconds: list[float], size: int = 1000) -> Iterator[Frames]:
    """In batches, as sources yield them."""
    for at in range(0, len(packets), size):
        times = [START_NS + round(1e6 * second) * 1000 for second in seconds[at : at + size]]
        yield Frames.of(packets[at : at + size], RAW_IP, times)


def write_pcap(path: Path, packets: list[bytes], seconds: list[float]) -> Path:
    """With microseconds."""
    data = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)]
    for one, second in zip(packets, seconds, strict=True):
        microseconds = START_NS // 1000 + round(1e6 * second)
        data.append(struct.pack("<IIII", *divmod(microseconds, 10**6), len(one), len(one)) + one)
    path.write_bytes(b"".join(data))
    return path


def lossy(speech: Speech, share: float, seed: int = 7) -> Speech:
    """With this share of the packets lost, but neither the first nor the last."""
    random = Random(seed)
    return replace(speech, lost=frozenset(n for n in range(1, speech.count - 1) if random.random() < share))
