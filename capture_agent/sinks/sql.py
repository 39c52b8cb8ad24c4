"""Into the sip_trace table of a SQLite, PostgreSQL, MySQL or MariaDB database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.records import TracedMessage
from capture_agent.sinks.database import check_table, connect, explained, parse_url, prepare_for_writing, shown
from capture_agent.sinks.rows import (
    TIMES,
    Row,
    RowMaker,
    as_hex,
    as_it_is,
    as_text_or_hex,
    julian_day,
    text_in_ascii,
    text_without_nul,
)
from capture_agent.sinks.sink import SinkError
from capture_agent.sinks.sip_trace import INSERTED, checked_name
from capture_agent.sip.headers import text as header_text

AT_ONCE = 2000  # messages of one transaction
MOST_TABLES = 1000  # names that are remembered, of tables that are there and of such that are not

_log = logging.getLogger(__name__)

Insert = Callable[[Connection, str, list[Row]], None]
TimeOf = Callable[[int], str]


@dataclass(slots=True)
class Destination:
    """A table, and how rows come into it."""

    rows: RowMaker
    insert: Insert
    statement: str


class SqlSink:
    """One row per message, and one for each traced user. `tables`: those that rules name, besides the target's own.

    rejected   headers: From, To, Call-ID or CSeq are not what siptrace could store; start_line: a response without
               a status; refused: the database did not take its rows; table: its trace names one that is not there;
               not_sip: a log event; no_user: its trace has neither a row of nobody nor a user
    cut        values that were longer than their column, by column: PostgreSQL and MySQL have no room for them
    """

    together = AT_ONCE  # a commit costs as much as many rows

    def __init__(self, target: SqlTarget, tables: Iterable[str] = ()) -> None:
        self._url = parse_url(target.url)
        self._table = checked_name(target.table)
        self._tables = tuple(tables)
        self._time = TIMES[target.time]
        self.name = shown(self._url)
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self._connection: Connection | None = None
        self._destinations: dict[str, Destination | None] = {}  # None: there is no such table

    def open(self) -> None:
        self._opened()

    def _opened(self) -> Connection:
        if self._connection is not None:
            return self._connection
        connection = connect(self._url)
        try:
            check_table(connection, self._url, self._table)
            prepare_for_writing(connection)
            own = self._prepared(connection, self._table)
            self._destinations = {"": own, self._table: own}
            for name in self._tables:
                self._destination(connection, name)
            connection.rollback()
        except SQLAlchemyError as error:
            connection.close()
            raise explained(self._url, error) from error
        except Exception:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _destination(self, connection: Connection, name: str) -> Destination | None:
        """That of a table which is not the target's own; None if there is none. Looked for once per connection."""
        if name in self._destinations:
            return self._destinations[name]
        if len(self._destinations) >= MOST_TABLES:
            return None
        found = None
        try:
            checked_name(name)
            check_table(connection, self._url, name)
            found = self._prepared(connection, name)
        except SinkError as error:
            if isinstance(error.__cause__, SQLAlchemyError):
                raise  # it is the database that failed
            _log.warning("%s; what is traced into it is not stored", error)
        self._destinations[name] = found
        return found

    def _prepared(self, connection: Connection, table: str) -> Destination:
        dialect = connection.dialect
        rows = ROW_MAKERS[dialect.name](connection, table, self._time)
        rows.cut = self.cut
        insert = INSERTS.get(dialect.name, insert_rows)
        quote = dialect.identifier_preparer.quote
        columns = ", ".join(map(quote, INSERTED))
        # Values are always bound; the names come from our own table and from checked_name.
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join([mark] * len(INSERTED))
        statement = f"{quote(table)} ({columns})"
        if insert is insert_rows:
            statement = f"INSERT INTO {statement} VALUES ({marks})"
        return Destination(rows, insert, statement)

    def send(self, batch: Sequence[TracedMessage]) -> None:
        for at in range(0, len(batch), AT_ONCE):
            self._store(batch[at : at + AT_ONCE])

    def _store(self, batch: Sequence[TracedMessage]) -> None:
        connection = self._opened()
        try:
            rows, rejected = self._made(connection, batch)
            for destination, of_table in rows.values():
                destination.insert(connection, destination.statement, of_table)
            if connection.in_transaction():
                connection.commit()
        except (DataError, IntegrityError, UnicodeError):
            connection.rollback()
            self._store_parts(batch)
            return
        except SQLAlchemyError as error:
            self.close()
            raise explained(self._url, error) from error
        except SinkError:
            self.close()
            raise
        self.sent += len(batch) - len(rejected)
        self.rejected.update(rejected)

    def _made(
        self, connection: Connection, batch: Sequence[TracedMessage]
    ) -> tuple[dict[str, tuple[Destination, list[Row]]], list[str]]:
        """The rows of each table, in the order of the messages; and why messages have none, once for each of them."""
        rows: dict[str, tuple[Destination, list[Row]]] = {}  # by the statement
        rejected = []
        for traced in batch:
            destination = self._destination(connection, traced.trace.table)
            if destination is None:
                rejected.append("table")
                continue
            made = destination.rows.rows(traced)
            if isinstance(made, str):
                rejected.append(made)
                continue
            if destination.statement not in rows:
                rows[destination.statement] = (destination, [])
            rows[destination.statement][1].extend(made)
        return rows, rejected

    def _store_parts(self, batch: Sequence[TracedMessage]) -> None:
        """One row that the database refuses must not cost its neighbours."""
        if len(batch) == 1:
            self.rejected["refused"] += 1
            return
        middle = len(batch) // 2
        self._store(batch[:middle])
        self._store(batch[middle:])

    def flush(self) -> None:
        """Every batch has been committed."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except SQLAlchemyError:
            connection.invalidate()


def insert_rows(connection: Connection, statement: str, rows: list[Row]) -> None:
    connection.exec_driver_sql(statement, rows)


def copy_rows(connection: Connection, into: str, rows: list[Row]) -> None:
    """PostgreSQL's COPY takes twice as many rows a second as INSERT does."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what is done with the cursor, and would not commit it
    cursor: Any = connection.connection.cursor()
    try:
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(into, None, error, connection.dialect.loaded_dbapi.Error) from error
    finally:
        cursor.close()


