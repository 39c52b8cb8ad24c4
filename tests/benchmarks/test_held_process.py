"""Traffic that holds many calls, which the agent holds while it is measured."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.held_process import BATCH, timed_frames
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import Frames

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]


def test_each_call_is_a_call() -> None:
    """With a hundred held, one begins each second: the first five messages come in this order, two end it."""
    frames = list(islice(timed_frames(100), 7 * 300))
    pipeline = Pipeline()
    messages = pipeline.messages(Frames.of([data for _, data in frames], 1, [time_ns for time_ns, _ in frames]))
    assert not pipeline.problems()
    calls: dict[bytes | None, list[tuple[int, bytes | None]]] = {}
    for message in messages:
        calls.setdefault(message.sip.call_id, []).append((message.sip.status, message.sip.cseq_method))
    invite = [(status, b"INVITE") for status in (0, 100, 180, 200)]
    assert list(calls.values())[10] == [*invite, (0, b"ACK"), (0, b"BYE"), (200, b"BYE")]
    assert 100 <= sum((0, b"BYE") not in one for one in calls.values()) <= 101


def test_it_measures(build: str) -> None:
    if build == "plain":
        pytest.skip("the compiled build is what is measured")
    program = f"from benchmarks.held_process import measure; print(len(measure(200, {BATCH}, 2)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
