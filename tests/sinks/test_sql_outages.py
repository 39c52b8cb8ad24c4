"""Databases that are stopped, locked or full of connections, or refuse rows, while messages keep coming.

The books and the metrics say where each message is, at every moment; in the end each is in the table, once and in
order, or counted as refused and kept in the file.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from faults.databases import KINDS, SERVERS, Database
from figure_samples import figures, messages_of_sink
from sink_samples import batch_of, eventually

from capture_agent.config.targets import SqlTarget
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import SinkFigures
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

MESSAGES = 100_000
FEWER = 20_000  # where 100,000 take too long for every run of the tests
AT_ONCE = 500
MOST_WAITING = 5_000  # messages in memory, so that the queue is never full
PATIENCE = 120.0


@lru_cache(1)
def messages() -> list[TracedMessage]:
    return batch_of(MESSAGES)


# --- faults, until the end of the block. `url` is that of the sink.


@contextmanager
def stopped(database: Database, url: str) -> Iterator[None]:
    assert database.server is not None
    database.server.stop()
    yield
    database.server.start()


@contextmanager
def killed(database: Database, url: str) -> Iterator[None]:
    assert database.server is not None
    database.server.kill()
    yield
    database.server.start()


@contextmanager
def no_folder(database: Database, url: str) -> Iterator[None]:
    """A file system that is not there for a time."""
    folder = database.path.parent
    away = folder.with_name(f"{folder.name}-away")
    folder.rename(away)
    yield
    away.rename(folder)


def locked(database: Database, url: str) -> AbstractContextManager[None]:
    return database.locked()


def no_connection(database: Database, url: str) -> AbstractContextManager[None]:
    return database.no_connection(url)


Fault = Callable[[Database, str], AbstractContextManager[None]]
FAULTS: dict[Fault, tuple[str, ...]] = {
    stopped: SERVERS,
    killed: SERVERS,
    locked: KINDS,
    no_connection: SERVERS,
    no_folder: ("sqlite",),
}
CASES = [
    pytest.param(
        kind, fault, MESSAGES if fault is stopped or kind == "sqlite" else FEWER, id=f"{kind}-{fault.__name__}"
    )
    for fault, kinds in FAULTS.items()
    for kind in kinds
]
on_each_fault = pytest.mark.parametrize(("faulty", "fault", "count"), CASES, indirect=["faulty"])
with_and_without = pytest.mark.parametrize("spooled", [False, True], ids=["queue", "spool"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture_agent.sinks.sql.deadlines.BUSY_SECONDS", 1)
    monkeypatch.setattr("capture_agent.sinks.sql.deadlines.CONNECT_SECONDS", 2)
    monkeypatch.setattr("capture_agent.sinks.sql.sql_sink.WRITE_SECONDS", 2)


class Delivery:
    """An outbox that gets messages from a thread of its own; `given`: how many so far."""

    def __init__(self, target: SqlTarget, folder: Path, spooled: bool, count: int) -> None:
        sink = SqlSink(target)
        spool = Spool(folder / "spool" / "s", SpoolLimits())
        limit = 2 * MOST_WAITING if spooled else MESSAGES
        self.box = SpooledOutbox(sink, spool, limit, first_delay=0.05) if spooled else Outbox(sink, first_delay=0.05)
        self.given = 0
        self._count = count
        self._most = MOST_WAITING if spooled else MESSAGES
        self._held = threading.Event()
        self._exposition = Exposition(lambda: figures(sinks=[self._figures()]))
        self._thread = threading.Thread(target=self._give, daemon=True)
        self._thread.start()

    def _give(self) -> None:
        for at in range(0, self._count, AT_ONCE):
            if at == self._count // 2:
                self._held.wait(PATIENCE)
            eventually(lambda: self.box._in_memory() + AT_ONCE <= self._most, PATIENCE)
            self.box.put(messages()[at : at + AT_ONCE])
            self.given = at + AT_ONCE

    def release(self) -> None:
        """The second half comes."""
        self._held.set()

    def _figures(self) -> SinkFigures:
        return SinkFigures(self.box.name, "sql", self.box.ledger(), self.box.standing())

    def check(self) -> dict[str, int]:
        """What became of the messages so far, from the metrics: they and the books say the same."""
        return messages_of_sink(self._exposition.text()[0].decode())

    def finish(self) -> dict[str, int]:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        eventually(lambda: not self.box.ledger().outcomes["waiting"], PATIENCE)
        self.box.close(PATIENCE)
        assert self.box.ledger().difference == 0
        return self.check()


@on_each_fault
@with_and_without
def test_everything_is_stored_once_and_in_order(
    faulty: Database, fault: Fault, count: int, spooled: bool, tmp_path: Path
) -> None:
    (tmp_path / "database").mkdir()
    if faulty.kind == "sqlite":
        faulty = Database("sqlite", None, tmp_path / "database")
    create_tables(faulty.url)
    url = faulty.url_of_few() if fault is no_connection else faulty.url
    delivery = Delivery(SqlTarget(url), tmp_path, spooled, count)
    eventually(lambda: delivery.box.ledger().outcomes["sent"] > 1000, PATIENCE)
    with fault(faulty, url):
        delivery.release()
        eventually(lambda: delivery.box.down() is not None, PATIENCE)
        eventually(lambda: delivery.given == count, PATIENCE)
        during = delivery.box.ledger()
        assert during.difference == 0
        assert during.outcomes["sent"] + during.outcomes["waiting"] == count
        assert during.outcomes["waiting"] >= count // 2
        assert delivery.check() == {"sent": during.outcomes["sent"], "waiting": during.outcomes["waiting"]}
    assert delivery.finish() == {"sent": count, "waiting": 0}
    assert faulty.rows() == [f"call-{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("faulty", "count"), [(kind, MESSAGES if kind == "sqlite" else FEWER) for kind in KINDS], indirect=["faulty"]
)
@with_and_without
def test_refused_rows_go_aside_and_their_batches_on(
    faulty: Database, count: int, spooled: bool, tmp_path: Path
) -> None:
    create_tables(faulty.url)
    faulty.refuse_by_trigger("call-%777")
    file = tmp_path / "refused"
    delivery = Delivery(SqlTarget(faulty.url, refused=str(file)), tmp_path, spooled, count)
    delivery.release()
    bad = [n for n in range(count) if n % 1000 == 777]
    assert delivery.finish() == {"sent": count - len(bad), "refused": len(bad), "waiting": 0}
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [re.findall("Call-ID: (.*?)\r", one["message"]) for one in kept] == [[f"call-{n}"] for n in bad]
    assert all("we do not store this" in one["error"] for one in kept)
    refused = set(bad)
    assert faulty.rows() == [f"call-{n}" for n in range(count) if n not in refused]
