"""Questions about a transaction whose commit was not answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sink_samples import INVITE, numbered, traced
from sqlalchemy import Connection, Engine, create_engine

from capture_agent.config import SqlTarget
from capture_agent.sinks.sql import destinations
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.destinations import transaction_receipt
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sinks.sql.trace_rows import Row

pytestmark = pytest.mark.once


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    """Of a database with a row of INVITE."""
    create_tables(postgresql_url)
    sink = SqlSink(SqlTarget(postgresql_url))
    sink.send([traced(INVITE)])
    sink.close()
    made = create_engine(parse_url(postgresql_url))
    yield made
    made.dispose()


def row_of(engine: Engine, raw: bytes) -> Row:
    sink = SqlSink(SqlTarget(engine.url.render_as_string(hide_password=False)))
    connection = sink._opened()
    [(_, [row])] = sink._tables.rows(connection, [traced(raw)])[0].values()
    sink.close()
    return row


def nothing(connection: Connection) -> None:
    pass


def may_not_select(connection: Connection) -> None:
    role = f"writer_of_{connection.engine.url.database}"
    connection.exec_driver_sql(f"CREATE ROLE {role}")
    connection.exec_driver_sql(f"GRANT INSERT ON sip_trace TO {role}")
    connection.exec_driver_sql(f"SET SESSION AUTHORIZATION {role}")


def slow(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE sip_trace RENAME TO other")
    connection.exec_driver_sql("CREATE VIEW sip_trace AS SELECT other.* FROM other, pg_sleep(60) OFFSET 0")


@pytest.mark.parametrize(
    ("raw", "ahead", "before", "want"),
    [
        pytest.param(INVITE, 0, nothing, True, id="stored"),
        pytest.param(INVITE, 1_000_000, nothing, False, id="the killed server has forgotten its number"),
        pytest.param(numbered(2), 0, nothing, False, id="the number was given to another transaction"),
        pytest.param(numbered(2), 0, may_not_select, True, id="rows may not be read"),
        pytest.param(numbered(2), 0, slow, True, id="the search takes too long"),
    ],
)
def test_a_transaction_of_postgresql(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, raw: bytes, ahead: int, before: Callable[[Connection], None], want: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(destinations, "LOOK_MS", 200)
    row = row_of(engine, raw)
    with engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT txid_current()").scalar_one() + ahead
        connection.commit()
        before(connection)
        connection.commit()
        lost: Any = SimpleNamespace(
            dialect=connection.dialect, exec_driver_sql=lambda _: SimpleNamespace(scalar=lambda: number)
        )
        assert transaction_receipt(lost, "sip_trace", row)(connection) is want
        connection.rollback()
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
