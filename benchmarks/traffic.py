"""Captures for benchmarks, the same bytes every time: SIP as carriers see it, alone, among RTP or in other packets.

    python -m benchmarks.traffic udp OUT.pcap 500000
    python -m benchmarks.traffic mixed OUT.pcap 100000     nine RTP packets for each SIP message
    python -m benchmarks.traffic media OUT.pcap 100000     the same, but the RTP is that of the calls
    python -m benchmarks.traffic tcp OUT.pcap 200000       several messages in a segment, messages over segments
    python -m benchmarks.traffic tls OUT.pcap 200000       the same in TLS 1.3, with its key log in OUT.keys
    python -m benchmarks.traffic fragments OUT.pcap 200000
    python -m benchmarks.traffic tunnels OUT.pcap 200000

62 % of the dialogs are calls (7 messages), 16 % registrations (4), 15 % OPTIONS (2), 7 % subscriptions (4); a message
has about 600 bytes. Addresses: 198.18.0.0/15 and 203.0.113.0/24, reserved for benchmarks and documentation.
"""

from __future__ import annotations

import heapq
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import BinaryIO

from benchmarks.carriers import CARRIERS, Frames, Message
from benchmarks.dialogs import DIALOGS, Fields, Step, message
from benchmarks.packets import frame
from benchmarks.tls_carrier import secured

START = 1_763_850_000.0
CLIENTS = 5000
CONNECTED = 500
DIALOGS_PER_SECOND = 60.0
RTP_PER_SIP = 9
MEDIA = "media"  # a carrier as udp, whose calls have the RTP
STREAMS = 54  # of 50 packets a second, if there are 300 SIP messages
ENDS = re.compile(rb"c=IN IP4 (\S+)\r\n(?:.*\r\n)*?m=audio (\d+) ")
UDP_PAYLOAD = 42  # where it begins in a frame: Ethernet, IPv4, UDP
CALL_ID = re.compile(rb"\r\nCall-ID: (\S+)")
RTP_CALLS = 400
G711_MILLISECONDS = 20
AGENTS = (
    "Asterisk PBX 18.20.0",
    "Yealink SIP-T46S 66.86.0.15",
    "snomD735/10.1.152.12",
    "PolyEdge-E350-UA/8.0.3",
    "Cisco-SIPGateway/IOS-16.9.5",
    "Linphone/5.2.2 (belle-sip/5.2.2)",
)


@dataclass(frozen=True, slots=True)
class Client:
    address: str
    port: int
    server: str
    user: str
    agent: str


@dataclass(slots=True)
class Stream:
    """One direction of a call's RTP."""

    up: bool
    source: bytes
    destination: bytes
    ports: tuple[int, int]
    ssrc: int
    sequence: int
    timestamp: int

    def packet(self, voice: bytes) -> bytes:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 8 * G711_MILLISECONDS) & 0xFFFFFFFF
        payload = struct.pack("!BBHII", 0x80, 8, self.sequence, self.timestamp, self.ssrc) + voice
        return frame(self.up, self.source, self.destination, *self.ports, payload)


@dataclass(slots=True)
class Truth:
    """The content of the capture."""

    packets: int = 0
    sip: int = 0
    sip_bytes: int = 0


def make_client(random: Random) -> Client:
    return Client(
        address=f"198.{random.choice((18, 19))}.{random.randrange(256)}.{random.randrange(1, 255)}",
        port=random.choice((5060, 5060, 5062, 5080, random.randrange(20000, 65000))),
        server=f"203.0.113.{random.randrange(1, 9)}",
        user=f"+4930{random.randrange(10**7):07}",
        agent=random.choice(AGENTS),
    )


def hexadecimal(random: Random, digits: int) -> str:
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def make_fields(random: Random, client: Client) -> Fields:
    return {
        "client": client.address,
        "client_port": str(client.port),
        "server": client.server,
        "user": client.user,
        "agent": client.agent,
        "callee": f"0049{random.randrange(10**10):010}",
        "call_id": f"{hexadecimal(random, 8)}-{hexadecimal(random, 8)}@{client.address}",
        "client_tag": hexadecimal(random, 10),
        "server_tag": hexadecimal(random, 10),
        "nonce": hexadecimal(random, 40),
        "digest": hexadecimal(random, 32),
        "session": str(random.getrandbits(31)),
        "client_rtp": str(random.randrange(5000, 15000) * 2),
        "server_rtp": str(random.randrange(5000, 15000) * 2),
    }


