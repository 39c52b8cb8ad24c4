"""Paths of foreign bytes other than packets: exported PDUs, compressed files, copies on a stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
from importlib.util import find_spec
from random import Random
from struct import pack

from fuzz_corpus import TOKENS, captures, payloads

from capture_agent.records.datagram import Datagram
from capture_agent.sinks.sip.exact_message import FRAMING, NO_HEADER_END, NOT_SIP, framed
from capture_agent.streams.streams import Streams

EXPORT_PDU = 252
NEXT = b"OPTIONS sip:next@b SIP/2.0\r\nCall-ID: n\r\nContent-Length: 0\r\n\r\n"
START_LINE = b"BYE sip:a@b SIP/2.0\r\n"


def exported() -> list[tuple[int, bytes]]:
    """Tags of each transport, address family and dissector, and tags that do not end."""

    def tag(number: int, value: bytes) -> bytes:
        value += bytes(-len(value) % 4)
        return pack(">HH", number, len(value)) + value

    found = []
    for name in (b"sip", b"sip.tcp", b"udp", b"tcp", b"sctp", b"ip", b"eth_withoutfcs"):
        for port_type in range(4):
            for first, size in ((20, 4), (22, 16)):
                found.append(
                    tag(1, b"comment") + tag(12, name) + tag(first, bytes(size)) + tag(first + 1, b"\1" * size)
                    + tag(24, pack(">I", port_type)) + tag(25, pack(">I", 5060)) + tag(26, pack(">I", 5061))
                    + tag(34, bytes(19)) + bytes(4) + NEXT
                )  # fmt: skip
    found.append(tag(30, b"") * 70 + bytes(4) + NEXT)
    return [(EXPORT_PDU, frame) for frame in found]


def compressed() -> list[bytes]:
    """Each compression; several members and captures in a file; nested compression."""
    short = sorted(captures(), key=len)[-8:-4]
    packers = [lambda data: gzip.compress(data, mtime=0), bz2.compress, lzma.compress]
    if find_spec("zstandard"):
        import zstandard

        packers.append(zstandard.ZstdCompressor().compress)
    if find_spec("lz4"):
        import lz4.frame

        packers.append(lz4.frame.compress)
    packed = [pack_one(data) for pack_one in packers for data in short]
    joined = [short[0] + short[1], short[1] * 2, *(pack_one(short[0]) + pack_one(short[1]) for pack_one in packers)]
    return [*packed, *joined, gzip.compress(packed[-1], mtime=0), packed[0] + packed[-1], short[0] + packed[0]]


def stream_messages() -> list[bytes]:
    bodies = [(b"Content-Length: 5\r\n", b"hello"), (b"l:0\r\n", b"INVITE sip:x SIP/2.0\r\n\r\n"), (b"", b"v=0")]
    return [START_LINE + headers + b"Call-ID: 1\r\n\r\n" + body for headers, body in bodies] + payloads()[:100]


def run_framing(sample: int, data: bytes, draw: Random) -> None:
    """A copy on a stream is one message for its receiver: the next one begins where it should."""
    copy = framed(data)
    if isinstance(copy, str):
        assert copy in (NO_HEADER_END, FRAMING, NOT_SIP)
        return
    assert framed(copy) == copy
    assert copy.endswith(data.partition(b"\r\n\r\n")[2] if data[:1] not in b" \t\r\n" else b"")
    if not copy.startswith(START_LINE) or len(copy) > 60_000:
        return
    stream = bytes(8) + copy + NEXT
    segment = Datagram(stream, 8, len(stream), 0, 4, 5060, 5061, 1, 1, 6, "tcp", sequence=0, flags=2)
    streams = Streams()
    got = [message.payload for message in streams.messages([segment]) + streams.close()]
    assert got == [copy, NEXT], got


EDGE_TOKENS = [b"Content-Length: 3\r\n", b"l : 9\r\n", b"\r\n ", b"\r\n\r\n", NEXT, *TOKENS]
