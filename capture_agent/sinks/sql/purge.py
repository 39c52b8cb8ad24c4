"""Deletes old rows, for `capture-agent db purge`: in small transactions, so that the agent's inserts do not wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.sinks.sql.database import connect, explained, parse_url, require_table
from capture_agent.sinks.sql.partitions import Partition, drop_partition, limit_lock_waits, partitions_of
from capture_agent.sinks.sql.sip_trace_table import MYSQL, checked_name
from capture_agent.sinks.sql.trace_rows import TIMES, julian_day, utc_time

AT_ONCE = 2000  # rows of one transaction
PAGES = 1000  # of a SQLite file, returned to the file system in one transaction


@dataclass(slots=True)
class Purged:
    """What was deleted. `partitions`: their names."""

    partitions: list[str]
    rows: int = 0


def purge(target: SqlTarget, older_than: int) -> Purged:
    """Drop the partitions and delete the rows older than this many seconds. Raises SinkError.

    Between two transactions it waits as long as the last one took: writers get half of the time.
    """
    url = parse_url(target.url)
    table = checked_name(target.table)
    before = int(time.time()) - older_than
    purged = Purged([])
    try:
        with connect(url) as connection:
            require_table(connection, url, table)
            limit = julian_day(before) if connection.dialect.name == "sqlite" else TIMES[target.time](before)
            limit_lock_waits(connection)
            for partition in old_ones(partitions_of(connection, table), str(limit)):
                drop_partition(connection, table, partition)
                purged.partitions.append(partition.name)
            connection.rollback()
            purged.rows = _delete(connection, table, limit)
            if connection.dialect.name == "sqlite":
                # Where times are text, as other programs write them. To SQLite every number is less than any text.
                purged.rows += _delete(connection, table, utc_time(before), "time_stamp >= '' AND ")
            _shrink(connection)
    except SQLAlchemyError as error:
        raise explained(url, error) from error
    return purged


def old_ones(partitions: list[Partition], limit: str) -> list[Partition]:
    return [one for one in partitions if one.until is not None and one.until.isoformat(" ") <= limit]


def _delete(connection: Connection, table: str, limit: float | str, only: str = "") -> int:
    quoted = connection.dialect.identifier_preparer.quote(table)
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    old = f"FROM {quoted} WHERE {only}time_stamp < {mark}"
    if connection.dialect.name in MYSQL:
        statement, values = f"DELETE {old} ORDER BY time_stamp LIMIT {AT_ONCE}", (limit,)
    else:
        # The outer condition lets PostgreSQL leave out partitions.
        some = f"SELECT id {old} ORDER BY time_stamp LIMIT {AT_ONCE}"
        statement, values = f"DELETE {old} AND id IN ({some})", (limit, limit)  # type: ignore[assignment]
    deleted = 0
    while True:
        begun = time.monotonic()
        count = connection.exec_driver_sql(statement, values).rowcount
        connection.commit()
        deleted += count
        if count < AT_ONCE:
            return deleted
        time.sleep(min(1.0, time.monotonic() - begun))


def _shrink(connection: Connection) -> None:
    """A SQLite file that `db create` made becomes smaller; other files keep the room for new rows."""
    if connection.dialect.name != "sqlite":
        return
    while (free := int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)) > 0:
        begun = time.monotonic()
        # Each step returns one page; execute() takes the first step alone.
        driver: Any = connection.connection.dbapi_connection
        driver.executescript(f"PRAGMA incremental_vacuum({PAGES})")
        if int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0) >= free:
            return
        time.sleep(min(1.0, time.monotonic() - begun))