def sip_messages(random: Random, count: int = CLIENTS) -> Iterator[tuple[float, Client, Step, bytes]]:
    """Endless, sorted by time: dialogs of this many clients begin at random and overlap."""
    clients = [make_client(random) for _ in range(count)]
    kinds, weights = [steps for steps, _ in DIALOGS], [weight for _, weight in DIALOGS]
    waiting: list[tuple[float, int, Client, Step, bytes]] = []
    begin, number = START, 0
    while True:
        while not waiting or waiting[0][0] > begin:
            client, at = random.choice(clients), begin
            fields = make_fields(random, client)
            for step in random.choices(kinds, weights)[0]:
                at += step.after + random.random() * step.spread
                if step.is_request:
                    fields["branch"] = hexadecimal(random, 16)
                number += 1  # equal times keep their order
                heapq.heappush(waiting, (at, number, client, step, message(step, fields)))
            begin += random.expovariate(DIALOGS_PER_SECOND)
        at, _, client, step, data = heapq.heappop(waiting)
        yield at, client, step, data


def rtp_packets(random: Random) -> Iterator[bytes]:
    """Endless: both directions of all calls in turn."""
    streams: list[Stream] = []
    for _ in range(RTP_CALLS):
        client = make_client(random)
        ends = IPv4Address(client.address).packed, IPv4Address(client.server).packed
        ports = random.randrange(5100, 15000) * 2, random.randrange(5100, 15000) * 2
        for up in (True, False):
            numbers = random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
            way = (*ends, ports) if up else (ends[1], ends[0], (ports[1], ports[0]))
            streams.append(Stream(up, *way, *numbers))
    voice = cycle([random.randbytes(8 * G711_MILLISECONDS) for _ in range(64)])
    return (stream.packet(next(voice)) for stream in cycle(streams))


class CallsRtp:
    """RTP of calls that are going on by the messages so far: their streams in turn.

    So many at the same time as a capture with nine times as many packets of RTP has: the others' media is elsewhere.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._voice = cycle([random.randbytes(8 * G711_MILLISECONDS) for _ in range(64)])
        self._offers: dict[bytes, tuple[bytes, int]] = {}
        self._streams: dict[tuple[bytes, bool], Stream] = {}
        self._turn: list[Stream] = []

    def see(self, message: bytes) -> None:
        if (found := CALL_ID.search(message)) is None:
            return
        call_id = found[1]
        if message.startswith(b"BYE "):
            for up in (True, False):
                self._streams.pop((call_id, up), None)
        elif (ends := ENDS.search(message)) is not None:
            end = IPv4Address(ends[1].decode()).packed, int(ends[2])
            offer = self._offers.setdefault(call_id, end)
            if offer != end:
                del self._offers[call_id]
            if offer != end and len(self._streams) < STREAMS:
                for up, here, there in ((True, offer, end), (False, end, offer)):
                    numbers = (self._random.getrandbits(bits) for bits in (32, 16, 32))
                    ports = here[1], there[1]
                    self._streams[call_id, up] = Stream(up, here[0], there[0], ports, *numbers)

    def packets(self, count: int) -> Iterator[bytes]:
        for _ in range(count if self._streams else 0):
            if not self._turn:
                self._turn = list(self._streams.values())
            yield self._turn.pop().packet(next(self._voice))


def record(file: BinaryIO, at: float, data: bytes) -> None:
    microseconds = round(at * 1e6)
    file.write(struct.pack("<IIII", microseconds // 1_000_000, microseconds % 1_000_000, len(data), len(data)) + data)


def carried_messages(messages: int, carrier: str, truth: Truth) -> Iterator[Message]:
    # A connection carries many messages: each of CONNECTED clients has one.
    clients = min(CONNECTED, max(1, messages // 100)) if carrier in ("tcp", "tls") else CLIENTS
    for at, client, step, data in islice(sip_messages(Random(1), clients), messages):
        truth.sip += 1
        truth.sip_bytes += len(data)
        yield Message(at, step.up, client.address, client.port, client.server, data)


def write(path: Path, messages: int, rtp_per_sip: int = 0, carrier: str = "udp") -> Truth:
    """Write a pcap file with this many SIP messages, each followed by `rtp_per_sip` RTP packets."""
    truth = Truth()
    rtp, of_calls = rtp_packets(Random(2)), CallsRtp(Random(2))
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, data in frames_of(path, carried_messages(messages, carrier, truth), carrier):
            record(file, at, data)
            if carrier == MEDIA:
                of_calls.see(data[UDP_PAYLOAD:])
            sent = of_calls.packets(rtp_per_sip) if carrier == MEDIA else islice(rtp, rtp_per_sip)
            for number, packet in enumerate(sent):
                record(file, at + 1e-5 * number, packet)
                truth.packets += 1
            truth.packets += 1
    return truth


def frames_of(path: Path, messages: Iterator[Message], carrier: str) -> Frames:
    if carrier == "tls":
        return secured(messages, path.with_suffix(".keys"))
    return CARRIERS["udp" if carrier == MEDIA else carrier](messages)


def main() -> None:
    kind, path, messages = sys.argv[1:]
    rtp = RTP_PER_SIP if kind in ("mixed", MEDIA) else 0
    print(write(Path(path), int(messages), rtp, "udp" if kind == "mixed" else kind))


if __name__ == "__main__":
    main()
