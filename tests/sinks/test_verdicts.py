"""The verdict on each database's errors, and the outcome of batches with such rows."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import batch_of, numbered, traced
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.sql.dividing import MOST_HELD, TRIES, Divider
from capture_agent.sinks.sql.refusals import EVERY, Refusals, without_content
from capture_agent.sinks.sql.verdicts import FileGone, Verdict, verdict_of

pytestmark = pytest.mark.once


def postgresql(state: str) -> Exception:
    return DBAPIError("", None, psycopg.errors.lookup(state)("words"))


def mysql(number: int) -> Exception:
    return DBAPIError("", None, pymysql.err.OperationalError(number, "words"))


def sqlite(code: int) -> Exception:
    error = sqlite3.OperationalError("words")
    error.sqlite_errorcode = code
    return DBAPIError("", None, error)


def slow(error: Exception) -> Exception:
    error.__context__ = TimeoutError()
    return OperationalError("", None, error)


@pytest.mark.parametrize(
    ("error", "want"),
    [
        *((postgresql(state), Verdict.REFUSED) for state in ("22001", "22021", "23502", "23505", "23514", "44000", "54000", "P0001")),
        *((postgresql(state), Verdict.OUTAGE) for state in ("25006", "53100", "53200", "53300", "55P03", "57P02", "57P03", "58030")),
        *((postgresql(state), Verdict.CONFLICT) for state in ("40001", "40P01")),
        *((postgresql(state), Verdict.LOST) for state in ("08006", "57P01", "57P05", "25P03")),
        *((postgresql(state), Verdict.UNKNOWN) for state in ("42501", "42P01", "0A000", "XX000")),
        (postgresql("57014"), Verdict.TIMEOUT),
        (OperationalError("", None, psycopg.OperationalError("the connection is closed")), Verdict.LOST),
        (DataError("", None, psycopg.DataError("cannot contain NUL")), Verdict.REFUSED),
        *((mysql(number), Verdict.REFUSED) for number in (1062, 1048, 1153, 1264, 1366, 1406, 1526, 1644, 3819, 4025)),
        *((mysql(number), Verdict.OUTAGE) for number in (1021, 1030, 1040, 1053, 1114, 1205, 1290, 1836)),
        *((mysql(number), Verdict.LOST) for number in (0, 1927, 2006, 2013)),
        *((mysql(number), Verdict.UNKNOWN) for number in (1054, 1064, 1105, 1142, 1146)),
        (mysql(1213), Verdict.CONFLICT),
        (mysql(1969), Verdict.TIMEOUT),
        (slow(pymysql.err.OperationalError(2013, "Lost connection (timed out)")), Verdict.TIMEOUT),
        (IntegrityError("", None, pymysql.err.IntegrityError(9999, "words")), Verdict.REFUSED),
        *((sqlite(code), Verdict.REFUSED) for code in (18, 19, 19 | 7 << 8, 20, 25)),
        *((sqlite(code), Verdict.OUTAGE) for code in (5, 5 | 2 << 8, 6, 7, 8, 10, 11, 13, 14, 26)),
        (sqlite(1), Verdict.UNKNOWN),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), Verdict.REFUSED),
        (OverflowError(), Verdict.REFUSED),
        (FileGone(), Verdict.LOST),
    ],
)  # fmt: skip
def test_verdicts(error: Exception, want: Verdict) -> None:
    assert verdict_of(error) is want


@dataclass
class Fails:
    verdict: Verdict

    def words(self) -> str:
        return self.verdict.value

    def explained(self) -> SinkError:
        return SinkError(self.verdict.value)


class Table:
    """Refuses each part with one of these messages in it."""

    def __init__(self, bad: dict[int, Verdict], batch: list[TracedMessage]) -> None:
        self.bad = {id(batch[n]): verdict for n, verdict in bad.items()}
        self.done: list[TracedMessage] = []
        self.refused: list[TracedMessage] = []
        self.stored = 0
        self.attempts = 0
        self.readable = True

    def confirmed(self, part: Sequence[TracedMessage]) -> int:
        return 0

    def store(self, part: Sequence[TracedMessage]) -> Fails | None:
        self.attempts += 1
        found = next((self.bad[id(message)] for message in part if id(message) in self.bad), None)
        if found is not None:
            return Fails(found)
        self.done += part
        self.stored += len(part)
        return None

    def takes_another(self, message: TracedMessage) -> bool:
        self.attempts += 1
        return self.readable and self.stored > 0

    def refuse(self, message: TracedMessage, failure: object) -> None:
        self.done.append(message)
        self.refused.append(message)

    def close(self) -> None: ...


ROW_VERDICTS = st.sampled_from([Verdict.REFUSED, Verdict.LOST, Verdict.UNKNOWN, Verdict.TIMEOUT, Verdict.DOUBTED])


@given(st.integers(1, 70), st.dictionaries(st.integers(0, 69), ROW_VERDICTS), st.integers(1, 50), st.booleans())
def test_each_bad_row_alone_is_refused_once_the_others_are_stored(
    count: int, bad: dict[int, Verdict], at_once: int, readable: bool
) -> None:
    """However often `send` is called again, as an outbox does: nothing twice, nothing left out."""
    batch = batch_of(count + 1)
    bad = {n: verdict for n, verdict in bad.items() if n < count}
    table = Table(bad, batch)
    table.readable = readable
    # So many in a row that the store always refuses at once are an outage: `send` never comes to the one after them.
    for run in range(count):
        if all(bad.get(n) is Verdict.DOUBTED for n in range(run, run + MOST_HELD)):
            bad[run] = Verdict.REFUSED
    divider = Divider(table)
    rest = batch
    for _ in range(200 * TRIES):
        before = len(table.done)
        try:
            divider.send(rest, at_once)
            break
        except SinkError:
            assert Counter(map(id, table.done[before:])) == Counter(map(id, rest[: len(table.done) - before]))
            rest = rest[len(table.done) - before :]
    assert Counter(map(id, table.done)) == Counter(map(id, batch))
    assert {id(message) for message in table.refused} == {id(batch[n]) for n in bad}


@pytest.mark.parametrize("verdict", [Verdict.OUTAGE, Verdict.CONFLICT])
def test_an_outage_is_never_a_refusal(verdict: Verdict) -> None:
    batch = batch_of(20)
    table = Table({7: verdict}, batch)
    divider = Divider(table)
    for _ in range(50):
        with pytest.raises(SinkError, match=verdict.value):
            divider.send(batch, 2000)
    assert table.done == []


class Recovers(Table):
    """Accepts each message after a number of attempts."""

    def __init__(self, asked: int, batch: list[TracedMessage]) -> None:
        super().__init__(dict.fromkeys(range(len(batch)), Verdict.DOUBTED), batch)
        self.asked = asked

    def store(self, part: Sequence[TracedMessage]) -> Fails | None:
        if self.attempts >= self.asked:
            self.bad = {}
        return super().store(part)


@pytest.mark.parametrize("asked", range(1, 20))
def test_an_outage_reported_at_once_that_ends_costs_no_row(asked: int) -> None:
    batch = batch_of(20)
    table = Recovers(asked, batch)
    divider = Divider(table)
    rest = batch
    for _ in range(5):
        try:
            divider.send(rest, 2000)
            break
        except SinkError:
            rest = batch[len(table.done) :]
    assert table.refused == []
    assert sorted(map(id, table.done)) == sorted(map(id, batch))


def test_an_outage_reported_at_once_never_refuses_all() -> None:
    batch = batch_of(20)
    table = Table(dict.fromkeys(range(20), Verdict.DOUBTED), batch)
    divider = Divider(table)
    for _ in range(50):
        with pytest.raises(SinkError, match="doubted"):
            divider.send(batch, 2000)
    assert table.done == []


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.LOST, Verdict.UNKNOWN, Verdict.DOUBTED])
@pytest.mark.parametrize("count", [1, 2, 100, 2000])
def test_what_a_bad_row_costs(verdict: Verdict, count: int) -> None:
    batch = batch_of(count) + batch_of(1)
    table = Table({count // 2: verdict}, batch)
    Divider(table).send(batch, 2001)
    assert table.attempts <= 2 * math.log2(count + 1) + 5


def test_what_bad_rows_alone_cost() -> None:
    batch = batch_of(512)
    table = Table(dict.fromkeys(range(512), Verdict.REFUSED), batch)
    Divider(table).send(batch, 2000)
    assert table.attempts <= 2 * len(batch)


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ("Duplicate entry 'call-7' for key 'callid'", "Duplicate entry '...' for key 'callid'"),
        ('violates check constraint "no_such"', 'violates check constraint "no_such"'),
        ("no calls of alice@example.com today", "no calls of ... today"),
        ("Incorrect string value: '\\xF0\\x9F'", "Incorrect string value: '...'"),
        ("user number9 is not wanted", "user ... is not wanted"),
        ("a\x1b[31mred\x1b", "a?[31mred?"),
        ("x " * 1000, "x " * 150),
    ],
)
def test_words_without_content(words: str, want: str) -> None:
    assert without_content(words, [traced(numbered(7), trace=Trace(users=("number9",)))]) == want


def test_lines_are_few(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals("sqlite:///x", lambda: now)
    for second in range(100):
        now = float(second)
        refusals.add("words")
    assert [record.message for record in caplog.records] == [
        "sqlite:///x: refused a message: words",
        f"sqlite:///x: refused a message: words; {EVERY - 1:.0f} more since the last such line",
    ]
