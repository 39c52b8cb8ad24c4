"""SQLite's file: for its owner only, and rotated while it is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sink_samples import batch_of

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sinks.sql.trace_tables import Tables

pytestmark = pytest.mark.once


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    create_tables(f"sqlite:///{tmp_path}/trace.db")
    return tmp_path / "trace.db"


@pytest.fixture
def sink(file: Path) -> Iterator[SqlSink]:
    made = SqlSink(SqlTarget(f"sqlite:///{file}"))
    made.send(batch_of(2))
    yield made
    made.close()


def calls(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in connection.execute("SELECT callid FROM sip_trace ORDER BY id")]
    finally:
        connection.close()


@pytest.mark.usefixtures("umask")
def test_files_are_for_their_owner(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trace.db"
    create_tables(url)
    sink = SqlSink(SqlTarget(url))
    sink.send(batch_of(2))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"trace.db": 0o600, "trace.db-wal": 0o600, "trace.db-shm": 0o600}
    sink.close()


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "trace.db").touch(0o640)
    (tmp_path / "trace.db").chmod(0o640)
    create_tables(f"sqlite:///{tmp_path}/trace.db")
    assert stat.S_IMODE((tmp_path / "trace.db").stat().st_mode) == 0o640


def move(file: Path) -> None:
    file.rename(file.with_name("old.db"))


def move_with_logs(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").rename(file.with_name(f"old.db{suffix}"))


def copy_and_delete(file: Path) -> None:
    """A backup as sqlite3's .backup makes it, then the file goes."""
    source, copy = sqlite3.connect(file), sqlite3.connect(file.with_name("old.db"))
    source.backup(copy)
    source.close()
    copy.close()
    file.unlink()


@pytest.mark.parametrize("rotate", [move, move_with_logs, copy_and_delete])
@pytest.mark.parametrize("times", [1, 3])
def test_rotation(
    sink: SqlSink, file: Path, rotate: Callable[[Path], None], times: int, caplog: pytest.LogCaptureFixture
) -> None:
    stored = ["call-0", "call-1"]
    for n in range(1, times + 1):
        rotate(file)
        sink.send(batch_of(3, first=10 * n))
        assert calls(file.with_name("old.db")) == stored
        stored = [f"call-{10 * n + more}" for more in range(3)]
        assert calls(file) == stored
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sink.sent == 2 + 3 * times
    said = "the file was moved or deleted; rows now go into the new file at its path"
    assert [record.message for record in caplog.records] == [f"sqlite:///{file}: {said}"] * times


def test_a_file_that_is_deleted_while_a_batch_is_written(sink: SqlSink, file: Path) -> None:
    real = Tables.rows

    def made(self: Tables, *arguments: object) -> object:
        if file.exists() and "call-10" in str(arguments[1][0].message.sip.raw):  # type: ignore[index]
            file.unlink()
            Tables.rows = real  # type: ignore[method-assign]
        return real(self, *arguments)  # type: ignore[arg-type]

    Tables.rows = made  # type: ignore[method-assign,assignment]
    try:
        sink.send(batch_of(3, first=10))
    finally:
        Tables.rows = real  # type: ignore[method-assign]
    assert (sink.sent, calls(file)) == (5, ["call-10", "call-11", "call-12"])


def test_a_file_that_was_put_in_its_place(sink: SqlSink, file: Path) -> None:
    move(file)
    create_tables(f"sqlite:///{file}")
    sink.send(batch_of(3, first=10))
    assert calls(file) == ["call-10", "call-11", "call-12"]
    assert calls(file.with_name("old.db")) == ["call-0", "call-1"]


def test_closing_completes_a_file_that_was_moved(sink: SqlSink, file: Path) -> None:
    move(file)
    sink.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    assert calls(file.with_name("old.db")) == ["call-0", "call-1"]
    assert not file.exists()


def test_a_folder_that_goes_away_is_waited_for(sink: SqlSink, file: Path) -> None:
    folder = file.parent / "folder"
    folder.mkdir()
    url = f"sqlite:///{folder}/trace.db"
    create_tables(url)
    inner = SqlSink(SqlTarget(url))
    inner.send(batch_of(1))
    shutil.rmtree(folder)
    for _ in range(3):
        with pytest.raises(SinkError, match="no such directory"):
            inner.send(batch_of(2, first=1))
    folder.mkdir()
    inner.send(batch_of(2, first=1))
    assert (inner.sent, calls(folder / "trace.db")) == (3, ["call-1", "call-2"])
    inner.close()


def test_other_tables_are_made_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trace.db"
    create_tables(url)
    create_tables(url, "other")
    sink = SqlSink(SqlTarget(url), ["other", "missing"])
    sink.send(batch_of(1))
    move(tmp_path / "trace.db")
    sink.send(batch_of(1))
    connection = sqlite3.connect(tmp_path / "trace.db")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    sink.close()
    assert {"sip_trace", "other"} <= tables
    assert "missing" not in tables
