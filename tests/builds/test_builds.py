"""The compiled and the plain build say the same of everything: messages, counts, errors, HEP packets."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture_agent.records import FRAME_INTERFACE, FRAME_ROW
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
    """Both at once; their common answer."""
    for worker in workers:
        worker.ask(kind, argument)
    compiled, plain = (worker.answer() for worker in workers)
    assert compiled == plain
    return compiled


def recorded() -> list[tuple[int, bytes]]:
    """Frames of our captures, each once, with their link types."""
    frames: dict[tuple[int, bytes], None] = {}
    for path in PCAPS:
        with suppress(SourceError), CaptureFile(path) as file:  # the damaged ones end so, behind their frames
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
