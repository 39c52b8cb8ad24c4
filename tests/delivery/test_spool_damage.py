"""Rows of a spool that are damaged: what they held is counted, all else comes out in order, and no thread ends."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sink_samples import ListSink, batch_of, eventually
from test_spool import GENEROUS, opened, raw
from test_spooled_outbox import Switch, ended, outbox, texts

from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import Spool
from capture_agent.delivery.spool.spool_capture import SpoolCapture
from capture_agent.sources.source import SourceError

pytestmark = pytest.mark.once

BATCHES, IN_EACH, DAMAGED = 5, 4, 2  # the third one
WHOLE = raw(batch_of(BATCHES * IN_EACH))
REST = WHOLE[: DAMAGED * IN_EACH] + WHOLE[(DAMAGED + 1) * IN_EACH :]
NUMBERS = ["'text'", "x'ff00'", "-1", "1.5", "NULL", "0", "3", "9", "9223372036854775807"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)


def damage(path: Path, *statements: str) -> None:
    """`{id}` is the batch that is damaged."""
    with closing(sqlite3.connect(path, timeout=10)) as database:
        ((id_,),) = database.execute(f"SELECT id FROM batches ORDER BY id LIMIT 1 OFFSET {DAMAGED}").fetchall()
        version = database.execute("PRAGMA schema_version").fetchone()[0]
        database.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '');"
            f"PRAGMA schema_version = {version + 1}; PRAGMA writable_schema = OFF;"
        )
    with closing(sqlite3.connect(path, timeout=10)) as database:
        for statement in statements:
            database.execute(statement.format(id=id_))
        database.commit()


def emptied(spool: Spool) -> tuple[list[bytes], Counter[str], int]:
    got, lost, found = list[bytes](), Counter[str](), 0
    for _ in range(3 * BATCHES):
        change, one = spool.take()
        changes = [change] if one is None else [change, spool.remove(one)]
        got += raw(one.messages) if one is not None else []
        for each in changes:
            lost += each.lost
            found += each.found
    return got, lost, found


def shown(path: Path) -> list[bytes]:
    """By `decode`, which reports what is damaged at the end."""
    found: list[bytes] = []
    with closing(SpoolCapture(path)) as source, suppress(SourceError):
        for frames in source.batches():
            found += [text for text in WHOLE if text in frames.data]
    return found


def filled(path: Path) -> Spool:
    spool = opened(path)
    for n in range(BATCHES):
        spool.append(batch_of(IN_EACH, IN_EACH * n))
    return spool


@pytest.mark.parametrize("running", [False, True], ids=["at a start", "while it is open"])
@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("column", ["messages", "done", "bytes", "stored_at", "crc"])
def test_a_damaged_number(tmp_path: Path, column: str, value: str, running: bool) -> None:
    path = tmp_path / "s"
    spool = filled(path)
    if not running:
        spool.close()
    damage(path, f"UPDATE batches SET {column} = {value} WHERE id = {{id}}")
    begins = BATCHES * IN_EACH
    assert set(shown(path)) >= set(REST)
    if not running:
        spool = Spool(path, GENEROUS)
        begins = spool.open().found
    got, lost, found = emptied(spool)
    assert [text for text in got if text in set(REST)] == REST
    assert got == [text for text in WHOLE if text in set(got)]
    assert begins + found == len(got) + lost.total()
    assert set(lost) <= {"spool_failed", "expired"}
    if (column, value) != ("done", "3"):  # nobody can tell that this one is damaged
        assert lost or len(got) == BATCHES * IN_EACH
    assert (spool.messages, spool.failing) == (0, "")
    assert spool.append(batch_of(1)).stored == 1
    spool.close()


@pytest.mark.parametrize(
    ("statements", "counted"),
    [
        pytest.param(["DELETE FROM contents WHERE id = {id}"], IN_EACH, id="its content is gone"),
        pytest.param(["UPDATE contents SET data = 'text' WHERE id = {id}"], IN_EACH, id="its content is text"),
        pytest.param(["UPDATE contents SET data = x'' WHERE id = {id}"], IN_EACH, id="its content is empty"),
        pytest.param(["DELETE FROM batches WHERE id = {id}"], IN_EACH, id="its row is gone"),
        pytest.param(["UPDATE batches SET id = -4611686018427387905 WHERE id = {id}"], IN_EACH, id="a number too low"),
    ],
)
def test_a_row_that_vanishes_while_it_is_open(tmp_path: Path, statements: list[str], counted: int) -> None:
    spool = filled(tmp_path / "s")
    damage(tmp_path / "s", *statements)
    got, lost, found = emptied(spool)
    assert (got, lost, found) == (REST, Counter(spool_failed=counted), 0)
    assert (spool.messages, spool.failing) == (0, "")
    spool.close()


def test_a_number_that_no_other_can_follow(tmp_path: Path) -> None:
    spool = filled(tmp_path / "s")
    damage(tmp_path / "s", "UPDATE batches SET id = 9223372036854775807 WHERE id = {id}")
    lost = spool.append(batch_of(1)).lost
    assert lost == Counter(spool_failed=BATCHES * IN_EACH)
    assert spool.append(batch_of(3)).stored == 3
    assert emptied(spool)[0] == raw(batch_of(3))
    spool.close()


@pytest.mark.parametrize("mark", [b"", bytes(8), bytes(12), b"\xff" * 12, b"\x7f" + b"\xff" * 11])
def test_a_damaged_mark_removes_nothing(tmp_path: Path, mark: bytes) -> None:
    filled(tmp_path / "s").close()
    (tmp_path / "s.lock").write_bytes(mark)
    spool = Spool(tmp_path / "s", GENEROUS)
    assert spool.open().found == BATCHES * IN_EACH
    assert emptied(spool)[0] == WHOLE
    spool.close()


def test_the_threads_of_an_outbox_go_on(tmp_path: Path) -> None:
    """Those that send and that write: all kinds of damage at once."""
    switch = Switch()
    sink = ListSink(switch)
    box = outbox(sink, tmp_path)
    for n in range(BATCHES):
        box.put(batch_of(IN_EACH, IN_EACH * n))
        eventually(lambda: not box._in_memory())
    damage(
        box.spool.path,
        "UPDATE batches SET messages = 'x', done = x'00', bytes = 'y', stored_at = 'z' WHERE id = {id}",
        "DELETE FROM batches WHERE id > {id} AND id = (SELECT max(id) FROM batches)",
    )
    switch.up = True
    box.put(batch_of(IN_EACH, BATCHES * IN_EACH))
    eventually(lambda: not box.ledger().outcomes["waiting"])
    box.close(10)
    books = ended(box.ledger())
    assert texts(sink) == [*WHOLE[: (BATCHES - 1) * IN_EACH], *raw(batch_of(IN_EACH, BATCHES * IN_EACH))]
    assert books["sent"] == BATCHES * IN_EACH
    assert books["spool_failed"] >= IN_EACH
