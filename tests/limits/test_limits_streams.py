"""The tables of streams/, and the fragments of packet/, under their worst input."""

from __future__ import annotations

import struct
import zlib

import pytest
from measuring import documented, held_mib, main

from capture_agent.packet.defrag import Defragmenter
from capture_agent.records.datagram import Datagram
from capture_agent.streams.limits import MAX_STREAMS
from capture_agent.streams.sctp import SctpAssociations
from capture_agent.streams.sctp_fragments import FIRST
from capture_agent.streams.streams import Streams

SYN, ACK = 2, 16
SECOND = 10**9


def segment(n: int, sequence: int, payload: bytes, flags: int = ACK) -> Datagram:
    """Of connection n."""
    data = struct.pack(">II", 0x0A000000 + n, 0x0B000000) + payload
    return Datagram(
        data, 8, len(data), 0, 4, 1024 + n % 50_000, 5060, SECOND, 1, 6, "tcp", sequence=sequence & 0xFFFFFFFF, flags=flags
    )  # fmt: skip


def half_open() -> Streams:
    streams = Streams()
    for n in range(MAX_STREAMS + 1000):
        streams.messages([segment(n, 0, b"", SYN)])
    return streams


def pieces_of_a_byte() -> Streams:
    streams = Streams()
    for n in range(250):
        streams.messages([segment(n, 0, b"", SYN)])
        streams.messages([segment(n, 3 + 2 * at, b"x") for at in range(1000)])
    return streams


def messages_that_never_end() -> Streams:
    streams = Streams()
    for n in range(90_000):
        streams.messages([segment(n, 0, b"", SYN), segment(n, 1, b"INVITE sip:a SIP/2.0\r\nX: " + b"x" * 700)])
        streams.messages([segment(n, 726, b"y" * 100)])
    return streams


def joined_in_the_middle() -> Streams:
    streams = Streams()
    for n in range(90_000):
        streams.messages([segment(n, 900 - 2 * at, b"x") for at in range(9)])
    return streams


def rivals_everywhere() -> Streams:
    streams = Streams()
    for n in range(MAX_STREAMS):
        streams.messages([segment(n, 0, b"", SYN), segment(n, 1, b"INV")])
        streams.messages([segment(n, 1_000_000_000 + at * 100_000_000, b"x") for at in range(4)])
        streams.messages([segment(n, 1_300_000_001, b"x")])
    return streams


def websockets() -> Streams:
    streams = Streams()
    get = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    for n in range(MAX_STREAMS):
        streams.messages([segment(n, 0, b"", SYN), segment(n, 1, get), segment(n, 1 + len(get), b"\x81\x7e\x0f")])
    return streams


def inflate_histories() -> Streams:
    """Full windows, of the server's direction."""
    streams = Streams()
    extensions = b"Sec-WebSocket-Extensions: permessage-deflate"
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n%s\r\n\r\n" % extensions
    squeeze = zlib.compressobj(wbits=-15)
    squeezed = (squeeze.compress(b"INVITE sip:a@b SIP/2.0\r\n" * 1500) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
    message = b"\xc1\x7e" + struct.pack(">H", len(squeezed)) + squeezed
    for n in range(5000):
        streams.messages([segment(n, 0, b"", SYN), segment(n, 1, answer), segment(n, 1 + len(answer), message)])
    return streams


def associations() -> SctpAssociations:
    """Full bitmaps, a handshake that proposes others, and rivals of which each has a full bitmap as well."""
    sctp = SctpAssociations()
    for n in range(11_000):
        feed(sctp, n, 5, b"x", 3)
        feed(sctp, n, 4100, b"x", 3)
        packet(sctp, n, 77, struct.pack(">BBHIIHHI", 2, 0, 20, n, 1, 1, 1, 1))
    for n in range(11_000):
        for rival in range(2):
            feed(sctp, n, 1_000_000 * (rival + 1), b"x", 3)
            feed(sctp, n, 1_000_000 * (rival + 1) + 4095, b"x", 3)
    return sctp


def sctp_fragments() -> SctpAssociations:
    sctp = SctpAssociations()
    for n in range(60_000):
        feed(sctp, n % 10_000, 1 + 3 * (n // 10_000), b"x", FIRST)
    return sctp


def feed(sctp: SctpAssociations, n: int, tsn: int, payload: bytes, flags: int) -> None:
    chunk = struct.pack(">BBHIHHI", 0, flags, 16 + len(payload), tsn, n % 7, n % 5, 0) + payload
    packet(sctp, n, 77, chunk)


def packet(sctp: SctpAssociations, n: int, tag: int, chunk: bytes) -> None:
    data = struct.pack(">IIHHII", 0x0A000000 + n, 0x0B000000, 5060, 5060, tag, 0) + chunk
    sctp.feed(Datagram(data, 20, len(data), 0, 4, 5060, 5060, SECOND, 1, 132, "sctp"))


def fragments_of_eight_bytes() -> Defragmenter:
    defragmenter = Defragmenter()
    for n in range(220_000):
        defragmenter.add(b"%013d" % (n // 2000), n % 2000 * 16, True, bytes(8), SECOND)
    return defragmenter


def one_fragment_each() -> Defragmenter:
    defragmenter = Defragmenter()
    for n in range(30_000):
        defragmenter.add(b"%013d" % n, 0, True, bytes(8), SECOND)
    for n in range(30_000):
        defragmenter.add(b"d%012d" % n, 8, False, bytes(1400), SECOND)
    return defragmenter


def completed_datagrams() -> Defragmenter:
    defragmenter = Defragmenter()
    for n in range(30_000):
        defragmenter.add(b"%013d" % n, 0, True, bytes(800), SECOND)
        defragmenter.add(b"%013d" % n, 800, False, bytes(n % 2000 + 1), SECOND)
    return defragmenter


CASES = {
    "TCP connections": half_open,
    "TCP pieces": pieces_of_a_byte,
    "TCP messages": messages_that_never_end,
    "TCP joined in the middle": joined_in_the_middle,
    "TCP rivals": rivals_everywhere,
    "WebSockets": websockets,
    "WebSocket inflate histories": inflate_histories,
    "SCTP associations": associations,
    "SCTP fragments": sctp_fragments,
    "IP fragments": fragments_of_eight_bytes,
    "IP datagrams": one_fragment_each,
    "IP datagrams completed": completed_datagrams,
}


@pytest.mark.parametrize("case", CASES)
def test_no_more_than_the_page_says(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
