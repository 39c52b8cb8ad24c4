"""An outbox with a spool: everything arrives once and in order, whatever the sink does; the books balance."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from faults.peers import NeverRead, Read
from free_ports import free_port
from sink_samples import ListSink, batch_of, eventually
from test_outbox import Gate, down

from capture_agent.books import Ledger
from capture_agent.config.targets import HepTarget
from capture_agent.delivery import spool_writer, spooled_outbox
from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import Sink
from hep import StreamDecoder

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.01)
    for module in (spooled_outbox, spool_writer):
        monkeypatch.setattr(module, "TOGETHER_SECONDS", 0.005)
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)


def outbox(sink: Sink, path: Path, limit: int = 1000, limits: SpoolLimits | None = None) -> SpooledOutbox:
    return SpooledOutbox(sink, Spool(path / "s", limits or SpoolLimits()), limit, first_delay=0.01)


def fed(box: SpooledOutbox, batch: list[TracedMessage], below: int) -> None:
    """As soon as fewer than this wait in the queue."""
    eventually(lambda: box._in_memory() < below)
    box.put(batch)


def all_sent(box: SpooledOutbox) -> None:
    eventually(lambda: not box.ledger().outcomes["waiting"], 30)


def ended(ledger: Ledger) -> dict[str, int]:
    assert ledger.difference == 0, str(ledger)
    return {name: count for name, count in (ledger.outcomes | dict(ledger.lost)).items() if count}


class Switch:
    """A sink that is down until it is switched on."""

    def __init__(self) -> None:
        self.up = False

    def __call__(self, _: object) -> None:
        if not self.up:
            down(_)


def test_an_outage_longer_than_the_queue(tmp_path: Path) -> None:
    switch = Switch()
    sink = ListSink(switch)
    box = outbox(sink, tmp_path)
    for n in range(100):
        fed(box, batch_of(50, 50 * n), 900)
        assert box.ledger().difference == 0
    eventually(lambda: box.standing().spool.messages > 4000)  # type: ignore[union-attr]
    switch.up = True
    box.put(batch_of(10, 5000))
    eventually(lambda: box.ledger().outcomes["sent"] == 5010)
    box.close(10)
    assert texts(sink) == texts_of(5010)
    assert ended(box.ledger()) == {"sent": 5010}


def texts(sink: ListSink) -> list[bytes]:
    return [one.message.raw for one in sink.messages]


def texts_of(count: int, size: int = 0) -> list[bytes]:
    return [one.message.raw for one in batch_of(count, size=size)]


def test_a_slow_sink(tmp_path: Path) -> None:
    """It is up, and more comes than it takes for a while."""
    gate = Gate()
    sink = ListSink(gate)
    box = outbox(sink, tmp_path)
    for n in range(100):
        fed(box, batch_of(50, 50 * n), 900)
    assert box.ledger().difference == 0
    assert box._spooled > 3000
    gate.open.set()
    box.close(20)
    assert texts(sink) == texts_of(5000)
    assert ended(box.ledger()) == {"sent": 5000}


class Taking:
    """A sink that takes a batch, and each further one when it is told to."""

    def __init__(self) -> None:
        self.taken = 0
        self.may_take = 0

    def __call__(self, _: object) -> None:
        self.taken += 1
        eventually(lambda: self.taken <= self.may_take)


def test_how_long_the_oldest_message_has_waited(tmp_path: Path) -> None:
    """In the sink's hand, on disk or in the queue: what has just been taken from the disk is not the oldest."""
    now, taking = [1000.0], Taking()
    spool = Spool(tmp_path / "s", SpoolLimits(above_percent=1), lambda: now[0])
    box = SpooledOutbox(ListSink(taking), spool, 1000, first_delay=0.01, clock=lambda: now[0])
    box.put(batch_of(1))
    eventually(lambda: taking.taken == 1)
    for n in range(2):
        now[0] += 10
        box.put(batch_of(50, 1 + 50 * n))
        eventually(lambda n=n: box._spooled == 50 * (n + 1))
    now[0] += 10
    box.put(batch_of(1, 101))  # less than a part of the queue: it stays there
    now[0] += 100
    assert box.standing().oldest_seconds == 130  # in hand
    waits = []
    for n in range(1, 4):
        taking.may_take = n
        eventually(lambda n=n: taking.taken == n + 1)
        waits.append(box.standing().oldest_seconds)
    assert waits == [110, 100, 100]
    taking.may_take = 4
    all_sent(box)
    assert box.standing().oldest_seconds == 0
    box.close(10)
    assert texts(box.sink) == texts_of(102)  # type: ignore[arg-type]


def test_nothing_is_written_while_the_sink_is_up_and_quick(tmp_path: Path) -> None:
    sink = ListSink()
    box = outbox(sink, tmp_path)
    for n in range(100):
        box.put(batch_of(5, 5 * n))
        eventually(lambda: not box._queue.messages)
    assert box.standing().spool.bytes == 0  # type: ignore[union-attr]
    box.close(10)
    assert texts(sink) == texts_of(500)


