"""Messages whose rows the database refuses are kept in a file; missing tables are created on request."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from base64 import b64decode
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from faults.databases import KINDS, Database
from faults.disks import can_mount, small_disk
from sink_samples import batch_of, numbered, traced

from capture_agent.cli.run import run
from capture_agent.config import Config, SqlTarget
from capture_agent.records.traced import Trace
from capture_agent.sinks.checks import database_file
from capture_agent.sinks.sql import refused_file
from capture_agent.sinks.sql.refused_file import RefusedFile
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once


@pytest.mark.parametrize("faulty", KINDS, indirect=True)
def test_a_refused_row_goes_aside(faulty: Database, tmp_path: Path) -> None:
    create_tables(faulty.url)
    faulty.refuse_by_trigger("call-7", "not this")
    file = tmp_path / "refused.jsonl"
    batch = batch_of(20)
    batch[7] = traced(numbered(7), trace=Trace(users=("alice",)))
    with closing(SqlSink(SqlTarget(faulty.url, refused=str(file)))) as sink:
        for _ in range(2):
            sink.send(batch)
        assert (sink.sent, sink.rejected) == (38, Counter(refused=2))
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(kept) == 2
    assert "not this" in kept[0].pop("error")
    assert kept[0] == {
        "time": "2026-11-22T22:31:23.255621000Z",
        "table": "sip_trace",
        "from": "udp:192.0.2.1:5060",
        "to": "udp:192.0.2.2:5070",
        "direction": "in",
        "users": ["alice"],
        "message": numbered(7).decode(),
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("body", [b"\xff\x00", b"\x1b[2J\n\r\n{}\xe2\x80\xa8"], ids=["binary", "controls"])
def test_each_message_is_one_line(tmp_path: Path, body: bytes) -> None:
    file = RefusedFile(str(tmp_path / "r"))
    message = numbered(1) + body
    file.add(traced(message), "t", 'says "\x1b"')
    (line,) = (tmp_path / "r").read_bytes().split(b"\n")[:-1]
    assert line.isascii()
    assert line.decode().isprintable()
    kept = json.loads(line)
    found = b64decode(kept["message_base64"]) if "message_base64" in kept else kept["message"].encode()
    assert found == traced(message).message.raw


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_file, "MOST_BYTES", 5000)
    file = RefusedFile(str(tmp_path / "r"))
    for n in range(100):
        file.add(traced(numbered(n)), "t", "no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "r.1"]
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= 5000
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = [json.loads(line)["message"] for path in ("r.1", "r") for line in (tmp_path / path).read_text().splitlines()]
    assert kept == [numbered(n).decode() for n in range(100 - len(kept), 100)]


def test_a_file_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a link followed: another user's folder could lead anywhere."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "nix/r", tmp_path / "link", tmp_path, Path("/dev/full")):
        file = RefusedFile(str(path))
        for _ in range(3):
            file.add(traced(numbered(1)), "t", "no")
    assert len(caplog.records) == 4
    assert not (tmp_path / "elsewhere").exists()


def test_pipes_and_devices_never_stall_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pipe without a reader, one whose reader does not read, a folder at the name of the older file, a device."""
    for name in ("nobody", "slow"):
        os.mkfifo(tmp_path / name)
    reader = os.open(tmp_path / "slow", os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (tmp_path / "nobody", tmp_path / "slow", Path("/dev/null")):
            file = RefusedFile(str(path))
            for n in range(300):
                file.add(traced(numbered(n, 1000)), "t", "no")
    finally:
        os.close(reader)
    assert [record.getMessage().partition(": a refused")[0] for record in caplog.records] == [
        str(tmp_path / "nobody"),
        str(tmp_path / "slow"),
    ]


def test_a_folder_in_place_of_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds all the same."""
    monkeypatch.setattr(refused_file, "MOST_BYTES", 5000)
    (tmp_path / "r.1").mkdir()
    file = RefusedFile(str(tmp_path / "r"))
    for n in range(100):
        file.add(traced(numbered(n)), "t", "no")
    assert (tmp_path / "r").stat().st_size <= 5000


@pytest.mark.skipif(not can_mount(), reason="needs root")
@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_disk_that_takes_nothing(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """And takes more later: no line is torn."""
    with small_disk(tmp_path / "disk") as folder:
        file = RefusedFile(str(folder / "r"))
        file.add(traced(numbered(0)), "t", "no")
        filler = folder / "filler"
        if how == "full":
            with suppress(OSError), filler.open("wb", buffering=0) as filling:
                while True:
                    filling.write(bytes(4096))
        else:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        for n in range(1, 100):
            file.add(traced(numbered(n)), "t", "no")
        if how == "full":
            filler.unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        file.add(traced(numbered(100)), "t", "no")
        kept = [json.loads(line)["message"] for line in (folder / "r").read_text().splitlines()]
    assert kept[0] == numbered(0).decode()
    assert kept[-1] == numbered(100).decode()
    assert kept == [numbered(n).decode() for n in (*range(len(kept) - 1), 100)], "as many as the last page takes"
    assert len(caplog.records) == 1


def test_missing_tables_are_created_once(database: str) -> None:
    with closing(SqlSink(SqlTarget(database, create=True), ["other"])) as sink:
        sink.send([*batch_of(3), traced(numbered(4), trace=Trace(table="other"))])
        assert (sink.sent, sink.rejected) == (4, Counter())
        sink.send(batch_of(3, first=4))
    assert not create_tables(database)
    assert not create_tables(database, "other")


def test_run_create_applies_to_every_table(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[[sql]]\nurl = "sqlite:///{tmp_path}/a.db"\n[[sql]]\nurl = "sqlite:///{tmp_path}/b.db"\n')
    for create in (False, True):
        config, _ = run(config=file, create=create)
        assert [target.create for target in config.sql] == [create, create]
        want = [] if create else [f"sqlite:///{tmp_path}/{name}.db: no such file" for name in "ab"]
        assert [problem[1].partition(": run")[0] for problem in not_there(config)] == want


def not_there(config: Config) -> list[tuple[str, str]]:
    return [problem for target in config.sql for problem in database_file(target)]
