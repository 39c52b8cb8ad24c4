"""The table as Kamailio's own scripts create it, on each kind of database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.schema import MADE, VERSION_MADE, create_tables

pytestmark = pytest.mark.once

KAMAILIO = Path("/usr/share/kamailio/db_sqlite")

STAMP = "'2000-01-01 00:00:01'"

# name, type and default of each column, in order; none may be NULL.
# From siptrace-create.sql of the packages kamailio-postgres-modules and kamailio-mysql-modules, 5.6.3.
POSTGRESQL = [
    ("id", "integer", "nextval('sip_trace_id_seq'::regclass)"),
    ("time_stamp", "timestamp without time zone", f"{STAMP}::timestamp without time zone"),
    ("time_us", "integer", "0"),
    ("callid", "character varying(255)", "''::character varying"),
    ("traced_user", "character varying(255)", "''::character varying"),
    ("msg", "text", None),
    ("method", "character varying(50)", "''::character varying"),
    ("status", "character varying(255)", "''::character varying"),
    ("fromip", "character varying(64)", "''::character varying"),
    ("toip", "character varying(64)", "''::character varying"),
    ("fromtag", "character varying(128)", "''::character varying"),
    ("totag", "character varying(128)", "''::character varying"),
    ("direction", "character varying(4)", "''::character varying"),
]
MYSQL = [
    ("id", "int(10) unsigned", None),
    ("time_stamp", "datetime", STAMP),
    ("time_us", "int(10) unsigned", "0"),
    ("callid", "varchar(255)", "''"),
    ("traced_user", "varchar(255)", "''"),
    ("msg", "mediumtext", None),
    ("method", "varchar(50)", "''"),
    ("status", "varchar(255)", "''"),
    ("fromip", "varchar(64)", "''"),
    ("toip", "varchar(64)", "''"),
    ("fromtag", "varchar(128)", "''"),
    ("totag", "varchar(128)", "''"),
    ("direction", "varchar(4)", "''"),
]
INDEXED = {"traced_user_idx": "traced_user", "date_idx": "time_stamp", "fromip_idx": "fromip", "callid_idx": "callid"}


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(statement))]
    engine.dispose()
    return found


def sqlite_schema(connection: sqlite3.Connection, table: str) -> dict[str, object]:
    indexes = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", [table])
    return {
        "columns": connection.execute(f"PRAGMA table_info({table})").fetchall(),
        "indexes": {
            name: [column for *_, column in connection.execute(f"PRAGMA index_info({name})")]
            for (name,) in indexes.fetchall()
        },
        "rows": connection.execute("SELECT table_name, table_version FROM version").fetchall(),
    }


@pytest.mark.parametrize("table", ["sip_trace", "version"])
def test_sqlite_as_kamailios_script(sqlite_url: str, table: str) -> None:
    if not KAMAILIO.is_dir():
        pytest.skip("no Kamailio schema here: apt-get install kamailio-sqlite-modules")
    create_tables(sqlite_url)
    theirs = sqlite3.connect(":memory:")
    for script in ("standard-create.sql", "siptrace-create.sql"):
        theirs.executescript((KAMAILIO / script).read_text())
    ours = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    assert sqlite_schema(ours, table) == sqlite_schema(theirs, table)
    ours.close()
    theirs.close()


def test_postgresql(postgresql_url: str) -> None:
    create_tables(postgresql_url)
    columns = query(
        postgresql_url,
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)"
        " WHERE a.attrelid = 'sip_trace'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    )
    assert columns == [(*column, True) for column in POSTGRESQL]
    indexes = dict(query(postgresql_url, "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'sip_trace'"))
    assert "(id)" in str(indexes.pop("sip_trace_pkey"))
    assert indexes == {
        f"sip_trace_{name}": f"CREATE INDEX sip_trace_{name} ON public.sip_trace USING btree ({column})"
        for name, column in INDEXED.items()
    }


def test_mariadb(mariadb_url: str) -> None:
    create_tables(mariadb_url)
    columns = query(
        mariadb_url,
        "SELECT column_name, column_type, column_default, is_nullable FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = 'sip_trace' ORDER BY ordinal_position",
    )
    assert columns == [(*column, "NO") for column in MYSQL]
    indexes = query(
        mariadb_url,
        "SELECT index_name, column_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = 'sip_trace'",
    )
    assert dict(indexes) == {"PRIMARY": "id", **INDEXED}


def test_twice_is_once(database: str) -> None:
    assert [create_tables(database), create_tables(database)] == [MADE, ""]
    want = [("sip_trace", 4), ("version", 1)]
    assert query(database, "SELECT table_name, table_version FROM version ORDER BY table_name") == want


def test_another_table_next_to_it(database: str) -> None:
    create_tables(database)
    assert [create_tables(database, "trace_2"), create_tables(database, "trace_2")] == [MADE, ""]
    assert query(database, "SELECT count(*) FROM version") == [(3,)]


def test_where_the_table_was_renamed(database: str) -> None:
    """A common way to rotate; its indexes keep their names."""
    engine = create_engine(parse_url(database))
    for n in range(2):
        assert create_tables(database)
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE sip_trace RENAME TO old{n}"))
    engine.dispose()
    assert create_tables(database)
    assert query(database, "SELECT count(*) FROM sip_trace") == [(0,)]


def test_a_table_without_its_version_gets_one(database: str) -> None:
    create_tables(database)
    engine = create_engine(parse_url(database))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM version"))
    engine.dispose()
    assert create_tables(database) == VERSION_MADE
    assert create_tables(database) == ""
    assert query(database, "SELECT table_name, table_version FROM version") == [("sip_trace", 4)]


def test_another_version_is_left_alone(database: str) -> None:
    create_tables(database)
    engine = create_engine(parse_url(database))
    with engine.begin() as connection:
        connection.execute(text("UPDATE version SET table_version = 5 WHERE table_name = 'sip_trace'"))
    engine.dispose()
    with pytest.raises(SinkError, match="table sip_trace has version 5, expected 4$"):
        create_tables(database)


def test_a_table_of_that_name_with_other_columns(database: str) -> None:
    engine = create_engine(parse_url(database))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sip_trace (id INTEGER, msg TEXT, callid TEXT)"))
    engine.dispose()
    with pytest.raises(SinkError, match="table sip_trace lacks the columns method, status, fromip"):
        create_tables(database)