def test_a_stop_while_the_sink_is_down(tmp_path: Path) -> None:
    box = outbox(ListSink(down), tmp_path)
    for n in range(10):
        box.put(batch_of(10, 10 * n))
    box.close(0.2)
    assert ended(box.ledger()) == {"waiting": 100}
    sink = ListSink()
    again = outbox(sink, tmp_path)
    again.put(batch_of(5, 100))
    eventually(lambda: again.ledger().outcomes["sent"] == 105)
    again.close(10)
    assert texts(sink) == texts_of(105)
    assert ended(again.ledger()) == {"sent": 105}


def test_a_stop_while_the_sink_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch that it has in hand may arrive twice; nothing is lost."""
    monkeypatch.setattr(spooled_outbox, "LAST_SECONDS", 0.1)
    gate = Gate()
    box = outbox(ListSink(gate), tmp_path)
    box.put(batch_of(10))
    assert gate.entered.wait(10)
    box.put(batch_of(10, 10))
    box.close(0.1)
    assert ended(box.ledger()) == {"waiting": 20}
    sink = ListSink()
    again = outbox(sink, tmp_path)
    again.close(10)
    assert texts(sink) == texts_of(20)
    gate.open.set()


def test_a_backlog_and_no_time(tmp_path: Path) -> None:
    """A stop in the middle of a long backlog: the rest is sent by the next run."""
    box = outbox(ListSink(down), tmp_path)
    for n in range(40):
        box.put(batch_of(20, 20 * n))
        eventually(lambda: not box._queue.messages)
    box.close(0)
    sent: list[bytes] = []
    for _ in range(200):
        sink = ListSink(lambda _: time.sleep(0.02))
        box = outbox(sink, tmp_path)
        time.sleep(0.05)
        box.close(0)
        sent += texts(sink)
        if not ended(box.ledger()).get("waiting"):
            break
    assert sent == texts_of(800)


class PartlySink(ListSink):
    """Takes a part of a batch before it fails."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.off = False

    def send(self, batch: list[TracedMessage]) -> None:  # type: ignore[override]
        if self.off or self._random.random() < 0.6:
            super().send(batch)
            return
        super().send(batch[: self._random.randrange(len(batch) or 1)])
        raise SinkError("list:: reset")


@pytest.mark.parametrize("seed", range(6))
def test_a_sink_that_fails_again_and_again(tmp_path: Path, seed: int) -> None:
    """Over several runs: each message once, and in order."""
    chance = random.Random(seed)
    got: list[bytes] = []
    at = 0
    for run in range(5):
        sink = PartlySink(seed * 10 + run)
        box = outbox(sink, tmp_path, limit=400)
        for _ in range(30):
            count = chance.randrange(1, 40)
            fed(box, batch_of(count, at), 300)
            at += count
            assert box.ledger().difference == 0
        if run == 4:
            sink.off = True
            all_sent(box)
        box.close(0.05)
        assert set(ended(box.ledger())) <= {"sent", "waiting"}
        got += texts(sink)
    assert got == texts_of(at)


@pytest.mark.parametrize(("rate", "most"), [(200, 20), (20, 10), (1_000_000, 4096)])
def test_a_limited_rate_is_even(tmp_path: Path, rate: int, most: int) -> None:
    """However much was written at once: what is sent in one go takes a tenth of a second, or is ten messages."""
    limits = SpoolLimits(drain_per_second=rate)
    spool = Spool(tmp_path / "s", limits)
    spool.append(batch_of(100))
    spool.close()
    sink = ListSink()
    began = time.monotonic()
    box = outbox(sink, tmp_path, limits=limits)
    wanted = 100 if rate > 100 else 30
    eventually(lambda: box.ledger().outcomes["sent"] >= wanted)
    assert time.monotonic() - began > (wanted - most) / rate
    box.close(1)
    assert max(sink.batches) == min(most, 100)
    assert texts(sink) == texts_of(len(sink.messages))


def backlog(path: Path, count: int) -> None:
    """In the spool, from a run whose sink was down."""
    box = outbox(ListSink(down), path)
    for n in range(0, count, 10):
        box.put(batch_of(10, n))
        eventually(lambda: not box._queue.messages)
    box.close(0)


def test_newer_messages_go_beside_the_backlog(tmp_path: Path) -> None:
    """They do not wait for it: the spool is drained slowly meanwhile, and completely in the end."""
    backlog(tmp_path, 200)
    sink = ListSink()
    box = outbox(sink, tmp_path, limits=SpoolLimits(beside=True, drain_per_second=200))
    for n in range(200, 300, 10):
        box.put(batch_of(10, n))
    eventually(lambda: set(texts_of(300)[200:]) <= set(texts(sink)))
    assert box.ledger().difference == 0
    eventually(lambda: box.ledger().outcomes["sent"] == 300, 30)
    box.close(5)
    assert texts(sink)[-1] == texts_of(200)[-1]
    assert Counter(texts(sink)) == Counter(texts_of(300))
    of_backlog = [text for text in texts(sink) if text in set(texts_of(200))]
    assert of_backlog == texts_of(200)


