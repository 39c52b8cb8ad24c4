"""The compiled and the plain build give equal results: messages, counts, errors, HEP packets."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture_agent.records.frames import FRAME_INTERFACE, FRAME_ROW
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError

pytestmark = pytest.mark.once

EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "60"))
PCAPS = sorted((Path(__file__).parents[2] / "pcaps").glob("*.pcap*"))
LINK_TYPES = [0, 1, 12, 101, 108, 113, 228, 229, 276]


class Worker:
    """worker.py in one of the builds."""

    def __init__(self, plain: bool) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "CAPTURE_AGENT_PURE"}
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ | ({"CAPTURE_AGENT_PURE": "1"} if plain else {}),
        )
        self.flavour = self.answer()

    def ask(self, kind: str, argument: object) -> None:
        assert self.process.stdin is not None
        pickle.dump((kind, argument), self.process.stdin)
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return pickle.load(self.process.stdout)

    def close(self) -> None:
        assert self.process.stdin is not None
        pickle.dump(None, self.process.stdin)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    both = Worker(plain=False), Worker(plain=True)
    try:
        if both[0].flavour != "compiled":
            pytest.skip("no C compiler was there: only the plain build is installed")
        assert both[1].flavour == "plain"
        yield both
    finally:
        for worker in both:
            worker.close()


def same(workers: tuple[Worker, Worker], kind: str, argument: object) -> Any:
    """Ask both at once. Returns their common answer."""
    for worker in workers:
        worker.ask(kind, argument)
    compiled, plain = (worker.answer() for worker in workers)
    assert compiled == plain
    return compiled


def recorded() -> list[tuple[int, bytes]]:
    """Frames of our captures, each once, with their link types."""
    frames: dict[tuple[int, bytes], None] = {}
    for path in PCAPS:
        with suppress(SourceError), CaptureFile(path) as file:  # the damaged ones end like this, after their frames
            for batch in file.batches():
                for n in range(len(batch)):
                    interface = batch.interfaces[batch.index[n * FRAME_ROW + FRAME_INTERFACE]]
                    frames[interface.link_type, batch.frame(n)] = None
    return list(frames)


RECORDED = recorded()


def test_our_captures(workers: tuple[Worker, Worker]) -> None:
    messages = 0
    for link_type in {link_type for link_type, _ in RECORDED}:
        frames = [frame for kind, frame in RECORDED if kind == link_type]
        messages += len(same(workers, "frames", (frames, link_type))[0])
    assert messages > 100


PIECES = [b"\r\n", b" ", b":", b'"', b"<", b";tag=", b"\0", b"SIP/2.0"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded frame with a few bytes changed, cut out or put in."""
    frame = bytearray(draw(st.sampled_from(RECORDED))[1])
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, max(len(frame) - 1, 0)))
        piece = draw(
            st.binary(max_size=4) | st.sampled_from([b"\r\n", b" ", b":", b'"', b"<", b";tag=", b"\0", b"SIP/2.0"])
        )
        frame[at : at + draw(st.integers(0, 4))] = piece
    return bytes(frame[: draw(st.integers(0, len(frame)) | st.just(len(frame)))])


quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(st.lists(damaged(), min_size=1, max_size=40), st.sampled_from(LINK_TYPES))
def test_damaged_frames(workers: tuple[Worker, Worker], frames: list[bytes], link_type: int) -> None:
    same(workers, "frames", (frames, link_type))


CALLS = [frame for kind, frame in RECORDED if kind == 1]


@pytest.mark.parametrize("step_ns", [0, 10**9, 10**10, 10**13])
def test_calls(workers: tuple[Worker, Worker], step_ns: int) -> None:
    found, *_ = same(workers, "calls", (CALLS, step_ns))
    assert len(found) > 100


@quick
@given(st.lists(damaged() | st.sampled_from(CALLS), min_size=1, max_size=60), st.sampled_from([0, 10**9, 10**11]))
def test_calls_of_damaged_frames(workers: tuple[Worker, Worker], frames: list[bytes], step_ns: int) -> None:
    same(workers, "calls", (frames, step_ns))


def frame_of(
    payload: bytes,
    kind: int = 0x0800,
    version: int = 0x45,
    total: int | None = None,
    fragment: int = 0,
    protocol: int = 17,
    source: int = 5060,
    destination: int = 5060,
    size: int | None = None,
) -> bytes:
    """UDP in IPv4 in Ethernet."""
    total = 28 + len(payload) if total is None else total
    size = 8 + len(payload) if size is None else size
    network = struct.pack("!12xHBxHxxHxBxx", kind, version, total, fragment, protocol) + bytes(
        (127, 0, 0, 1, 8, 8, 8, 8)
    )
    return network + struct.pack("!HHHxx", source, destination, size) + payload


