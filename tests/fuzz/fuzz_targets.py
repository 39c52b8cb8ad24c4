"""The hot entry points, each with its input. An unexpected exception is a finding."""

from __future__ import annotations

import os
import socket
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise
from random import Random

from fuzz_corpus import (
    LINK_TYPES,
    PIECES,
    RECORDED,
    TOKENS,
    captures,
    header_values,
    packets,
    payloads,
    tunnelled,
)
from fuzz_edges import EDGE_TOKENS, compressed, exported, run_framing, stream_messages
from fuzz_hooks import run_hooks
from fuzz_media import media_targets
from fuzz_mutations import EXTREMES, NUMBERS, Target
from fuzz_relay import RelayRun, relayed_samples
from fuzz_rules import RulesRun
from fuzz_stages import stage_targets
from fuzz_tls import tls_targets

from capture_agent.config import Capture
from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.correlate.correlator import Correlator
from capture_agent.intake.copies import CopyFilter
from capture_agent.net.udp_batch import send_datagrams
from capture_agent.packet.outer_headers import identification, outer_addresses, way
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import FRAME_ROW, Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sip.message import SipMessage
from capture_agent.sip.parameters import parameter
from capture_agent.sip.problems import Stranger
from capture_agent.sip.scan import scan
from capture_agent.sip.stranger import stranger
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.containers import index_live_batch
from capture_agent.sources.source import SourceError
from hep import HepError, StreamDecoder, decode
from hep.batch import Encoder

STRANGERS = frozenset(Stranger) - {Stranger.NONE}
PARTS = [
    "raw", "bounded", "body", "start_line", "method", "uri", "cseq_method", "call_id", "from_value", "to_value",
    "via_value", "from_tag", "to_tag", "via_branch", "headers", "cseq", "status", "content_length", "problems",
]  # fmt: skip
LOCAL = [
    [address for address in map(parse_local, texts) if isinstance(address, LocalAddress)]
    for texts in (["192.0.2.1", "::1"], ["192.0.2.0/24", "127.0.0.1", "[::1]:5060"], [])
]


@contextmanager
def targets() -> Iterator[dict[str, Target]]:
    """All of them by name, while their temporary files and sockets are there."""
    messages = [sip for data in payloads() if (sip := scan(data, 0, len(data))) is not None]
    with memory_file() as file, socket_pair() as (sender, receiver):
        yield {
            "frames": Target([frame for _, frame in RECORDED], PIECES, FrameRun(RECORDED)),
            "tunnels": Target([frame for _, frame in tunnelled()], PIECES, FrameRun(tunnelled(), esp_null=True)),
            "exported": Target([frame for _, frame in exported()], [bytes(4), *PIECES], FrameRun(exported())),
            **stage_targets(),
            "copies": Target([frame for _, frame in tunnelled()], PIECES, CopiesRun(tunnelled())),
            "scan": Target(payloads(), TOKENS, run_scan),
            "parameters": Target(header_values(), TOKENS, run_parameters),
            "hep": Target(packets(), [b"HEP3", bytes(6), *PIECES], HepRun()),
            "relay": Target(relayed_samples(), [b"HEP3", bytes(6), *PIECES], RelayRun()),
            "containers": Target(captures(), [b"\n\r\r\n", bytes(4), b"\xff" * 4], ContainerRun(file)),
            "compressed": Target(compressed(), [bytes(4), b"\xff" * 4], ContainerRun(file)),
            "framing": Target(stream_messages(), EDGE_TOKENS, run_framing),
            "live": Target([live_meta(n) for n in (1, 2, 5, 20)], [bytes(4), b"\xff" * 4], run_live),
            "udp_batch": Target(payloads(), PIECES, UdpRun(sender, receiver)),
            "correlate": Target([sip.raw for sip in messages], TOKENS, CorrelateRun()),
            "hooks": Target(payloads(), TOKENS, run_hooks),
            "policy": Target(payloads(), PIECES, PolicyRun(messages)),
            "rules": Target(payloads(), TOKENS, RulesRun()),
            **tls_targets(),
            **media_targets(),
        }


