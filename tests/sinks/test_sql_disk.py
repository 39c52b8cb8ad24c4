"""docs/operate/sizing.md: the disk that a message takes; docs/operate/sqlite.md: its script for rotation."""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sink_samples import batch_of, eventually

from capture_agent.cli import main
from capture_agent.config import SqlTarget
from capture_agent.sinks.sql.sql_sink import SqlSink

ROOT = Path(__file__).parents[2]
SIZING = (ROOT / "docs/operate/sizing.md").read_text()
SCRIPT = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/operate/sqlite.md").read_text(), re.M | re.S)[0]
pytestmark = pytest.mark.once


def documented(database: str) -> int:
    (row,) = re.findall(rf"^\| {database} \| ([\d,]+) \|", SIZING, re.M)
    return int(row.replace(",", ""))


def stored(url: str) -> None:
    assert main(["db", "create", "--db", url]) == 0
    assert main(["replay", str(ROOT / "pcaps/demo.pcap"), "--loop", "200", "--db", url]) == 0


def test_sqlite(sqlite_url: str) -> None:
    stored(sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file)) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM sip_trace")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert rows == 59 * 200
    assert file.stat().st_size / rows == pytest.approx(documented("SQLite"), rel=0.15)


def test_postgresql(postgresql_url: str) -> None:
    stored(postgresql_url)
    with psycopg.connect(postgresql_url) as connection:
        found = connection.execute("SELECT pg_total_relation_size('sip_trace')::float / count(*) FROM sip_trace")
        ((each,),) = found.fetchall()
    assert each == pytest.approx(documented("PostgreSQL"), rel=0.15)


def test_the_script_for_rotation(sqlite_url: str, tmp_path: Path) -> None:
    """It compresses a complete file while the agent writes the next one, and deletes old ones."""
    assert "cd /var/lib/capture-agent\n" in SCRIPT
    script = tmp_path / "rotate-trace"
    script.write_text(SCRIPT.replace("cd /var/lib/capture-agent", f"cd {tmp_path}"))
    for days in (13, 16):
        (tmp_path / f"trace-{days}.db.gz").touch()
        os.utime(tmp_path / f"trace-{days}.db.gz", (time.time() - days * 86_400,) * 2)
    assert main(["db", "create", "--db", sqlite_url]) == 0
    sink = SqlSink(SqlTarget(sqlite_url))
    sink.send(batch_of(500))
    with subprocess.Popen(["sh", script], stderr=subprocess.PIPE) as rotating:
        eventually(lambda: not (tmp_path / "trace.db").exists())
        sink.send(batch_of(3, first=500))
        assert (rotating.wait(30), rotating.stderr.read() if rotating.stderr else b"") == (0, b"")
    sink.close()
    recent, rotated, current = sorted(path.name for path in tmp_path.glob("trace*"))
    assert (recent, current) == ("trace-13.db.gz", "trace.db")
    (tmp_path / "old.db").write_bytes(gzip.decompress((tmp_path / rotated).read_bytes()))
    for name, count in (("old.db", 500), ("trace.db", 3)):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert connection.execute("SELECT count(*) FROM sip_trace").fetchone() == (count,)
