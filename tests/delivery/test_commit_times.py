"""When messages go to a sink: each batch before the next one is captured, by number and time, or what waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.databases import KINDS, Database
from sink_samples import ListSink, batch_of, eventually
from test_outbox import Gate, down

from capture_agent.config.targets import SqlTarget
from capture_agent.delivery import outbox as outbox_module
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

LONG = 60.0  # seconds: longer than any test


@pytest.fixture(params=["without a spool", "with a spool"])
def boxes(request: pytest.FixtureRequest, tmp_path: Path) -> type[Outbox]:
    if request.param == "without a spool":
        return Outbox

    def made(sink: ListSink, *arguments: int, **options: float) -> Outbox:
        return SpooledOutbox(sink, Spool(tmp_path / "s", SpoolLimits()), *arguments, **options)  # type: ignore[arg-type]

    return made  # type: ignore[return-value]


class Slow(ListSink):
    """`awaited` and `patience` are those of a sink with such options."""

    def __init__(self, fail: object = None, together: int = 1, patience: float = 0.0, awaited: bool = False) -> None:
        super().__init__(fail, together)  # type: ignore[arg-type]
        self.patience = patience
        self.awaited = awaited


@contextmanager
def closed(outbox: Outbox) -> Iterator[Outbox]:
    try:
        yield outbox
    finally:
        outbox.close(10)


def test_each_batch_is_sent_before_the_next_one_is_captured(boxes: type[Outbox]) -> None:
    sink = Slow(lambda _: time.sleep(0.01), awaited=True)
    with closed(boxes(sink)) as outbox:
        for n in range(20):
            outbox.put(batch_of(3, first=3 * n))
            assert sink.sent == 3 * n + 3
    assert sink.batches == [3] * 20


def test_capture_does_not_wait_for_a_sink_that_is_down(boxes: type[Outbox], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MOST_AWAITED", LONG)
    done = threading.Event()
    sink = Slow(down, awaited=True)
    outbox = boxes(sink, first_delay=LONG)

    def put() -> None:
        for n in range(5):
            outbox.put(batch_of(3, first=3 * n))
        done.set()

    threading.Thread(target=put, daemon=True).start()
    assert done.wait(LONG / 2)
    assert outbox.ledger().outcomes["waiting"] == 15
    outbox.close(0)


def test_capture_waits_once_for_a_sink_that_hangs(boxes: type[Outbox], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MOST_AWAITED", 0.05)
    gate = Gate()
    sink = Slow(gate, awaited=True)
    with closed(boxes(sink)) as outbox:
        outbox.put(batch_of(1))
        monkeypatch.setattr(outbox_module, "MOST_AWAITED", LONG)
        for n in range(1, 100):
            outbox.put(batch_of(1, first=n))
        assert outbox.ledger().outcomes["waiting"] == 100
        gate.open.set()
        eventually(lambda: not outbox.ledger().outcomes["waiting"])  # later than the sink has sent them
        outbox.put(batch_of(1, first=100))
        assert sink.sent == 101, "it has caught up: the next batch is waited for again"


@pytest.mark.parametrize(("together", "waits"), [(30, 0), (31, 30), (10_000, 30)])
def test_messages_are_collected_until_they_are_enough(boxes: type[Outbox], together: int, waits: int) -> None:
    sink = Slow(together=together, patience=LONG)
    outbox = boxes(sink)
    for n in range(10):
        outbox.put(batch_of(3, first=3 * n))
    eventually(lambda: outbox.ledger().outcomes["waiting"] == waits)
    outbox.close(10)
    assert sink.batches == [30], "and the end collects nothing any more"


def test_the_oldest_message_waits_so_long_at_most(boxes: type[Outbox]) -> None:
    sink = Slow(together=10_000, patience=0.05)
    with closed(boxes(sink)) as outbox:
        began = time.monotonic()
        outbox.put(batch_of(3))
        eventually(lambda: sink.sent == 3)
        assert time.monotonic() - began >= 0.05


def test_half_of_the_room_is_enough(boxes: type[Outbox]) -> None:
    """Otherwise a queue smaller than the number would lose messages."""
    sink = Slow(together=10_000, patience=LONG)
    with closed(boxes(sink, 100)) as outbox:
        for n in range(60):
            outbox.put(batch_of(1, first=n))
        eventually(lambda: sink.sent >= 51)
        assert outbox.ledger().lost == {}


COMMITS = [
    pytest.param({"commit": "each"}, [7] * 10, id="each"),
    pytest.param({"commit": "collected", "commit_messages": 21, "commit_seconds": 60}, [21, 21, 21, 7], id="collected"),
    pytest.param({"commit": "waiting"}, [70], id="waiting"),
]


@pytest.mark.parametrize("faulty", KINDS, indirect=True)
@pytest.mark.parametrize(("options", "want"), COMMITS)
def test_transactions_of_a_replay(
    faulty: Database, options: dict[str, object], want: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_tables(faulty.url)
    stored: list[int] = []
    real = SqlSink.store
    monkeypatch.setattr(SqlSink, "store", lambda self, part: stored.append(len(part)) or real(self, part))  # type: ignore[func-returns-value]
    box = Direct(SqlSink(SqlTarget(faulty.url, **options)))  # type: ignore[arg-type]
    for n in range(10):
        box.put(batch_of(7, first=7 * n))
    box.close()
    assert stored == want
    assert faulty.rows() == [f"call-{n}" for n in range(70)]
    assert box.ledger().outcomes["sent"] == 70


@pytest.mark.parametrize("faulty", KINDS, indirect=True)
def test_a_batch_is_committed_before_the_next_one_is_captured(faulty: Database) -> None:
    create_tables(faulty.url)
    sink = SqlSink(SqlTarget(faulty.url, commit="each"))
    sink.open()
    with closed(Outbox(sink)) as outbox:
        for n in range(5):
            outbox.put(batch_of(20, first=20 * n))
            assert len(faulty.rows()) == 20 * n + 20


@pytest.mark.parametrize("faulty", KINDS, indirect=True)
def test_large_transactions(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, whatever the default is."""
    create_tables(faulty.url)
    stored: list[int] = []
    real = SqlSink.store
    monkeypatch.setattr(SqlSink, "store", lambda self, part: stored.append(len(part)) or real(self, part))  # type: ignore[func-returns-value]
    outbox = Outbox(SqlSink(SqlTarget(faulty.url, commit="collected", commit_messages=6000, commit_seconds=60)))
    messages = batch_of(7000)
    for at in range(0, 7000, 500):
        outbox.put(messages[at : at + 500])
    eventually(lambda: stored)
    outbox.close(30)
    assert stored == [6000, 1000]
    assert faulty.rows() == [f"call-{n}" for n in range(7000)]