@contextmanager
def memory_file() -> Iterator[int]:
    file = os.memfd_create("capture")
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


def read_all(sip: SipMessage) -> None:
    for part in PARTS:
        getattr(sip, part)
    sip.header("Contact")


class Sinks:
    """Traced messages are encoded as HEP packets of each version."""

    def __init__(self) -> None:
        self._encoders = [Encoder(version, 7, b"key", b"node") for version in (1, 2, 3)]

    def take(self, traced: list[TracedMessage]) -> None:
        for encoder in self._encoders:
            at = 0
            while at < len(traced):
                at, too_long = fill(encoder, traced, at, 60_000)
                at += too_long
                for start, end in pairwise([0, *encoder.ends]):
                    decode(bytes(encoder.buffer[start:end]))
                encoder.clear()
        for one in traced:
            datagram, sip = one.message.datagram, one.message.sip
            read_all(sip)
            assert datagram.payload == sip.raw
            assert datagram.source_text and datagram.destination_text
            assert all(len(one) == len(other) for one, other in outer_addresses(datagram))


class FrameRun:
    """One frame at the end of its batch, alone or after others; sometimes with a wrong index."""

    def __init__(self, samples: list[tuple[int, bytes]], esp_null: bool = False) -> None:
        self._samples = samples
        self._esp_null = esp_null
        self._sinks = Sinks()
        self._number = 0
        self._pipeline = Pipeline(Capture(esp_null=esp_null), Policy(LOCAL[0]))

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        self._number += 1
        if self._number % 100 == 0:
            turn = self._number // 100
            capture = Capture(esp_null=self._esp_null, drop_copies=turn % 2 == 1)
            self._pipeline = Pipeline(capture, Policy(LOCAL[turn % len(LOCAL)]))
        link_type = self._samples[sample][0] if draw.random() < 0.9 else draw.choice(LINK_TYPES)
        before = [draw.choice(self._samples)[1]] if draw.random() < 0.2 else []
        frames = Frames.of([*before, data], link_type, [draw.randrange(2**63)] * 2)
        if draw.random() < 0.1:
            cells = frames.index
            at = draw.randrange(FRAME_ROW) + FRAME_ROW * len(before)
            cells[at] = draw.choice((cells[at] + 1, cells[at] + 2, cells[at] - 1, *NUMBERS, *EXTREMES))
            if draw.random() < 0.3:
                cells[draw.randrange(2) + FRAME_ROW * len(before)] = draw.choice(EXTREMES)
            with suppress(ValueError):
                self._pipeline.process(frames)
            return
        traced = self._pipeline.process(frames)
        self._sinks.take(traced)
        decoder = self._pipeline.packets
        assert decoder.seen >= decoder.carried


class CopiesRun:
    """Frames that repeat within a short time: the first of each packet is kept, and the tables are bounded."""

    def __init__(self, samples: list[tuple[int, bytes]]) -> None:
        self._samples = samples
        self._pipeline = Pipeline(Capture(drop_copies=True))
        self._again: list[tuple[int, bytes]] = []
        self._time_ns = 0
        self._new()

    def _new(self) -> None:
        self._pipeline = Pipeline(Capture(drop_copies=True))
        self._pipeline.copies = CopyFilter(20_000_000, identification, way, limit=5, limit_ways=3)

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        if draw.random() < 0.01:
            self._new()
        duplicates = self._pipeline.copies
        assert duplicates is not None
        self._again = [*self._again[-10:], (self._samples[sample][0], data)]
        self._time_ns += draw.choice((0, 0, 1, 10**6, 10**8, 2 * 10**9, -(10**7)))
        for link_type, frame in (self._again[-1], *draw.choices(self._again, k=2)):
            messages = self._pipeline.messages(Frames.of([frame], link_type, [self._time_ns]))
            self._pipeline.trace(messages)
            assert len(duplicates) <= duplicates.limit
            assert duplicates.most_ways <= 3
        assert [ledger for ledger in self._pipeline.ledgers() if ledger.difference] == []


