"""Brings an older table up to date, for `capture-agent db upgrade`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Index, inspect, quoted_name, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateIndex

from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.database import connect, explained, parse_url, require_table, shown, stored_version
from capture_agent.sinks.sql.schema import free_name
from capture_agent.sinks.sql.sip_trace_table import (
    CORRELATION,
    MYSQL,
    TABLE_VERSION,
    checked_name,
    sip_trace_table,
    version_table,
)
from capture_agent.sinks.sql.table_check import (
    column_problems,
    columns_of,
    has_correlation,
    missing_indexes,
    other_problems,
)


def upgrade(url: str, table: str = "sip_trace") -> Iterator[str]:
    """Add missing columns and indexes, widen columns, correct collations; yields what was done, step by step.

    Each step is a statement that the database runs whole or not at all. Raises SinkError.
    """
    parsed = parse_url(url)
    checked_name(table)
    try:
        with connect(parsed) as connection:
            require_table(connection, parsed, table)
            version = stored_version(connection, table)
            if version is not None and version > TABLE_VERSION:
                raise SinkError(f"{shown(parsed)}: table {table} has version {version}, expected {TABLE_VERSION}")
            connection.rollback()
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            yield from _columns(alone, table)
            yield from _indexes(alone, table)
            yield from _correlation(alone, table)
            yield from _version(alone, table, version)
    except SQLAlchemyError as error:
        raise explained(parsed, error) from error


def _columns(connection: Connection, table: str) -> Iterator[str]:
    there = {column["name"] for column in columns_of(connection, table)}
    problems = [*column_problems(connection, table), *other_problems(connection, table)]
    wrong = list(dict.fromkeys(one.column for one in problems if one.column and one.mended))
    expected = sip_trace_table(table).columns
    changes = [_change(connection, expected[name], name in there) for name in wrong]
    quoted = connection.dialect.identifier_preparer.quote(table)
    # One statement copies a large table once; SQLite accepts one change in each, and copies nothing.
    for part in [changes] if connection.dialect.name != "sqlite" else [[change] for change in changes]:
        if part:
            connection.exec_driver_sql(f"ALTER TABLE {quoted} {', '.join(part)}")
    for name in wrong:
        yield f"column {name} {'changed' if name in there else 'added'}"


def _change(connection: Connection, column: Column[object], there: bool) -> str:
    dialect = connection.dialect
    definition = str(CreateColumn(column).compile(dialect=dialect))
    if not there:
        if column.server_default is None and dialect.name not in MYSQL:  # rows that are there need a value
            definition += " DEFAULT ''"
        return f"ADD COLUMN {definition}"
    if dialect.name in MYSQL:
        return f"MODIFY COLUMN {definition}"
    return f"ALTER COLUMN {dialect.identifier_preparer.quote(column.name)} TYPE {column.type.compile(dialect=dialect)}"


def _indexes(connection: Connection, table: str) -> Iterator[str]:
    for name in missing_indexes(connection, table):
        yield from _add_index(connection, table, name)


def _add_index(connection: Connection, table: str, name: str) -> Iterator[str]:
    dialect = connection.dialect
    index = next(one for one in _of_dialect(table, dialect.name) if name in one.columns)
    index.name = quoted_name(free_name(connection, str(index.name)), None)
    statement = str(CreateIndex(index).compile(dialect=dialect))
    if dialect.name == "postgresql" and not is_partitioned(connection, table):
        statement = statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)  # writers do not wait
    connection.exec_driver_sql(statement)
    yield f"index on {name} added"


def _correlation(connection: Connection, table: str) -> Iterator[str]:
    """The agent's own column, and its index."""
    quoted = connection.dialect.identifier_preparer.quote(table)
    if not has_correlation(connection, table):
        column = sip_trace_table(table, correlated=True).columns[CORRELATION]
        connection.exec_driver_sql(f"ALTER TABLE {quoted} {_change(connection, column, there=False)}")
        yield f"column {CORRELATION} added"
    if CORRELATION not in {one for index in inspect(connection).get_indexes(table) for one in index["column_names"]}:
        yield from _add_index(connection, table, CORRELATION)


def _of_dialect(table: str, dialect: str) -> list[Index]:
    """In PostgreSQL and SQLite an index's name contains the table's."""
    prefixed = dialect not in MYSQL
    return [
        one
        for one in sip_trace_table(table, correlated=True).indexes
        if str(one.name).startswith(f"{table}_") == prefixed
    ]


def is_partitioned(connection: Connection, table: str) -> bool:
    """In PostgreSQL."""
    query = text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:table)")
    return bool(connection.scalar(query, {"table": connection.dialect.identifier_preparer.quote(table)}) == "p")


def _version(connection: Connection, table: str, version: int | None) -> Iterator[str]:
    if version == TABLE_VERSION:
        return
    versions = version_table()
    if not inspect(connection).has_table("version"):
        versions.create(connection)
    if version is None:
        connection.execute(versions.insert().values(table_name=table, table_version=TABLE_VERSION))
    else:
        ours = versions.c.table_name == table
        connection.execute(versions.update().where(ours).values(table_version=TABLE_VERSION))
    yield f"version set to {TABLE_VERSION}"
