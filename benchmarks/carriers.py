"""The same SIP in TCP segments, IPv4 fragments and tunnels."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count, cycle
from random import Random

from benchmarks.packets import ETHERNET, MORE_FRAGMENTS, TCP, UDP, frame, ipv4, tcp, udp

FIN, SYN, PUSH, ACK = 1, 2, 8, 16
SEGMENT = 1460  # most bytes
SHORT_WRITES = 0.12  # share of segments that end early
HELD_BACK = 0.5  # share of messages that are sent with the next one, at most MOST together
MOST = 4
FRAGMENT = 552  # bytes: with an MTU of 576
TUNNEL_ENDS = bytes((203, 0, 113, 251)), bytes((203, 0, 113, 252))
VLAN, GTP_U, VXLAN = 0x8100, 2152, 4789
IP_IN_IP, GRE = 4, 47


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and its direction: `up` is from client to server."""

    at: float
    up: bool
    client: str
    client_port: int
    server: str
    data: bytes

    @property
    def ends(self) -> tuple[bytes, bytes]:
        client, server = IPv4Address(self.client).packed, IPv4Address(self.server).packed
        return (client, server) if self.up else (server, client)

    @property
    def ports(self) -> tuple[int, int]:
        return (self.client_port, 5060) if self.up else (5060, self.client_port)


Frames = Iterator[tuple[float, bytes]]


def plain(messages: Iterator[Message]) -> Frames:
    for message in messages:
        yield message.at, frame(message.up, *message.ends, *message.ports, message.data)


def fragments(messages: Iterator[Message]) -> Frames:
    """Two or three fragments for most messages, one for the shortest."""
    for number, message in enumerate(messages, 1):
        datagram = udp(*message.ports, message.data)
        for at in range(0, len(datagram), FRAGMENT):
            more = MORE_FRAGMENTS if at + FRAGMENT < len(datagram) else 0
            packet = ipv4(*message.ends, UDP, datagram[at : at + FRAGMENT], number, more | at >> 3)
            yield message.at + 1e-6 * at, ETHERNET[message.up] + packet


def tunnels(messages: Iterator[Message]) -> Frames:
    """GTP-U in a VLAN, VXLAN, GRE and IP in IP, in turn."""
    kinds: cycle[Callable[[bool, bytes], bytes]] = cycle((gtp_in_vlan, vxlan, gre, ip_in_ip))
    for message in messages:
        yield message.at, next(kinds)(message.up, ipv4(*message.ends, UDP, udp(*message.ports, message.data)))


def gtp_in_vlan(up: bool, packet: bytes) -> bytes:
    outer = ipv4(*TUNNEL_ENDS, UDP, udp(GTP_U, GTP_U, struct.pack("!BBHI", 0x30, 255, len(packet), 77) + packet))
    return ETHERNET[up][:12] + struct.pack("!HH", VLAN, 100) + ETHERNET[up][12:] + outer


def vxlan(up: bool, packet: bytes) -> bytes:
    inside = struct.pack("!II", 0x08000000, 77 << 8) + ETHERNET[up] + packet
    return ETHERNET[up] + ipv4(*TUNNEL_ENDS, UDP, udp(49152, VXLAN, inside))


def gre(up: bool, packet: bytes) -> bytes:
    return ETHERNET[up] + ipv4(*TUNNEL_ENDS, GRE, struct.pack("!HH", 0, 0x0800) + packet)


def ip_in_ip(up: bool, packet: bytes) -> bytes:
    return ETHERNET[up] + ipv4(*TUNNEL_ENDS, IP_IN_IP, packet)


@dataclass(slots=True)
class Connection:
    """One client's connection. In each pair the server's side is first, the client's second, as `up` indexes."""

    client: Message  # any of its messages, for the endpoints
    sequences: list[int]
    port: int = 5060
    waiting: tuple[list[bytes], list[bytes]] = field(default_factory=lambda: ([], []))

    def packet(self, up: bool, flags: int, payload: bytes = b"") -> bytes:
        ends = IPv4Address(self.client.client).packed, IPv4Address(self.client.server).packed
        ports = self.client.client_port, self.port
        if not up:
            ends, ports = (ends[1], ends[0]), (ports[1], ports[0])
        sent, heard = self.sequences[up], self.sequences[not up]
        self.sequences[up] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        return ETHERNET[up] + ipv4(*ends, TCP, tcp(ports, sent, heard, flags, payload))

    def handshake(self) -> Iterator[tuple[bool, bytes]]:
        """What the ends say before the first message, and whether it is the client."""
        return iter(())

    def wrapped(self, up: bool, data: bytes) -> bytes:
        """A message as it is sent."""
        return data

    def flush(self, up: bool, at: float, random: Random) -> Frames:
        """The data waiting in this direction, cut anywhere, and its acknowledgement."""
        stream = b"".join(self.waiting[up])
        self.waiting[up].clear()
        if not stream:
            return
        start = 0
        while start < len(stream):
            size = min(SEGMENT, len(stream) - start)
            if size > 40 and random.random() < SHORT_WRITES:
                size = random.randrange(1, size)
            yield at, self.packet(up, PUSH | ACK, stream[start : start + size])
            start += size
            at += 1e-5
        yield at, self.packet(not up, ACK)


def segments(messages: Iterator[Message]) -> Frames:
    return over(messages, Connection)


def over(messages: Iterator[Message], connect: Callable[[Message, list[int]], Connection]) -> Frames:
    """A connection per client, opened before its first message and closed at the end of the capture."""
    random = Random(3)
    connections: dict[tuple[str, int, str], Connection] = {}
    at = 0.0
    for message in messages:
        at = message.at
        key = message.client, message.client_port, message.server
        if (connection := connections.get(key)) is None:
            connection = connections[key] = connect(message, [random.getrandbits(32), random.getrandbits(32)])
            for up, flags in ((True, SYN), (False, SYN | ACK), (True, ACK)):
                yield at, connection.packet(up, flags)
            for up, data in connection.handshake():
                connection.waiting[up].append(data)
                yield from connection.flush(up, at, random)
        connection.waiting[message.up].append(connection.wrapped(message.up, message.data))
        if random.random() < HELD_BACK and len(connection.waiting[message.up]) < MOST:
            continue
        yield from connection.flush(not message.up, at, random)
        yield from connection.flush(message.up, at, random)
    for number, connection in zip(count(1), connections.values(), strict=False):
        at += 1e-5 * number
        for up in (True, False):
            yield from connection.flush(up, at, random)
        for up, flags in ((True, FIN | ACK), (False, FIN | ACK), (True, ACK)):
            yield at, connection.packet(up, flags)


CARRIERS: dict[str, Callable[[Iterator[Message]], Frames]] = {
    "udp": plain,
    "tcp": segments,
    "fragments": fragments,
    "tunnels": tunnels,
}
