"""SIP messages, and TCP segments as the decoder gives them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from capture_agent.records.datagram import Datagram
from capture_agent.streams.streams import Streams

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
A, B = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))


def request(n: int = 1, body: bytes = b"", method: bytes = b"OPTIONS", length: bytes | None = None) -> bytes:
    length_header = b"Content-Length: %d\r\n" % len(body) if length is None else length
    return b"%s sip:b@example.com SIP/2.0\r\nCall-ID: %d\r\n%s\r\n%s" % (method, n, length_header, body)


def response(n: int = 1, body: bytes = b"") -> bytes:
    return b"SIP/2.0 200 OK\r\nCall-ID: %d\r\nl: %d\r\n\r\n%s" % (n, len(body), body)


def segment(
    payload: bytes = b"",
    sequence: int = 1001,
    flags: int = ACK,
    frame: int = 1,
    time_ns: int | None = None,
    ports: tuple[int, int] = (40000, 5060),
    addresses: bytes = A + B,
    missing: int = 0,
    transport: str = "tcp",
) -> Datagram:
    data = b"##" + addresses + b"####" + payload + b"INVITE after the end"
    start = 6 + len(addresses)
    return Datagram(
        data, start, start + len(payload), 2, len(addresses) // 2, *ports,
        START + frame * MILLISECOND if time_ns is None else time_ns, frame, 6, transport,
        missing=missing, sequence=sequence & 0xFFFFFFFF, flags=flags,
    )  # fmt: skip


def syn(isn: int = 1000, frame: int = 0, **more: object) -> Datagram:
    return segment(b"", isn, SYN, frame, **more)  # type: ignore[arg-type]


def parts(stream: bytes, cuts: Iterable[int], isn: int = 1000) -> list[tuple[int, bytes]]:
    """The stream cut there: sequence number and payload of each segment."""
    edges = sorted({0, len(stream), *(cut for cut in cuts if 0 < cut < len(stream))})
    return [(isn + 1 + a, stream[a:b]) for a, b in itertools.pairwise(edges)]


def numbered(pieces: Iterable[tuple[int, bytes]], first: int = 1) -> list[Datagram]:
    return [segment(payload, sequence, frame=n) for n, (sequence, payload) in enumerate(pieces, first)]


def balanced(streams: Streams) -> bool:
    return streams.counts.seen == sum(streams.outcomes().values()) + sum(streams.rejected().values())


def run(segments: list[Datagram], streams: Streams | None = None, batch: int = 3) -> tuple[list[Datagram], Streams]:
    """All messages of these segments, those that come at the end included."""
    streams = Streams() if streams is None else streams  # an empty one is false
    out: list[Datagram] = []
    for n in range(0, len(segments), batch):
        out += streams.messages(segments[n : n + batch])
        assert balanced(streams)
        assert streams.counts.waiting >= 0
    out += streams.close()
    assert balanced(streams)
    assert (streams.counts.waiting, streams.buffered, len(streams)) == (0, 0, 0)
    assert streams.counts.messages == sum(message.protocol == 6 for message in out)
    return out, streams


def payloads(segments: list[Datagram]) -> list[bytes]:
    return [message.payload for message in run(segments)[0]]


def read_pcap(path: Path, batch: int = 250) -> Iterator[list[Datagram]]:
    """Ethernet, IPv4 and TCP without options, as the benchmark's generator writes them."""
    data = path.read_bytes()
    at, number = 24, 0
    while at < len(data):
        base, frames = at, []
        while at < len(data) and len(frames) < batch:
            seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
            frames.append((at + 16 - base, length, seconds * SECOND + micros * 1000))
            at += 16 + length
        buffer = data[base:at]
        found = []
        for start, length, time_ns in frames:
            number += 1
            source, destination, sequence = struct.unpack_from(">HHI", buffer, start + 34)
            found.append(
                Datagram(
                    buffer, start + 54, start + length, start + 26, 4, source, destination, time_ns, number, 6, "tcp",
                    sequence=sequence, flags=buffer[start + 47],
                )
            )  # fmt: skip
        yield found
