"""The rows of a sip_trace table from one snapshot, by the queries that `calls` and `flow` need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_text import STORED_TEXT, as_blob, as_bytes
from capture_agent.history.stored_times import RepeatedHour, Stamp, first_step_back, moments
from capture_agent.sinks.sql.database import check_table, connect, explained, parse_url
from capture_agent.sinks.sql.sip_trace_table import CORRELATION, sip_trace_table
from capture_agent.sinks.sql.table_check import has_correlation
from capture_agent.sinks.sql.trace_rows import TIMES, julian_day

PAGE = 2000  # rows at least, if the number needed is unknown

SLACK = 1e-9  # days: a Julian day is rounded
NOT_TEXT = ("id", "time_stamp", "time_us", "msg")
UNUSUAL = re.compile(r"[^ -\[\]-~]")  # shown, or stored, in another form


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A time; None: without a beginning or end."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = TimeRange()


class StoredRows:
    """Text columns are returned as stored: bytes, or str if the driver has decoded UTF-8."""

    def __init__(self, connection: Connection, table: Table, zone: str) -> None:
        self.text = STORED_TEXT[connection.dialect.name](connection, table)
        self._connection = connection
        self._table = table
        self._zone = zone
        self._second_rounds: dict[RepeatedHour, int | None] = {}
        self.correlated = CORRELATION in table.c

    def last_id(self) -> int:
        return self._connection.scalar(select(func.max(self._table.c.id))) or 0

    def names_since(self, row_id: int) -> list[bytes]:
        """The stored Call-IDs of the rows after this one."""
        name = self.text.raw(self._table.c.callid)
        query = select(name).where(self._table.c.id > row_id).distinct()
        return [as_bytes(found) for (found,) in self._connection.execute(query)]

    def latest_names(self, limit: int, between: TimeRange = ALWAYS) -> list[bytes]:
        """The stored Call-IDs of the latest rows of this time: `limit` of them, and all others of the same second."""
        stamp, row_id = self._table.c.time_stamp, self._table.c.id
        query = select(stamp, row_id, self.text.raw(self._table.c.callid).label("callid"))
        if between.since is not None:
            query = query.where(stamp >= self._stamp(between.since, -SLACK))
        if between.until is not None:
            query = query.where(stamp <= self._stamp(between.until, SLACK))
        query = query.order_by(stamp.desc(), row_id.desc())
        names: dict[bytes, Stamp] = {}  # with the timestamp of each one's latest row
        size = max(PAGE, 2 * limit)
        page = self._names_in(query.limit(size))
        while page:
            for row in page:
                names.setdefault(as_bytes(row.callid), row.latest)
            last = min(row.earliest for row in page)
            # The last second is read completely: its rows are not sorted by microsecond.
            if sum(row.rows for row in page) < size:
                break
            if len(names) >= limit and list(names.values())[limit - 1] != last:
                break
            size *= 2  # so it goes beyond the second in which the page before ended, which is read again
            page = self._names_in(query.where(stamp <= last).limit(size))
        second = list(names.values())[:limit][-1:]
        return [name for at, (name, own) in enumerate(names.items()) if at < limit or own == second[0]]

    def _names_in(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """The Call-IDs of these rows, the latest first, with the times of their rows. The server puts the rows of each
        together: to fetch them all takes most of the time."""
        rows = query.subquery()
        latest = func.max(rows.c.time_stamp).label("latest")
        grouped = select(
            rows.c.callid, latest, func.min(rows.c.time_stamp).label("earliest"), func.count().label("rows")
        )
        grouped = grouped.group_by(rows.c.callid).order_by(latest.desc(), func.max(rows.c.id).desc())
        return self._connection.execute(grouped).all()

    def _stamp(self, moment: datetime, slack: float) -> float | str:
        """The column's value for it; `slack`: of a Julian day."""
        seconds = int(moment.timestamp())
        if self._connection.dialect.name == "sqlite":
            return julian_day(seconds) + slack
        return TIMES[self._zone](seconds)

    def names_of_ids(self, correlation_ids: Iterable[bytes]) -> list[bytes]:
        """The stored Call-IDs of rows with one of these correlation ids, if the table has such a column."""
        ids = [one.decode("utf-8", "surrogateescape") for one in correlation_ids]
        if not self.correlated or not ids:
            return []
        query = select(self.text.raw(self._table.c.callid)).where(self._table.c.correlation_id.in_(ids)).distinct()
        return [as_bytes(found) for (found,) in self._connection.execute(query.limit(PAGE))]

    def names_like(self, call_id: str) -> list[bytes]:
        """The stored Call-IDs that are not plain text and have the same beginning as this one."""
        beginning = UNUSUAL.split(call_id[: self.text.longest])[0]
        column = self._table.c.callid
        query = select(self.text.raw(column)).where(column.startswith(beginning, autoescape=True)).distinct()
        found = (as_bytes(name) for (name,) in self._connection.execute(query))
        return [name for name in found if not self.text.is_whole(name)]

    def whole(self, names: Sequence[bytes]) -> Iterable[Row[Any]]:
        query = select(*map(self._read, self._table.c)).where(self.text.one_of(names))
        return self._connection.execute(query)

    def _read(self, column: Column[Any]) -> Any:
        if column.name == "msg" and self.text.message_as_bytes:
            return as_blob(column).label("msg")
        if column.name == "msg" or column.name not in NOT_TEXT:
            return self.text.raw(column).label(column.name)
        return column

    def times(self, rows: Sequence[tuple[int, Stamp]]) -> list[datetime]:
        """The times of one call's rows, in UTC."""
        return moments(rows, self._zone, self._second_round)

    def _second_round(self, repeated: RepeatedHour) -> int | None:
        """Where, in order of ids, the whole table's time goes back by more than half of the repeated time."""
        if repeated not in self._second_rounds:
            self._second_rounds[repeated] = first_step_back(self._stamps(repeated), repeated.length / 2)
        return self._second_rounds[repeated]

    def _stamps(self, repeated: RepeatedHour) -> Iterator[tuple[int, datetime]]:
        row_id, stamp = self._table.c.id, self._table.c.time_stamp
        query = select(row_id, stamp).where(stamp >= repeated.start, stamp < repeated.end).order_by(row_id).limit(PAGE)
        page = self._connection.execute(query).all()
        while page:
            yield from ((row.id, row.time_stamp) for row in page)
            page = self._connection.execute(query.where(row_id > page[-1].id)).all()


@contextmanager
def reading(target: SqlTarget) -> Iterator[StoredRows]:
    """A snapshot of the table, whatever is stored and deleted meanwhile. Raises SinkError."""
    url = parse_url(target.url)
    connection = connect(url)
    try:
        if connection.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        check_table(connection, url, target.table)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")  # Python's driver begins no transaction for a SELECT
        table = sip_trace_table(target.table, correlated=has_correlation(connection, target.table))
        yield StoredRows(connection, table, target.time)
    except SQLAlchemyError as error:
        raise explained(url, error) from error
    finally:
        connection.close()