@pytest.mark.parametrize("seed", range(4))
def test_beside_the_backlog_nothing_is_lost_or_sent_twice(tmp_path: Path, seed: int) -> None:
    """A sink that fails again and again, over several runs."""
    got: list[bytes] = []
    for run in range(4):
        sink = PartlySink(seed * 10 + run)
        box = outbox(sink, tmp_path, limit=400, limits=SpoolLimits(beside=True))
        for n in range(30):
            fed(box, batch_of(10, 300 * run + 10 * n), 300)
            assert box.ledger().difference == 0
        if run == 3:
            sink.off = True
            all_sent(box)
        box.close(0.05)
        assert set(ended(box.ledger())) <= {"sent", "waiting"}
        got += texts(sink)
    assert Counter(got) == Counter(texts_of(1200))


@pytest.mark.parametrize(
    ("percent", "spooled"), [pytest.param(10, True, id="over it"), pytest.param(90, False, id="below it")]
)
def test_the_part_of_the_queue_that_may_wait(tmp_path: Path, percent: int, spooled: bool) -> None:
    """A sink that is up and slow: messages go to disk only above the threshold."""
    gate = Gate()
    box = outbox(ListSink(gate), tmp_path, limits=SpoolLimits(above_percent=percent))
    box.put(batch_of(10))
    assert gate.entered.wait(10)
    for n in range(1, 60):
        box.put(batch_of(10, 10 * n))
    if spooled:
        eventually(lambda: box._spooled > 400)
    else:
        time.sleep(0.05)
        assert box._spooled == 0
    gate.open.set()
    box.close(20)
    assert ended(box.ledger()) == {"sent": 600}


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """As without a spool: the queue holds what it can, the rest is lost and counted."""
    (tmp_path / "file").write_text("")
    switch = Switch()
    sink = ListSink(switch)
    box = outbox(sink, tmp_path / "file", limit=100)
    eventually(lambda: box.standing().spool.failing)  # type: ignore[union-attr]
    for n in range(20):
        box.put(batch_of(10, 10 * n))
        assert box.ledger().difference == 0
    assert box.ledger().lost == Counter(spool_failed=100)
    switch.up = True
    eventually(lambda: box.ledger().outcomes["sent"] == 100)
    box.close(5)
    assert texts(sink) == texts_of(100)


def test_a_full_spool(tmp_path: Path) -> None:
    switch = Switch()
    sink = ListSink(switch)
    box = outbox(sink, tmp_path, limits=SpoolLimits(bytes=50_000))
    for n in range(100):
        eventually(lambda: not box._queue.messages)
        box.put(batch_of(5, 5 * n, size=500))
    lost = box.ledger().lost["spool_full"]
    assert lost > 100
    assert box.standing().spool.full  # type: ignore[union-attr]
    switch.up = True
    box.close(10)
    assert ended(box.ledger()) == {"sent": len(sink.messages), "spool_full": 500 - len(sink.messages)}
    assert texts(sink)[-20:] == texts_of(500, size=500)[-20:]


def received(peer: Read) -> list[bytes]:
    found: list[bytes] = []
    for stream in peer.streams:
        found += [packet.payload or b"" for packet in StreamDecoder().feed(bytes(stream))]
    return found


def hep(port: int) -> HepSink:
    return HepSink(HepTarget("127.0.0.1", port, "tcp"))


def test_a_collector_that_is_down_at_the_stop(tmp_path: Path) -> None:
    """HEP over TCP: down, stop, start again with the collector up."""
    port = free_port()
    box = outbox(hep(port), tmp_path)
    for n in range(20):
        box.put(batch_of(50, 50 * n))
        time.sleep(0.005)
    box.close(0.3)
    assert ended(box.ledger()) == {"waiting": 1000}
    with Read(port) as peer:
        again = outbox(hep(port), tmp_path)
        again.put(batch_of(50, 1000))
        eventually(lambda: len(received(peer)) == 1050)
        again.close(10)
        assert received(peer) == texts_of(1050)
        assert ended(again.ledger()) == {"sent": 1050}


def test_what_is_not_confirmed_at_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that never reads. The rest goes to the next run; what the sink still has may arrive twice."""
    port = free_port()
    with NeverRead(port, room=4096):
        box = outbox(hep(port), tmp_path, limit=50_000)
        for n in range(3):
            box.put(batch_of(100, 100 * n, size=800))
        eventually(lambda: box._in_hand or box._books.figures.unconfirmed)
        monkeypatch.setattr(spooled_outbox, "LAST_SECONDS", 0.3)
        box.close(0.5)
    books = ended(box.ledger())
    assert set(books) <= {"sent", "waiting"}
    with Read(port) as peer:
        again = outbox(hep(port), tmp_path)
        wanted = texts_of(300, size=800)[books.get("sent", 0) :]
        eventually(lambda: set(wanted) <= set(received(peer)), 30)
        again.close(10)
        assert ended(again.ledger()) == {"sent": books["waiting"]}
