"""db check, upgrade, purge and partition, on each kind of database."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import pytest
from sink_samples import batch_of, numbered, traced
from sqlalchemy import Connection, NullPool, create_engine, text

from capture_agent.cli import main
from capture_agent.config import SqlTarget
from capture_agent.doctor.advice import EXTRA_COLUMN
from capture_agent.doctor.table_trial import try_table
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql import partitions, purge, table_check
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.partitions import boundary, partition, partitions_of
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sinks.sql.upgrade import upgrade

pytestmark = pytest.mark.once

DAY = 86400
BOTH = ("postgresql", "mariadb")


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def execute(url: str, *statements: str) -> None:
    with connected(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(url: str, columns: str = "callid", table: str = "sip_trace") -> list[object]:
    with connected(url) as connection:
        found = connection.execute(text(f"SELECT {columns} FROM {table} ORDER BY id")).all()
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


def store(url: str, ages: Sequence[float], first: int = 0, table: str = "sip_trace") -> None:
    """A message `call-N` for each age in seconds."""
    now = time.time_ns()
    messages = [traced(numbered(first + n), time_ns=now - int(age * 1e9)) for n, age in enumerate(ages)]
    with closing(SqlSink(SqlTarget(url, table))) as sink:
        sink.send(messages)
        assert (sink.sent, sink.rejected) == (len(messages), Counter())


def problems(url: str) -> list[str]:
    with connected(url) as connection:
        found = [
            *table_check.column_problems(connection, "sip_trace"),
            *table_check.other_problems(connection, "sip_trace"),
        ]
    return [str(problem) for problem in found]


def kind_of(url: str) -> str:
    return url.partition(":")[0].partition("+")[0]


OWN_COLUMN = ["column correlation_id added", "index on correlation_id added"]  # which siptrace's table lacks


def test_a_new_table_has_no_problem(database: str) -> None:
    create_tables(database)
    assert problems(database) == []
    assert [found.status for found in try_table(SqlTarget(database), ())] == ["ok"]
    assert list(upgrade(database)) == OWN_COLUMN
    assert list(upgrade(database)) == []
    assert problems(database) == []


DAMAGES = [
    pytest.param(
        ("sqlite", "postgresql", "mariadb"),
        ["ALTER TABLE sip_trace DROP COLUMN totag", "ALTER TABLE sip_trace DROP COLUMN time_us"],
        ["column time_us is missing", "column totag is missing"],
        id="missing",
    ),
    pytest.param(
        ("sqlite",),
        ["DROP INDEX sip_trace_callid_idx"],
        ["no index on column callid"],
        id="index sqlite",
    ),
    pytest.param(
        ("postgresql",),
        ["DROP INDEX sip_trace_callid_idx", "DROP INDEX sip_trace_date_idx"],
        ["no index on column time_stamp", "no index on column callid"],
        id="index postgresql",
    ),
    pytest.param(
        ("mariadb",), ["DROP INDEX callid_idx ON sip_trace"], ["no index on column callid"], id="index mariadb"
    ),
    pytest.param(
        ("postgresql",),
        ["ALTER TABLE sip_trace ALTER callid TYPE varchar(64), ALTER fromip TYPE varchar(50)"],
        [
            "column callid is too short: VARCHAR(64), expected VARCHAR(255)",
            "column fromip is too short: VARCHAR(50), expected VARCHAR(64)",
        ],
        id="short postgresql",
    ),
    pytest.param(
        ("mariadb",),
        ["ALTER TABLE sip_trace MODIFY msg TEXT NOT NULL, MODIFY callid VARCHAR(64) COLLATE utf8mb4_bin NOT NULL"],
        [
            "column callid is too short: VARCHAR(64), expected VARCHAR(255)",
            "column msg is too short: TEXT, expected MEDIUMTEXT",
        ],
        id="short mariadb",
    ),
    pytest.param(
        ("mariadb",),
        ["ALTER TABLE sip_trace MODIFY callid VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL"],
        ["column callid has the collation utf8mb4_general_ci, which is not binary"],
        id="collation mariadb",
    ),
]


@pytest.mark.parametrize(("kinds", "damage", "found"), DAMAGES)
def test_problems_are_named_and_mended(
    request: pytest.FixtureRequest, kinds: Sequence[str], damage: list[str], found: list[str]
) -> None:
    for kind in kinds:
        url = request.getfixturevalue(f"{kind}_url")
        create_tables(url)
        store(url, [0])
        execute(url, *damage)
        assert problems(url) == found
        assert list(upgrade(url))
        assert problems(url) == []
        assert list(upgrade(url)) == []
        store(url, [0], first=1)
        assert rows(url) == ["call-0", "call-1"]


UNMENDED = [
    pytest.param(
        ("postgresql", "mariadb"),
        ["ALTER TABLE sip_trace ADD COLUMN tenant VARCHAR(20) NOT NULL DEFAULT ''"],
        [],
        id="extra with a default",
    ),
    pytest.param(
        ("postgresql",),
        ["ALTER TABLE sip_trace ADD COLUMN tenant VARCHAR(20) NOT NULL"],
        ["column tenant accepts no row: it has no default and does not accept NULL"],
        id="extra without",
    ),
    pytest.param(
        ("postgresql",),
        ["ALTER TABLE sip_trace ALTER time_stamp TYPE timestamp with time zone"],
        ["column time_stamp has the type TIMESTAMP WITH TIME ZONE, expected TIMESTAMP WITHOUT TIME ZONE"],
        id="zone",
    ),
    pytest.param(
        ("mariadb",),
        ["ALTER TABLE sip_trace MODIFY time_stamp TIMESTAMP NOT NULL"],
        ["column time_stamp has the type TIMESTAMP, expected DATETIME"],
        id="timestamp",
    ),
    pytest.param(
        ("mariadb",),
        ["ALTER TABLE sip_trace MODIFY id INT UNSIGNED NOT NULL"],
        ["column id does not number rows by itself"],
        id="id",
    ),
    pytest.param(
        ("postgresql",),
        ["ALTER TABLE sip_trace ALTER status DROP DEFAULT, ALTER status TYPE integer USING 0"],
        ["column status has the type INTEGER, expected VARCHAR(255)"],
        id="number",
    ),
]


@pytest.mark.parametrize(("kinds", "damage", "found"), UNMENDED)
def test_other_types(request: pytest.FixtureRequest, kinds: Sequence[str], damage: list[str], found: list[str]) -> None:
    for kind in kinds:
        url = request.getfixturevalue(f"{kind}_url")
        create_tables(url)
        execute(url, *damage)
        assert problems(url) == found
        warned = [one.found for one in try_table(SqlTarget(url), ()) if one.status == "warning"]
        assert warned == [f"table sip_trace: {problem}" for problem in found]


def test_what_to_do_about_a_column_that_nobody_fills(database: str) -> None:
    """Both where the table is compared and where a row is tried."""
    create_tables(database)
    if kind_of(database) == "sqlite":  # ALTER TABLE adds no such column there
        (made,) = rows(database, "sql", "(SELECT 1 AS id, sql FROM sqlite_master WHERE name = 'sip_trace')")
        changed = str(made).replace("PRIMARY KEY", "tenant VARCHAR(20) NOT NULL, PRIMARY KEY")
        execute(database, "DROP TABLE sip_trace", changed)
    else:
        execute(database, "ALTER TABLE sip_trace ADD COLUMN tenant VARCHAR(20) NOT NULL")
    found = [one for one in try_table(SqlTarget(database), ()) if "tenant" in one.found]
    assert found and {one.to_do for one in found} == {EXTRA_COLUMN}


def test_purge_of_times_that_are_text(sqlite_url: str) -> None:
    """As other programs write them into SQLite."""
    create_tables(sqlite_url)
    store(sqlite_url, [0, 40 * DAY, 0, 40 * DAY, 20 * DAY])
    for n, form in ((2, "%Y-%m-%d %H:%M:%S"), (3, "%Y-%m-%d %H:%M:%S"), (4, "%Y-%m-%dT%H:%M:%S")):
        execute(sqlite_url, f"UPDATE sip_trace SET time_stamp = strftime('{form}', time_stamp) WHERE id = {n + 1}")
    assert purge.purge(SqlTarget(sqlite_url), 30 * DAY).rows == 2
    assert rows(sqlite_url) == ["call-0", "call-2", "call-4"]
    assert rows(sqlite_url, "typeof(time_stamp)") == ["real", "text", "text"]


def test_sqlite_that_ignores_case(sqlite_url: str) -> None:
    create_tables(sqlite_url)
    execute(sqlite_url, "DROP INDEX sip_trace_callid_idx", "CREATE INDEX c ON sip_trace (callid COLLATE NOCASE)")
    assert problems(sqlite_url) == ["column callid has the collation NOCASE, which is not binary"]


def test_the_start_names_the_columns(postgresql_url: str, caplog: pytest.LogCaptureFixture) -> None:
    create_tables(postgresql_url)
    execute(postgresql_url, "ALTER TABLE sip_trace ALTER callid TYPE varchar(64)")
    with closing(SqlSink(SqlTarget(postgresql_url))) as sink:
        for _ in range(2):
            sink.open()
            sink.close()
    said = "table sip_trace: column callid is too short: VARCHAR(64), expected VARCHAR(255)"
    assert [record.getMessage() for record in caplog.records] == [f"{sink.name}: {said}"]


def test_the_start_names_missing_columns(database: str) -> None:
    create_tables(database)
    execute(database, "ALTER TABLE sip_trace DROP COLUMN totag")
    sink = SqlSink(SqlTarget(database))
    with pytest.raises(SinkError) as caught:
        sink.open()
    assert str(caught.value).startswith(f"{sink.name}: table sip_trace lacks the columns totag: run `capture-agent db")


def test_an_older_version(database: str) -> None:
    create_tables(database)
    execute(database, "UPDATE version SET table_version = 3 WHERE table_name = 'sip_trace'")
    with pytest.raises(SinkError, match="has version 3, expected 4: run `capture-agent db upgrade"):
        SqlSink(SqlTarget(database)).open()
    assert list(upgrade(database)) == [*OWN_COLUMN, "version set to 4"]
    store(database, [0])
    execute(database, "UPDATE version SET table_version = 5 WHERE table_name = 'sip_trace'")
    with pytest.raises(SinkError, match="has version 5, expected 4"):
        list(upgrade(database))


@pytest.mark.parametrize("zone", ["local", "utc"])
def test_purge(database: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "AT_ONCE", 3)
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    try:
        create_tables(database)
        ages = [31 * DAY, 30 * DAY + 60, 29.9 * DAY, 0, 40 * DAY, 50 * DAY, 60 * DAY, 90 * DAY, 1]
        target = SqlTarget(database, time=zone)  # type: ignore[arg-type]
        with closing(SqlSink(target)) as sink:
            sink.send([traced(numbered(n), time_ns=time.time_ns() - int(age * 1e9)) for n, age in enumerate(ages)])
        purged = purge.purge(target, 30 * DAY)
        assert (purged.rows, purged.partitions) == (6, [])
        assert rows(database) == ["call-2", "call-3", "call-8"]
        assert purge.purge(target, 30 * DAY).rows == 0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_purge_makes_a_sqlite_file_smaller(sqlite_url: str) -> None:
    create_tables(sqlite_url)
    with closing(SqlSink(SqlTarget(sqlite_url))) as sink:
        sink.send(batch_of(3000, size=2000))

    def pages() -> int:
        with connected(sqlite_url) as connection:
            return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)

    before = pages()
    with connected(sqlite_url) as connection:
        connection.exec_driver_sql("UPDATE sip_trace SET time_stamp = 2440587.5")
    assert purge.purge(SqlTarget(sqlite_url), DAY).rows == 3000
    assert pages() < before / 10


@pytest.mark.parametrize("table", ["sip_trace", "Calls_2"])
@pytest.mark.parametrize("kind", BOTH)
def test_partition(request: pytest.FixtureRequest, kind: str, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rows stay, new ones find their partition, purge drops what is old."""
    monkeypatch.setattr(partitions, "AT_ONCE", 2)
    url = request.getfixturevalue(f"{kind}_url")
    name = f'"{table}"' if kind == "postgresql" else table
    create_tables(url, table)
    store(url, [40 * DAY, 0, 35 * DAY, 1, 2], table=table)
    target = SqlTarget(url, table)
    done = list(partition(target, False, 3))
    assert done[0] == "table divided into partitions"
    assert list(partition(target, False, 3)) == []
    assert len(list(partition(target, False, 5))) == 2
    store(url, [3, -2 * DAY, -300 * DAY], first=5, table=table)
    assert rows(url, table=name) == [f"call-{n}" for n in range(8)]
    assert len(set(rows(url, "id", name))) == 8
    with connected(url) as connection:
        there = partitions_of(connection, table)
        assert table_check.other_problems(connection, table) == table_check.column_problems(connection, table) == []
    assert sum(one.until is None for one in there) == 1
    last = max(one.until for one in there if one.until)
    assert timedelta(days=4) < last - datetime.now() < timedelta(days=7)
    assert purge.purge(target, 30 * DAY).rows == 2
    assert rows(url, table=name) == [f"call-{n}" for n in (1, 3, 4, 5, 6, 7)]