def run_scan(sample: int, data: bytes, draw: Random) -> None:
    """At the end of a buffer, or before bytes that must not be read."""
    start = draw.choice((0, 3))
    buffer = b"xyz"[:start] + data + draw.choice((b"", b"", b"\r\n\r\n", b"\nVia: x\r\n"))
    end = start + len(data)
    sip = scan(buffer, start, end)
    if sip is None:
        assert stranger(buffer, start, end) in STRANGERS
    else:
        assert start <= sip.headers_start <= sip.body_start <= sip.body_end <= sip.end == end
        read_all(sip)
    if draw.random() < 0.05:
        with suppress(ValueError):
            scan(buffer, draw.choice((0, *EXTREMES)), draw.choice((end, *EXTREMES)))


def run_parameters(sample: int, data: bytes, draw: Random) -> None:
    for name in (b"tag", b"branch", b""):
        value = parameter(data, name, draw.random() < 0.5)
        assert value is None or value in data


class HepRun:
    """All kinds of bounds within a mutated packet; then the decoders with that packet."""

    def __init__(self) -> None:
        self._encoders = [Encoder(version, 2001, key, b"") for version in (1, 2, 3, 3) for key in (b"", b"secret")]

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        encoder = draw.choice(self._encoders)
        if encoder.count > 20:
            encoder.clear()
        numbers = (0, 1, len(data) - 8, len(data) - 32, len(data), len(data) + 1, draw.randint(0, len(data)))
        if draw.random() < 0.2:
            numbers += EXTREMES
        before = encoder.used, encoder.count
        packet = data * draw.choice((1, 1, 1, 1, 1, 100))
        start, end = draw.choice(numbers), draw.choice((len(packet), *numbers))
        times = (0, 1_700_000_000_123_456_789, *EXTREMES)
        added = False
        with suppress(ValueError):  # its result for bounds outside the data
            added = encoder.add(
                packet, draw.choice(numbers), draw.choice((4, 4, 16, 16, 5, -4)), draw.randrange(65536),
                draw.randrange(65536), draw.choice((6, 17, 255)), draw.choice(times), start, end,
                draw.choice((b"", b"", b"call-id@host", data)),
            )  # fmt: skip
        if added:
            one = bytes(encoder.buffer[before[0] :])
            assert (encoder.ends[-1], encoder.count) == (before[0] + len(one), before[1] + 1)
            assert (decode(one).payload or b"") == packet[start:end]
        else:
            assert (encoder.used, encoder.count) == before
        with suppress(HepError):
            decode(data)
        with suppress(HepError):
            cut = draw.randint(0, len(data))
            stream = StreamDecoder()
            for part in (data[:cut], data[cut:]):
                list(stream.feed(part))


