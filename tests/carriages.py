"""SIP messages as IP packets, in every form that a capture agent sees: whole, in pieces, out of order, with a loss.

`carry(family, carriage)` returns the packets, and the messages that a reader gets from them. Each message has its own
Call-ID, each carriage its own port, so that several of them may share a capture.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from itertools import pairwise
from typing import NamedTuple

IPV4, IPV6 = 4, 6
FAMILIES = (IPV4, IPV6)
UDP, TCP = 17, 6
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10

ADDRESSES = {IPV4: ("192.0.2.1", "192.0.2.2"), IPV6: ("2001:db8::1", "2001:db8::2")}
SERVER_PORT = 5060
FIRST_PORT = 20000

# TCP sequence numbers: some streams wrap around on the way.
EARLY, LATE = 1000, 0xFFFFFF80


class Carried(NamedTuple):
    packets: list[bytes]
    messages: list[bytes]
    port: int  # of the client, who sends


def message(method: str, call_id: str, body: bytes = b"", length: str = "Content-Length") -> bytes:
    head = (
        f"{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{call_id}\r\nFrom: <sip:a@h>;tag=1\r\n"
        f"To: <sip:b@h>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n{length}: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@lru_cache
def messages(name: str, count: int) -> list[bytes]:
    """A call's worth, over and over: with a body, without one, with the compact form of Content-Length."""
    sdp = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    shapes = [("INVITE", sdp, "Content-Length"), ("INFO", b"Signal=1\r\n", "l"), ("BYE", b"", "Content-Length")]
    return [
        message(method, f"{name}-{n}", body, length)
        for n, (method, body, length) in enumerate((shapes * count)[:count])
    ]


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))
    total += data[-1] << 8 if len(data) & 1 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(family: int) -> tuple[bytes, bytes]:
    source, destination = ADDRESSES[family]
    return ip_address(source).packed, ip_address(destination).packed


def ip_packet(family: int, protocol: int, payload: bytes, number: int = 1, fragment: int = 0) -> bytes:
    """`fragment`: offset in units of eight bytes, times eight; plus one if more follow."""
    source, destination = packed(family)
    if family == IPV4:
        flags = fragment >> 3 | (0x2000 if fragment & 1 else 0)
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, flags, 64, protocol, 0)
        header += source + destination
        return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload
    if fragment:
        payload = struct.pack(">BBHI", protocol, 0, fragment, number) + payload
        protocol = 44
    return struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64) + source + destination + payload


def checked(family: int, protocol: int, header: bytes, at: int, payload: bytes) -> bytes:
    """A UDP or TCP header with its checksum at this place, and the payload."""
    pseudo = b"".join(packed(family)) + struct.pack(">II", len(header) + len(payload), protocol)
    value = checksum(pseudo + header + payload) or 0xFFFF
    return header[:at] + struct.pack(">H", value) + header[at + 2 :] + payload


def udp(family: int, port: int, payload: bytes) -> bytes:
    return checked(family, UDP, struct.pack(">HHHH", port, SERVER_PORT, 8 + len(payload), 0), 6, payload)


def tcp(family: int, port: int, sequence: int, payload: bytes, flags: int = PSH | ACK) -> bytes:
    header = struct.pack(
        ">HHIIBBHHH", port, SERVER_PORT, sequence & 0xFFFFFFFF, 0 if flags == SYN else 1, 0x50, flags, 65535, 0, 0
    )
    return ip_packet(family, TCP, checked(family, TCP, header, 16, payload))


def whole(family: int, port: int, given: list[bytes]) -> list[bytes]:
    return [ip_packet(family, UDP, udp(family, port, one), n) for n, one in enumerate(given, 1)]


def fragments(family: int, port: int, given: list[bytes], size: int = 96) -> list[list[bytes]]:
    """The fragments of each datagram, in order. The identifications are the port's, so that no two carriages share one."""
    result = []
    for n, one in enumerate(given):
        datagram = udp(family, port, one)
        result.append(
            [
                ip_packet(family, UDP, datagram[at : at + size], port + 1000 * n, at | (at + size < len(datagram)))
                for at in range(0, len(datagram), size)
            ]
        )
    return result