SHORT = b"OPTIONS sip:a SIP/2.0\r\nVia: v\r\n\r\n"


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(frame_of(SHORT), id="usual"),
        pytest.param(frame_of(SHORT) + b"padding", id="padded"),
        pytest.param(frame_of(SHORT)[:-1], id="cut by a byte"),
        pytest.param(frame_of(SHORT)[:41], id="cut in the UDP header"),
        pytest.param(frame_of(SHORT, total=0), id="total length not known yet"),
        pytest.param(frame_of(SHORT, total=27), id="no room for UDP"),
        pytest.param(frame_of(SHORT, total=28 + len(SHORT) - 1), id="IP shorter than UDP"),
        pytest.param(frame_of(SHORT, size=0), id="UDP length not known yet"),
        pytest.param(frame_of(SHORT, size=7), id="UDP shorter than its header"),
        pytest.param(frame_of(SHORT, size=8), id="nothing in it"),
        pytest.param(frame_of(SHORT, size=len(SHORT)), id="UDP shorter than IP"),
        pytest.param(frame_of(SHORT, size=9 + len(SHORT)), id="UDP longer than IP"),
        pytest.param(frame_of(SHORT, version=0x46), id="options"),
        pytest.param(frame_of(SHORT, version=0x44), id="header too short"),
        pytest.param(frame_of(SHORT, version=0x65), id="another version"),
        pytest.param(frame_of(SHORT, fragment=0x4000), id="do not fragment"),
        pytest.param(frame_of(SHORT, fragment=0x8000), id="the reserved bit"),
        pytest.param(frame_of(SHORT, fragment=0x2000), id="more fragments"),
        pytest.param(frame_of(SHORT, fragment=1), id="the last fragment"),
        pytest.param(frame_of(SHORT, protocol=6), id="TCP"),
        pytest.param(frame_of(SHORT, kind=0x0806), id="no IP"),
        pytest.param(frame_of(SHORT, destination=2152), id="a port of tunnels"),
        pytest.param(frame_of(SHORT, source=4789), id="from a port of tunnels"),
    ],
)
def test_unusual_frames(workers: tuple[Worker, Worker], frame: bytes) -> None:
    """Frames that the plain build reads in one step (packet/plain_udp.py), and frames that differ in one detail."""
    same(workers, "frames", ([frame], 1))


REST = b"\r\nVia: v\r\nFrom: f\r\nTo: t\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
STARTS = [
    b"INVITE sip:a SIP/2.0", b"INVITE sip:a  SIP/2.0", b"INVITE  sip:a SIP/2.0", b"INVITE sip:a b SIP/2.0",
    b"INVITE sip:a SIP/2.0 ", b"INVITE sip:a sip/2.0", b" INVITE sip:a SIP/2.0", b"INVITE\tsip:a SIP/2.0",
    b"IN/VITE sip:a SIP/2.0", b"INVITE sip:a SIP/2.1", b"A b SIP/2.0", b"SIP/2.0 200 OK", b"SIP/2.0 200 ",
    b"SIP/2.0 200", b"SIP/2.0  200 OK", b"SIP/2.0 099 X", b"SIP/2.0 700 X", b"SIP/2.0 2000 X", b"sip/2.0 200 OK",
    b"SIP/2.0 200 INVITE sip:a SIP/2.0", b"SIP/2.0",
]  # fmt: skip
HEADERS = [
    b"CSeq: 1 INVITE", b"CSeq:1  INVITE", b"CSeq: 1\tINVITE", b"CSeq: 1", b"CSeq: INVITE", b"CSeq: 1 ", b"CSeq: -1 A",
    b"CSeq: 0000000001 A", b"CSeq: 999999999 A", b"CSeq: 4294967296 A", b"CSeq: 1\r\n INVITE", b"CSeq: 1 A\r\n B",
    b"cSEQ : 2 BYE", b"CSeq: 1 A b", b"Content-Length: 7", b"Content-Length: 0000000007", b"Content-Length: 2147483648",
    b"l: x", b"L:", b"From:", b"From: ;tag=a", b"f:a ", b"To: ;tag=b", b"T : <sip:a>\t", b"Call-ID:", b"Call-ID: ;",
    b"I: a\r\n b", b"Via: ;branch=a", b"Via:", b"v:\r\n a", b": a", b"Via", b"Content-Type: a", b"Contact: a",
]  # fmt: skip


def test_unusual_messages(workers: tuple[Worker, Worker]) -> None:
    """Messages that the plain build reads by patterns (sip/plain_scan.py), and ones with one difference, first or repeated."""
    bare = b"INVITE sip:a SIP/2.0\r\n"
    payloads = [start + REST for start in STARTS]
    payloads += [bare + header + end for header in HEADERS for end in (REST, b"\r\n\r\n", b"\n\n", b"\r\n", b"")]
    payloads += [bare + REST[2:-2] + header + b"\r\n\r\n" for header in HEADERS]
    assert len(same(workers, "scans", payloads)) > 100


