"""The memory of waiting data: before a sink, between sources and pipeline, and for sorting."""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

# Run as a program, too: hep is the one of this project, not the folder of its tests.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from measuring import documented, held_mib, main
from sink_samples import ListSink, numbered, traced

from capture_agent.delivery.outbox import Outbox
from capture_agent.records.frames import FRAME_ROW, Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.merge import WAITING, _Queue
from capture_agent.sources.ordering import FrameOrder

_stuck = threading.Event()


def stuck(_: Sequence[TracedMessage]) -> None:
    _stuck.wait(600)


def outbox() -> object:
    """Short messages, each with its own buffer, and some with headers that a hook has read."""
    box = Outbox(ListSink(stuck))
    n = 0
    while not box.ledger().lost:
        batch = [traced(numbered(n)) for _ in range(1000)]
        if n % 2:
            for one in batch:
                one.message.sip.header("X")
        box.put(batch)
        n += 1
    return box


def ordering() -> object:
    """One source is quiet: the other's frames wait until they are too many."""
    order = FrameOrder()
    for _ in range(2):
        order.begin()
    now = time.time_ns()
    for _ in range(63):
        order.add(0, frames((1 << 20) - 30_000, now), now)
        list(order.due(now, {0: 0, 1: 0}))
    return order


def frames(size: int, time_ns: int) -> Frames:
    return Frames(b"x" * size, array("q", [0, size, size, time_ns, 0] + [0] * FRAME_ROW * 511), 1, [])


def merge() -> object:
    """As many batches as may wait, with the greatest length."""
    queue = _Queue()
    room = 64 << 20
    for _ in range(WAITING):
        queue.put((0, frames(room // WAITING - 30_000, 0)))
    return queue


CASES = {
    "messages waiting for a sink": outbox,
    "frames held for sorting": ordering,
    "frames read and not yet taken": merge,
}


@pytest.mark.parametrize("case", CASES)
def test_no_more_than_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
