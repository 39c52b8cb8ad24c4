"""A row that a table would take, and that is not there afterwards; and tables that would not take it."""

from __future__ import annotations

import pytest
from sink_samples import INVITE, traced
from sqlalchemy import NullPool, create_engine, text

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink


def message() -> TracedMessage:
    return traced(INVITE)


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """The rows of the last one."""
    engine = create_engine(parse_url(url), poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def rehearse(url: str, *tables: str) -> tuple[list[str], list[str]]:
    sink = SqlSink(SqlTarget(url), tables)
    try:
        return sink.rehearse(message())
    finally:
        sink.close()


def test_leaves_no_row(database: str) -> None:
    create_tables(database)
    create_tables(database, "other")
    assert rehearse(database, "other", "nowhere") == (["nowhere"], [])
    for table in ("sip_trace", "other"):
        assert execute(database, f"SELECT count(*) FROM {table}") == [(0,)]


def test_without_a_table(database: str) -> None:
    with pytest.raises(SinkError, match="no such file|does not exist"):
        rehearse(database)


def test_without_permission(postgresql_url: str) -> None:
    create_tables(postgresql_url)
    execute(
        postgresql_url,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON sip_trace, version TO reader",
    )
    try:
        with pytest.raises(SinkError, match="permission denied"):
            rehearse(postgresql_url.replace("tester@", "reader@"))
    finally:
        execute(postgresql_url, "DROP OWNED BY reader", "DROP ROLE reader")


def test_read_only(mariadb_url: str) -> None:
    create_tables(mariadb_url)
    name = mariadb_url.rpartition("/")[2]
    execute(
        mariadb_url,
        "CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'secret'",
        f"GRANT SELECT ON {name}.* TO reader@'127.0.0.1'",
    )
    with pytest.raises(SinkError, match="denied") as raised:
        rehearse(mariadb_url.replace("tester:", "reader:"))
    assert "secret" not in str(raised.value)


def test_a_table_without_transactions_is_left_alone(mariadb_url: str) -> None:
    create_tables(mariadb_url)
    execute(mariadb_url, "ALTER TABLE sip_trace ENGINE=MyISAM")
    assert rehearse(mariadb_url) == ([], ["sip_trace"])
    assert execute(mariadb_url, "SELECT count(*) FROM sip_trace") == [(0,)]
