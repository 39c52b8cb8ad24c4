"""Daily or monthly partitions by time_stamp in PostgreSQL, MariaDB and MySQL, for `capture-agent db partition`.

Rows of a time without a partition of its own go into one for the rest, so none is refused. Rows that were there before
are in the first partition, which ends at the start of a day or month some hours ahead.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.database import explained, open_connection, parse_url, shown
from capture_agent.sinks.sql.destinations import is_transactional
from capture_agent.sinks.sql.schema import create_in, free_name
from capture_agent.sinks.sql.sip_trace_table import INDEXES, MYSQL, checked_name
from capture_agent.sinks.sql.trace_rows import TIMES

LOCK_SECONDS = 1  # to wait for a lock: whoever comes later waits as long
LOCK_TRIES = 15  # with a pause of LOCK_SECONDS after each, in which the others go on
NOTICE = timedelta(hours=6)  # before the first partition ends: checking a large table takes time
LATEST = 31  # periods in the past that get a partition, if none was made for long
AT_ONCE = 2000  # rows moved in one transaction
SPARE_IDS = 100_000  # for rows inserted while a table is replaced

LOCK_NOT_FREE, LOCK_WAIT_TIMEOUT = "55P03", 1205  # of PostgreSQL; of MariaDB and MySQL

REST = "rest"  # suffix of the partition for all other rows


@dataclass(frozen=True, slots=True)
class Partition:
    """`until`: the first time that it does not contain; None: the partition for the rest."""

    name: str  # as SQL has it
    until: datetime | None


def partition(target: SqlTarget, monthly: bool, ahead: int) -> Iterator[str]:
    """Partition the table, which is created if it is missing, and make partitions for the next `ahead` periods.

    Yields what was done, step by step. Raises SinkError.
    """
    url = parse_url(target.url)
    table = checked_name(target.table)
    if url.drivername.startswith("sqlite"):
        raise SinkError(
            f"{shown(url)}: SQLite has no partitions; move the file away instead, the agent makes a new one"
        )
    now = datetime.fromisoformat(TIMES[target.time](int(time.time())))
    try:
        with open_connection(url) as connection:
            with connection.begin():
                create_in(connection, url, table)
            limit_lock_waits(connection)
            server = _MySql if connection.dialect.name in MYSQL else _PostgreSql
            work = server(connection, table, monthly)
            if not partitions_of(connection, table):
                connection.rollback()
                work.divide(boundary(now + NOTICE, monthly))
                yield "table divided into partitions"
            connection.rollback()
            yield from work.add(_wanted(partitions_of(connection, table), now, monthly, ahead))
            connection.rollback()
            work.finish()
    except SQLAlchemyError as error:
        raise explained(url, error) from error


def boundary(after: datetime, monthly: bool) -> datetime:
    """The start of the first day or month that begins later."""
    day = after.replace(hour=0, minute=0, second=0, microsecond=0)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) if monthly else day + timedelta(days=1)


def _wanted(there: list[Partition], now: datetime, monthly: bool, ahead: int) -> list[tuple[datetime, datetime]]:
    """The missing periods, each from its first time to that of the next."""
    last = max((one.until for one in there if one.until is not None), default=now)
    periods = [(last, boundary(last, monthly))]
    while periods[-1][0] <= now:
        periods.append((periods[-1][1], boundary(periods[-1][1], monthly)))
    end = now
    for _ in range(ahead + 1):
        end = boundary(end, monthly)
    while periods[-1][1] < end:
        periods.append((periods[-1][1], boundary(periods[-1][1], monthly)))
    return [period for period in periods if period[1] <= end][-(LATEST + ahead) :]


def partitions_of(connection: Connection, table: str) -> list[Partition]:
    """None if the table is not partitioned by time, or if the database has no partitions."""
    if connection.dialect.name == "sqlite":
        return []
    if connection.dialect.name in MYSQL:
        query = (
            "SELECT partition_name, partition_description FROM information_schema.partitions"
            " WHERE table_schema = DATABASE() AND table_name = :table AND partition_method LIKE 'RANGE%'"
            " AND partition_expression LIKE '%time_stamp%' ORDER BY partition_ordinal_position"
        )
    else:
        query = (
            "SELECT inhrelid::regclass::text, pg_get_expr(relpartbound, inhrelid)"
            " FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(:table)"
        )
    named = table if connection.dialect.name in MYSQL else connection.dialect.identifier_preparer.quote(table)
    found = connection.execute(text(query), {"table": named})
    return [Partition(str(name), _end(str(bound))) for name, bound in found]


def _end(bound: str) -> datetime | None:
    """Of `'2026-12-01 00:00:00'`, `739951` (TO_DAYS), `FOR VALUES FROM (...) TO ('2026-12-01 00:00:00')`."""
    if bound.isdigit():
        return datetime.fromordinal(int(bound) - 365)
    found = re.search(r"'([^']+)'\)?$", bound)
    return datetime.fromisoformat(found[1]) if found else None


def limit_lock_waits(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    elif connection.dialect.name in MYSQL:
        connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
    connection.commit()


def drop_partition(connection: Connection, table: str, old: Partition) -> None:
    quote = connection.dialect.identifier_preparer.quote
    if connection.dialect.name in MYSQL:
        run_patiently(connection, f"ALTER TABLE {quote(table)} DROP PARTITION {quote(old.name)}")
    else:
        run_patiently(connection, f"DROP TABLE {old.name}")


def run_patiently(connection: Connection, *statements: str) -> None:
    """In one transaction, as far as the database has them for such statements; again if a lock is not free in time.

    Raises SQLAlchemyError.
    """
    for tries in range(1, LOCK_TRIES + 1):
        try:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
            return
        except OperationalError as error:
            connection.rollback()
            if tries == LOCK_TRIES or not waited_in_vain(error):
                raise
            time.sleep(LOCK_SECONDS)


def waited_in_vain(error: OperationalError) -> bool:
    """Whether another program had the lock for too long."""
    arguments = getattr(error.orig, "args", ())
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_FREE or arguments[:1] == (LOCK_WAIT_TIMEOUT,)


def suffix(start: datetime, monthly: bool) -> str:
    return f"p{start:%Y%m}" if monthly else f"p{start:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class _DividedTable:
    connection: Connection
    table: str
    monthly: bool

    def _run(self, *statements: str) -> None:
        run_patiently(self.connection, *statements)


class _PostgreSql(_DividedTable):
    __slots__ = ()

    def _name(self, suffix: str = "") -> str:
        return str(self.connection.dialect.identifier_preparer.quote(self.table + suffix))

    def divide(self, until: datetime) -> None:
        """The table becomes a partition: no row is moved, and its rows are checked while others write."""
        table, before = self._name(), self._name("_before")
        self._run(f"ALTER TABLE {table} ADD CONSTRAINT {before} CHECK (time_stamp < '{until}') NOT VALID")
        try:
            self._run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {before}")
        except SQLAlchemyError:
            self.connection.rollback()
            self._run(f"ALTER TABLE {table} DROP CONSTRAINT {before}")
            raise
        indexes = {column: free_name(self.connection, f"{self.table}_{name}") for column, name in INDEXES.items()}
        self._run(
            f"ALTER TABLE {table} RENAME TO {before}",
            f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS) PARTITION BY RANGE (time_stamp)",
            *(f'CREATE INDEX "{name}" ON {table} ({column})' for column, name in indexes.items()),
            f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{until}')",
            f"ALTER TABLE {before} DROP CONSTRAINT {before}",
            f"CREATE TABLE {self._name(f'_{REST}')} PARTITION OF {table} (PRIMARY KEY (id)) DEFAULT",
            *self._sequence(),
            *self._grants(),
        )

    def _sequence(self) -> list[str]:
        """The numbers of rows outlive the partition that they began with."""
        query = text("SELECT pg_get_serial_sequence(:table, 'id')")
        named = self.connection.scalar(query, {"table": self._name()})
        return [f"ALTER SEQUENCE {named} OWNED BY {self._name()}.id"] if named else []

    def _grants(self) -> list[str]:
        """Who could use the table may use the new one."""
        quote = self.connection.dialect.identifier_preparer.quote_identifier
        query = text(
            "SELECT grantee, privilege_type FROM information_schema.role_table_grants"
            " WHERE table_schema = current_schema() AND table_name = :table"
        )
        rows = self.connection.execute(query, {"table": self.table}).all()
        return [
            f"GRANT {privilege} ON {self._name()} TO {who if who == 'PUBLIC' else quote(who)}"
            for who, privilege in rows
        ]

    def add(self, periods: list[tuple[datetime, datetime]]) -> Iterator[str]:
        """Rows that came before their partition are moved into it, and while others wait, those that came meanwhile."""
        table = self._name()
        rest = next((one.name for one in partitions_of(self.connection, self.table) if one.until is None), None)
        for start, end in periods:
            name = self._name(f"_{suffix(start, self.monthly)}")
            there = f"time_stamp >= '{start}' AND time_stamp < '{end}'"
            moved = (
                f"WITH moved AS (DELETE FROM {rest} WHERE {there} RETURNING *) INSERT INTO {name} SELECT * FROM moved"
            )
            self._run(
                f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS, PRIMARY KEY (id), CHECK ({there}))",
                *([moved, f"LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE", moved] if rest else []),
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')",
            )
            yield f"partition {name} added"

    def finish(self) -> None:
        """Nothing is left to do."""


class _MySql(_DividedTable):
    __slots__ = ()

    @property
    def _before(self) -> str:
        return f"{self.table}_before"

    def divide(self, until: datetime) -> None:
        """An empty partitioned table takes the table's place; `finish` moves the rows."""
        table, new = self.table, f"{self.table}_new"
        if not is_transactional(self.connection, table):
            raise SinkError(f"table {table} has no transactions: run `ALTER TABLE {table} ENGINE=InnoDB`")
        self._run(
            f"DROP TABLE IF EXISTS `{new}`",
            f"CREATE TABLE `{new}` LIKE `{table}`",
            f"ALTER TABLE `{new}` DROP PRIMARY KEY, ADD PRIMARY KEY (id, time_stamp)",
            f"ALTER TABLE `{new}` PARTITION BY RANGE COLUMNS (time_stamp) (PARTITION p_before VALUES LESS THAN"
            f" ('{until}'), PARTITION p_{REST} VALUES LESS THAN (MAXVALUE))",
        )
        last = int(self.connection.exec_driver_sql(f"SELECT MAX(id) FROM `{table}`").scalar() or 0)
        spare = last + SPARE_IDS if last else 1
        self._run(
            f"ALTER TABLE `{new}` AUTO_INCREMENT = {spare}",
            f"RENAME TABLE `{table}` TO `{self._before}`, `{new}` TO `{table}`",
        )

    def add(self, periods: list[tuple[datetime, datetime]]) -> Iterator[str]:
        """Only the partition for the rest is written anew: it is empty as a rule."""
        there = partitions_of(self.connection, self.table)
        rest = next((one.name for one in there if one.until is None), None)
        names = [suffix(start, self.monthly) for start, _ in periods]
        ranges = ", ".join(
            f"PARTITION {name} VALUES LESS THAN ('{end}')" for name, (_, end) in zip(names, periods, strict=True)
        )
        if not periods:
            return
        if rest is None:
            self._run(f"ALTER TABLE `{self.table}` ADD PARTITION ({ranges})")
        else:
            parts = f"{ranges}, PARTITION {rest} VALUES LESS THAN (MAXVALUE)"
            self._run(f"ALTER TABLE `{self.table}` REORGANIZE PARTITION {rest} INTO ({parts})")
        yield from (f"partition {name} added" for name in names)

    def finish(self) -> None:
        """Move the rows of the replaced table, a part in each transaction; an interrupted run is continued."""
        query = text("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :table")
        if self.connection.scalar(query, {"table": self._before}) is None:
            return
        while True:
            begun = time.monotonic()
            self._run(
                f"INSERT INTO `{self.table}` SELECT * FROM `{self._before}` ORDER BY id LIMIT {AT_ONCE}",
                f"DELETE FROM `{self._before}` ORDER BY id LIMIT {AT_ONCE}",
            )
            if self.connection.exec_driver_sql(f"SELECT 1 FROM `{self._before}` LIMIT 1").scalar() is None:
                break
            time.sleep(min(1.0, time.monotonic() - begun))
        self._run(f"DROP TABLE `{self._before}`")
