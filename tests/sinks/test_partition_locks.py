"""`db partition` and `db purge` beside programs that read and write the table: the agent's inserts never wait for long.

The agent's own connection has a lock timeout here: an insert that waits longer fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from faults.databases import SERVERS, Database
from sink_samples import eventually, numbered, traced

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql import partitions, purge
from capture_agent.sinks.sql.partitions import LOCK_SECONDS, partition, partitions_of
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

DAY = 86400
MOST = 5 * LOCK_SECONDS  # the machine may be busy, too

on_servers = pytest.mark.parametrize("faulty", SERVERS, indirect=True)


def patient_for(database: Database, seconds: int) -> str:
    """The database's URL: who uses it waits so long for a lock."""
    if database.kind == "postgresql":
        return f"{database.url}?options={quote(f'-c lock_timeout={seconds}s')}"
    settings = f"SET SESSION lock_wait_timeout={seconds}, innodb_lock_wait_timeout={seconds}"
    return f"{database.url}?init_command={quote(settings)}"


class Writer:
    """Stores one message after the other, as the agent does; `failed` has what went wrong."""

    def __init__(self, database: Database) -> None:
        self.sink = SqlSink(SqlTarget(patient_for(database, MOST)))
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            try:
                self.sink.send([traced(numbered(self.sink.sent), time_ns=time.time_ns())])
            except SinkError as error:
                self.failed.append(str(error))

    def more(self) -> None:
        """Wait until it has stored another ten."""
        before = self.sink.sent
        eventually(lambda: self.sink.sent >= before + 10 or self.failed, 60)

    def end(self) -> int:
        self._stop.set()
        self._thread.join(60)
        self.sink.close()
        assert self.failed == []
        assert not self.sink.rejected
        return self.sink.sent


@contextmanager
def reading(database: Database) -> Iterator[None]:
    """A program that has read the table and does not end its transaction."""
    with database.connection() as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("SELECT COUNT(*) FROM sip_trace")
        yield
        other.exec_driver_sql("ROLLBACK")


@on_servers
def test_the_table_is_divided_and_purged_beside_a_writer(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    target = SqlTarget(faulty.url, create=True)
    SqlSink(target).open()
    writer = Writer(faulty)
    writer.more()
    list(partition(target, False, 3))
    writer.more()
    now = time.time()
    monkeypatch.setattr(purge.time, "time", lambda: now + 40 * DAY)
    assert len(list(partition(target, False, 1))) > 20
    writer.more()
    monkeypatch.setattr(purge.time, "time", lambda: now + 45 * DAY)
    kept = SqlTarget(faulty.url)
    assert purge.purge(kept, 30 * DAY).partitions
    writer.more()
    monkeypatch.undo()
    stored = writer.end()
    there = faulty.rows()
    assert there == [f"call-{n}" for n in range(stored - len(there), stored)], "purged: those of the past; others: all"


@on_servers
def test_a_reader_that_does_not_end_delays_nobody_else(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    target = SqlTarget(faulty.url)
    list(partition(target, False, 3))
    there = found_in(faulty)
    writer = Writer(faulty)
    writer.more()
    later = time.time() + 40 * DAY
    with reading(faulty), monkeypatch.context() as patch:
        patch.setattr(purge.time, "time", lambda: later)
        patch.setattr(partitions, "LOCK_TRIES", 3)
        with pytest.raises(SinkError, match=r"(?i)lock"):
            purge.purge(target, 38 * DAY)
        writer.more()
        assert found_in(faulty) == there
    stored = writer.end()
    assert faulty.rows() == [f"call-{n}" for n in range(stored)]


@on_servers
def test_a_lock_that_is_free_later(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    target = SqlTarget(faulty.url)
    list(partition(target, False, 3))
    later = time.time() + 40 * DAY
    monkeypatch.setattr(purge.time, "time", lambda: later)
    found: list[list[str]] = []
    purging = threading.Thread(target=lambda: found.append(purge.purge(target, 38 * DAY).partitions), daemon=True)
    with reading(faulty):
        purging.start()
        purging.join(1.5 * LOCK_SECONDS)
        assert purging.is_alive()
    purging.join(60)
    assert found
    assert len(found[0]) >= 1


@pytest.mark.parametrize("faulty", ["postgresql"], indirect=True)
def test_rows_that_come_while_others_are_moved(faulty: Database) -> None:
    """They are of a day whose partition is being made, and are in the partition for the rest until then."""
    target = SqlTarget(faulty.url)
    list(partition(target, False, 1))
    end = max(one.until for one in found_in(faulty) if one.until is not None)
    moment = int((end.timestamp() + 3600) * 1e9)
    sink = SqlSink(target)
    sink.send([traced(numbered(n), time_ns=moment) for n in range(2000)])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            sink.send([traced(numbered(sink.sent), time_ns=moment)])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    list(partition(target, False, 4))
    stop.set()
    writer.join(60)
    sink.close()
    assert faulty.rows() == [f"call-{n}" for n in range(sink.sent)]
    assert faulty.rows(table="sip_trace_rest") == []


def found_in(database: Database) -> list[partitions.Partition]:
    with database.connection() as connection:
        return partitions_of(connection, "sip_trace")