class ContainerRun:
    """Through a file in memory: writing one to disk would take most of the time."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._path = f"/dev/fd/{file}"
        self._sinks = Sinks()

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, data, 0)
        pipeline = Pipeline(policy=Policy(LOCAL[1]))
        with suppress(SourceError), CaptureFile(self._path) as file:
            for frames in file.batches():
                traced = pipeline.process(frames)
                self._sinks.take(traced[-2:])


def live_meta(frames: int) -> bytes:
    return array("I", [v for n in range(frames) for v in (1_700_000_000, n, n * 100, 100)]).tobytes()


def run_live(sample: int, data: bytes, draw: Random) -> None:
    index = array("q", bytes(8 * FRAME_ROW * (len(data) // 16)))
    with suppress(ValueError):
        index_live_batch(data, draw.choice((0, 100, 2000, 2**40)), index)


class UdpRun:
    """Over a pair of sockets with room for a few datagrams, so that the sender stops and continues."""

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        self._sender = sender
        self._receiver = receiver

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        ends = sorted(draw.randint(0, len(data)) for _ in range(draw.choice((0, 1, 3, 20, 64, 65, 130))))
        first = draw.choice((0, 0, 0, 1, len(ends)))
        wild = draw.random() < 0.3
        if wild:
            off = draw.choice((len(data) + 1, len(data) + 2, len(data) + 64, *NUMBERS, *EXTREMES))
            ends.insert(draw.choice((len(ends), draw.randint(0, len(ends)))), off)
            first = draw.choice((first, len(ends) + 1, *EXTREMES))
        buffer = draw.choice((bytes, bytearray, memoryview))(data)
        wanted = [data[start:end] for start, end in pairwise([0, *ends])][max(first, 0) :]
        got: list[bytes] = []
        with suppress(*([ValueError] if wild else [])):
            bounds = draw.choice((list, tuple, lambda ends: array("q", ends)))(ends)
            at, _ = send_datagrams(self._sender, buffer, bounds, first)
            self._receive(got)
            while at < len(ends):
                at, _ = send_datagrams(self._sender, buffer, bounds, at)
                self._receive(got)
            assert got == wanted

    def _receive(self, got: list[bytes]) -> None:
        with suppress(BlockingIOError):
            while True:
                got.append(self._receiver.recv(1 << 17))


class CorrelateRun:
    """A mutant among earlier messages: calls continue, are evicted, end, and times jump."""

    def __init__(self) -> None:
        self._number = 0
        self._correlator = Correlator(calls=50)
        self._kept: list[CapturedMessage] = []

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        self._number += 1
        if self._number % 1000 == 0:
            self._correlator, self._kept = Correlator(calls=draw.choice((1, 2, 50))), []
        sip = scan(data, 0, len(data))
        if sip is None:
            return
        # A decoder makes no datagram in which a sum of numbers could overflow.
        far = [number for number in EXTREMES if abs(number) < 2**62]
        at, size = draw.choice((0, 0, -1, len(data) - 8, *far)), draw.choice((4, 4, 4, 16, -4, 0))
        times = (self._number * 10**9, self._number * 10**10, *far)
        ports = draw.choice((5060, 65535)), draw.randrange(4)
        datagram = Datagram(data, 0, len(data), at, size, *ports, draw.choice(times))
        messages = [CapturedMessage(datagram, sip), *draw.choices(self._kept, k=draw.randrange(3) if self._kept else 0)]
        self._correlator.observe(messages)
        self._kept = [*self._kept[-20:], messages[0]]
        held = self._correlator.table
        assert held.calls.held <= held.limit
        assert held.transactions.held >= 0 and held.dialogs.held >= 0
        if messages[0].dialog is not None:
            assert len(messages[0].dialog.callee_tags) <= 8
        if draw.random() < 0.01:
            self._correlator.close()
            assert (held.calls.held, held.transactions.held, held.dialogs.held) == (0, 0, 0)


class PolicyRun:
    """Addresses at any offset, also out of bounds."""

    def __init__(self, messages: list[SipMessage]) -> None:
        self._messages = messages
        self._policies = [Policy(local) for local in LOCAL]

    def __call__(self, sample: int, data: bytes, draw: Random) -> None:
        size = draw.choice((4, 16))
        numbers = (-1, -size, -(2**62), 0, len(data), len(data) - 2 * size, 2**62, *accumulate([size] * 4))
        at = draw.choice(numbers)
        datagram = Datagram(data, draw.choice(numbers), draw.choice(numbers), at, size, 5060, draw.randrange(65536))
        message = CapturedMessage(datagram, draw.choice(self._messages))
        for policy in self._policies:
            with suppress(ValueError):  # an address of no bytes
                assert len(policy.decide([message, message])) == 2
        if at >= 0 and at + size <= len(data):
            assert datagram.source == data[at : at + size]
        assert datagram.payload in data
