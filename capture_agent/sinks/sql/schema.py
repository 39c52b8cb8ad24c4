"""Creates the sip_trace table, for `capture-agent db create`."""

from __future__ import annotations

from itertools import count

from sqlalchemy import URL, Connection, inspect, quoted_name, text
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.sinks.sql.database import (
    check_columns,
    explained,
    open_connection,
    parse_url,
    stored_version,
    wrong_version,
)
from capture_agent.sinks.sql.sip_trace_table import TABLE_VERSION, checked_name, sip_trace_table, version_table

MADE, VERSION_MADE = "made", "exists already; its entry in the version table was missing, and is made"


def create_tables(url: str, table: str = "sip_trace") -> str:
    """Create the table, its indexes and its row in `version`. What was made; empty: all existed. Raises SinkError."""
    parsed = parse_url(url)
    checked_name(table)
    try:
        with open_connection(parsed) as connection:
            if connection.dialect.name == "sqlite":  # of effect in an empty file alone: `db purge` makes it smaller
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
                connection.commit()
            with connection.begin():
                return create_in(connection, parsed, table)
    except SQLAlchemyError as error:
        raise explained(parsed, error) from error


def create_in(connection: Connection, url: URL, table: str) -> str:
    versions = version_table()
    made = ""
    if not inspect(connection).has_table("version"):
        versions.create(connection)
        connection.execute(versions.insert().values(table_name="version", table_version=1))
    version = stored_version(connection, table)
    if version is not None and version != TABLE_VERSION:
        raise wrong_version(url, table, version)
    if not inspect(connection).has_table(table):
        made_table = sip_trace_table(table)
        for index in made_table.indexes:
            index.name = quoted_name(free_name(connection, str(index.name)), None)
        made_table.create(connection)
        made = MADE
    else:
        check_columns(connection, url, table)
    if version is None:
        connection.execute(versions.insert().values(table_name=table, table_version=TABLE_VERSION))
        made = made or VERSION_MADE
    return made


# Indexes of a renamed table keep their names, which are unique in the schema.
NAMES = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = :name",
    "postgresql": (
        "SELECT count(*) FROM pg_class WHERE relname = :name AND relnamespace = current_schema()::regnamespace"
    ),
}


def free_name(connection: Connection, name: str) -> str:
    """The name, with a number appended if another table's index has it."""
    query = NAMES.get(connection.dialect.name)
    tried = (name if n == 1 else f"{name}_{n}" for n in count(1))
    return next(each for each in tried if query is None or not connection.scalar(text(query), {"name": each}))