@pytest.mark.parametrize("zone", ["local", "utc"])
@pytest.mark.parametrize("host", ["Pacific/Kiritimati", "Pacific/Niue"])  # 14 hours before UTC, 11 after
@pytest.mark.parametrize("kind", BOTH)
def test_partitions_in_other_zones(
    request: pytest.FixtureRequest, kind: str, host: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next days are those of the times in the table; purge drops what is old there."""
    url = request.getfixturevalue(f"{kind}_url")
    monkeypatch.setenv("TZ", host)
    time.tzset()
    try:
        target = SqlTarget(url, time=zone)  # type: ignore[arg-type]
        assert list(partition(target, False, 2))
        with closing(SqlSink(target)) as sink:
            sink.send([traced(numbered(n), time_ns=time.time_ns() + int(age * 1e9)) for n, age in enumerate((0, DAY))])
        with connected(url) as connection:
            ends = [one.until for one in partitions_of(connection, "sip_trace") if one.until]
        times = [datetime.fromisoformat(str(one)) for one in rows(url, "time_stamp")]
        assert all(one < max(ends) for one in times)
        assert min(ends) - times[0] < timedelta(days=2)
        assert purge.purge(target, 3600) == purge.Purged([], 0)
        with monkeypatch.context() as later:
            now = time.time()
            later.setattr(purge.time, "time", lambda: now + 4 * DAY)
            purged = purge.purge(target, DAY)
        assert (len(purged.partitions), rows(url)) == (len(ends), [])
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("kind", BOTH)
def test_rows_before_their_partition_are_moved(request: pytest.FixtureRequest, kind: str) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    target = SqlTarget(url)
    assert list(partition(target, False, 1))
    store(url, [-6 * DAY, -4 * DAY, -60 * DAY])
    assert len(list(partition(target, False, 8))) == 7
    assert rows(url) == ["call-0", "call-1", "call-2"]
    if kind == "postgresql":
        assert rows(url, table="sip_trace_rest") == ["call-2"]


@pytest.mark.parametrize("kind", BOTH)
def test_purge_drops_partitions(request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two months pass."""
    url = request.getfixturevalue(f"{kind}_url")
    target = SqlTarget(url)
    list(partition(target, True, 2))
    store(url, [0, -70 * DAY])
    with connected(url) as connection:
        first = partitions_of(connection, "sip_trace")
    later = time.time() + 60 * DAY
    monkeypatch.setattr(purge.time, "time", lambda: later)
    purged = purge.purge(target, DAY)
    assert purged.partitions
    with connected(url) as connection:
        left = {one.name for one in partitions_of(connection, "sip_trace")}
    assert left == {one.name for one in first} - set(purged.partitions)
    assert rows(url) == ["call-1"]


def test_an_interrupted_move_is_continued(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    create_tables(mariadb_url)
    store(mariadb_url, [0] * 5)
    target = SqlTarget(mariadb_url)
    with monkeypatch.context() as patch:
        patch.setattr(partitions._MySql, "finish", lambda _: None)
        list(partition(target, True, 1))
    store(mariadb_url, [0], first=5)
    assert rows(mariadb_url) == ["call-5"]
    list(partition(target, True, 1))
    assert rows(mariadb_url) == [f"call-{n}" for n in range(6)]


def test_others_may_still_use_a_partitioned_table(postgresql_url: str) -> None:
    create_tables(postgresql_url)
    role = f"writer{time.time_ns()}"
    execute(postgresql_url, f"CREATE ROLE {role}", f"GRANT SELECT, INSERT ON sip_trace TO {role}")
    list(partition(SqlTarget(postgresql_url), False, 1))
    granted = f"SELECT has_table_privilege('{role}', 'sip_trace', 'INSERT')"
    with connected(postgresql_url) as connection:
        assert connection.exec_driver_sql(granted).scalar() is True
    execute(postgresql_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_table_with_later_rows_is_left_as_it_was(postgresql_url: str) -> None:
    create_tables(postgresql_url)
    store(postgresql_url, [-90 * DAY])
    with pytest.raises(SinkError, match="sip_trace_before"):
        list(partition(SqlTarget(postgresql_url), False, 1))
    store(postgresql_url, [-90 * DAY], first=1)
    assert problems(postgresql_url) == []


@pytest.mark.parametrize(
    ("after", "monthly", "want"),
    [
        ("2026-11-28 00:00:00", False, "2026-11-29"),
        ("2026-12-31 23:59:59", False, "2027-01-01"),
        ("2028-02-28 12:00:00", False, "2028-02-29"),
        ("2026-11-28 12:00:00", True, "2026-12-01"),
        ("2026-12-01 00:00:00", True, "2027-01-01"),
        ("2027-01-31 10:00:00", True, "2027-02-01"),
    ],
)
def test_boundaries(after: str, monthly: bool, want: str) -> None:
    assert boundary(datetime.fromisoformat(after), monthly) == datetime.fromisoformat(want)


def test_the_commands(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        status = main([*arguments, "--db", sqlite_url])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    assert said("db", "check")[0] == 2
    assert said("db", "create")[0] == 0
    assert said("db", "check")[0] == 0
    execute(sqlite_url, "DROP INDEX sip_trace_callid_idx")
    status, words = said("db", "check")
    assert status == 1
    assert "no index on column callid" in words
    assert f"`capture-agent db upgrade --db {sqlite_url}`" in words
    place = f"{sqlite_url}: table sip_trace: "
    assert said("db", "upgrade") == (0, "".join(f"{place}{step}\n" for step in ["index on callid added", *OWN_COLUMN]))
    assert said("db", "upgrade") == (0, f"{place}nothing to upgrade\n")
    store(sqlite_url, [2 * DAY, 0])
    assert said("db", "purge", "--older-than", "1d") == (0, f"{place}1 rows deleted\n")
    status, words = said("db", "partition")
    assert status == 1
    assert "SQLite has no partitions" in words