def sqlite_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    return RowMaker(as_it_is, julian_day, header_text, limited=False)


def postgresql_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    # SQL_ASCII takes every byte, but its columns are so many bytes long, not characters.
    utf8 = connection.scalar(text("SELECT getdatabaseencoding()")) == "UTF8"
    return RowMaker(as_hex, time, text_without_nul if utf8 else text_in_ascii, limited=True)


def mysql_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    """Our own table takes every byte; one that was made otherwise may have another character set in each column."""
    found = connection.execute(
        text(
            "SELECT column_name, character_set_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = :table AND character_set_name IS NOT NULL"
        ),
        {"table": table},
    )
    charsets: dict[str, str] = {name: charset for name, charset in found}  # noqa: C416 - a Row is no pair to mypy
    message = charsets.pop("msg", None)
    every_byte = message in (None, "latin1", "binary")
    every_text = all(charsets.get(name, "utf8mb4") == "utf8mb4" for name in INSERTED)
    return RowMaker(
        as_it_is if every_byte else as_text_or_hex(str(message)),
        time,
        text_without_nul if every_text else text_in_ascii,
        limited=True,
    )


ROW_MAKERS: dict[str, Callable[[Connection, str, TimeOf], RowMaker]] = {
    "sqlite": sqlite_rows,
    "postgresql": postgresql_rows,
    "mysql": mysql_rows,
    "mariadb": mysql_rows,
}

INSERTS: dict[str, Insert] = {"postgresql": copy_rows}