def segments(stream: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """(offset, bytes) between these offsets."""
    edges = [0, *cuts, len(stream)]
    return [(edge, stream[edge:after]) for edge, after in pairwise(edges)]


def conversation(
    family: int, port: int, pieces: list[tuple[int, bytes]], first: int = EARLY, opened: bool = True
) -> list[bytes]:
    packets = [tcp(family, port, first - 1, b"", SYN)] if opened else []
    packets += [tcp(family, port, first + at, piece) for at, piece in pieces]
    last = max(at + len(piece) for at, piece in pieces)
    return [*packets, tcp(family, port, first + last, b"", FIN | ACK)]


def starts(given: list[bytes]) -> list[int]:
    return [sum(map(len, given[:n])) for n in range(len(given))]


def udp_whole(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    return whole(family, port, given), given


def udp_fragmented(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    return [packet for datagram in fragments(family, port, given) for packet in datagram], given


def udp_fragments_reversed(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    return [packet for datagram in fragments(family, port, given) for packet in reversed(datagram)], given


def tcp_in_headers(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    cuts = [at + part for at in starts(given) for part in (9, 70)]
    return conversation(family, port, segments(b"".join(given), cuts)), given


def tcp_in_body(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    cuts = [
        at + one.index(b"\r\n\r\n") + 4 + inside
        for at, one in zip(starts(given), given, strict=True)
        for inside in (0, 5)
        if not one.endswith(b"\r\n\r\n")
    ]
    return conversation(family, port, segments(b"".join(given), cuts)), given


def tcp_byte_by_byte(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """A short message in packets of one byte, and another message after it."""
    stream = b"".join(given[1:3])
    return conversation(family, port, segments(stream, list(range(1, len(given[1]) + 1)))), given[1:3]


def tcp_two_and_a_half(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Five messages in two segments, then one alone; the sequence numbers wrap."""
    begin = starts(given)
    cuts = [begin[2] + len(given[2]) // 2, begin[5]]
    return conversation(family, port, segments(b"".join(given), cuts), LATE), given


def tcp_reordered(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    stream = b"".join(given)
    pieces = segments(stream, list(range(100, len(stream), 100)))
    # The first stays first: before it nobody knows where the stream starts, but for the SYN.
    pieces[1:7] = [pieces[n] for n in (3, 1, 2, 6, 5, 4)]
    return conversation(family, port, pieces, LATE), given


def tcp_retransmitted(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Each segment twice, and every third one once more together with the bytes around it."""
    stream = b"".join(given)
    pieces = []
    for n, (at, piece) in enumerate(segments(stream, list(range(150, len(stream), 150)))):
        pieces += [(at, piece), (at, piece)]
        if n % 3 == 2:
            pieces.append((at - 40, stream[at - 40 : at + 190]))
    return conversation(family, port, pieces), given


def tcp_mid_stream(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """No SYN was seen, and the first segment begins inside the first message."""
    stream = b"".join(given)
    missed = len(given[0]) // 2
    pieces = [(at, piece) for at, piece in segments(stream, [missed, *range(missed + 170, len(stream), 170)]) if at]
    return conversation(family, port, pieces, opened=False), given[1:]


def tcp_with_a_loss(family: int, port: int, given: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The segment inside the third message never comes: all other messages do."""
    begin = starts(given)
    middle = begin[2] + 60
    cuts = [begin[1] + 50, middle, middle + 40, begin[4] + 50]
    pieces = [(at, piece) for at, piece in segments(b"".join(given), cuts) if at != middle]
    return conversation(family, port, pieces), [*given[:2], *given[3:]]


CARRIAGES: dict[str, Callable[[int, int, list[bytes]], tuple[list[bytes], list[bytes]]]] = {
    "udp": udp_whole,
    "udp-fragmented": udp_fragmented,
    "udp-fragments-reversed": udp_fragments_reversed,
    "tcp-in-headers": tcp_in_headers,
    "tcp-in-body": tcp_in_body,
    "tcp-byte-by-byte": tcp_byte_by_byte,
    "tcp-two-and-a-half": tcp_two_and_a_half,
    "tcp-reordered": tcp_reordered,
    "tcp-retransmitted": tcp_retransmitted,
    "tcp-mid-stream": tcp_mid_stream,
    "tcp-with-a-loss": tcp_with_a_loss,
}


@lru_cache
def carry(family: int, carriage: str) -> Carried:
    port = FIRST_PORT + 2 * list(CARRIAGES).index(carriage) + (family == IPV6)
    given = messages(f"{carriage}-ipv{family}", 6)
    packets, expected = CARRIAGES[carriage](family, port, given)
    return Carried(packets, expected, port)