@st.composite
def said(draw: st.DrawFn) -> tuple[bytes, int, int, int]:
    """A message of few calls, with few tags, branches and hosts: most are related, in ways that no phone produces."""
    method = draw(st.sampled_from(["INVITE", "INVITE", "ACK", "BYE", "CANCEL", "NOTIFY", "SUBSCRIBE", "OPTIONS", "X"]))
    status = draw(st.sampled_from([0, 0, 100, 180, 200, 202, 302, 401, 481, 487]))
    tags = [draw(st.sampled_from(["", ";tag=a", ";tag=b", ";tag=c"])) for _ in range(2)]
    host, other = draw(st.permutations([1, 2, 3]))[:2]
    lines = [
        f"SIP/2.0 {status} Said" if status else f"{method} sip:{draw(st.sampled_from('bc'))} SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.{host};branch=z9hG4bK{draw(st.integers(0, 3))}",
        f"From: <sip:a@x>{tags[0]}",
        f"To: <sip:b@x>{tags[1]}",
        f"Call-ID: {draw(st.integers(0, 7))}",
        f"CSeq: {draw(st.integers(1, 2))} {method}",
        draw(st.sampled_from(["Expires: 0", "Subscription-State: terminated", "Expires: 60"])),
    ]
    seconds = draw(st.integers(0, 300) | st.integers(0, 20_000) | st.integers(-(10**8), 10**8))
    return "\r\n".join([*lines, "", ""]).encode(), host, other, seconds


@quick
@given(st.lists(said(), min_size=1, max_size=120), st.integers(1, 12), st.sampled_from([1, 7, 1000]), st.booleans())
def test_talks(
    workers: tuple[Worker, Worker], messages: list[tuple[bytes, int, int, int]], calls: int, step: int, in_order: bool
) -> None:
    """Transactions and dialogs, their states, expiry and eviction."""
    if in_order:
        messages.sort(key=lambda one: one[3])
    found, told = same(workers, "talks", (messages, calls, step))
    assert len(found) == len(messages)
    assert told[-1][0].startswith(f"correlation: {len(messages)} seen")


def test_talks_of_many_calls(workers: tuple[Worker, Worker]) -> None:
    """Enough calls that the tables grow, fill and shrink."""
    lines = (
        "Via: SIP/2.0/UDP x;branch=z9hG4bK{1}\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>{2}\r\nCall-ID: {0}\r\nCSeq: {3}"
    )
    steps = [
        (0, f"INVITE sip:b SIP/2.0\r\n{lines} INVITE\r\n\r\n", 1, "", 1),
        (1, f"SIP/2.0 200 OK\r\n{lines} INVITE\r\n\r\n", 1, ";tag=b", 1),
        (60, f"BYE sip:b SIP/2.0\r\n{lines} BYE\r\n\r\n", 2, ";tag=b", 2),
    ]
    messages = [
        (text.format(n * 7919 % 4000, branch, tag, cseq).encode(), 1, 2, n // 100 + seconds)
        for n in range(4000)
        for seconds, text, branch, tag, cseq in steps
    ]
    messages.sort(key=lambda one: one[3])
    found, told = same(workers, "talks", (messages, 5000, 500))
    assert len(found) == 12_000
    assert "evicted" not in told[-1][1]
    assert "evicted" in same(workers, "talks", (messages, 1500, 500))[1][-1][1]


TOKENS = [
    b"INVITE", b"SIP/2.0", b" ", b"\t", b"\r\n", b"\n", b"\r", b" \r\n ", b"sip:a@b", b"200", b"Via", b"v", b"From", b"f",
    b"To", b"t", b"Call-ID", b"i", b"CSeq", b"Content-Length", b"l", b"c", b":", b";", b",", b"=", b"tag", b"branch",
    b'"', b"\\", b"<", b">", b"1", b"-1", b"4294967296", b"INVITE", b"\0", b"\xff", b"x",
]  # fmt: skip


@quick
@given(st.lists(st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join), min_size=1, max_size=60))
def test_messages_out_of_pieces(workers: tuple[Worker, Worker], rests: list[bytes]) -> None:
    starts = [b"", b"INVITE sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"]
    payloads = [start + rest for rest in rests for start in starts]
    same(workers, "scans", payloads)


@quick
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=40), st.sampled_from(LINK_TYPES))
def test_noise(workers: tuple[Worker, Worker], frames: list[bytes], link_type: int) -> None:
    same(workers, "frames", (frames, link_type))
    same(workers, "scans", frames)
