"""Inserts rows into one table, and finds out later whether an unanswered commit stored them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.row_maker import RowMaker
from capture_agent.sinks.sql.sip_trace_table import INSERTED, LONGEST_CORRELATION
from capture_agent.sinks.sql.trace_rows import Row

CALL_ID, TIME_US = (list(INSERTED).index(name) for name in ("callid", "time_us"))

# PyMySQL puts several rows into one statement, up to this many bytes.
LONGEST_STATEMENT = 1_024_000
ROOM = 64  # bytes of a packet in addition to the statement
# PostgreSQL. In the future: the number of a transaction that the server has not begun.
IN_THE_FUTURE, NOT_GRANTED, TOO_LONG = "22023", "42501", "57014"
LOOK_MS = 2000  # without an index on callid, a search may take any time

# Asked with a new connection: True, stored; False, not stored; None, unknown. Raises StillOpen.
Receipt = Callable[[Connection], bool | None]


class StillOpen(Exception):
    """The database has not yet ended the transaction."""


@dataclass(frozen=True, slots=True)
class Unsure:
    """A part of a batch whose commit, or INSERT without transactions (`commits` is False), was not answered."""

    part: Sequence[TracedMessage]
    rejected: list[str]
    receipt: Receipt
    commits: bool


@dataclass(slots=True)
class Destination:
    """A table. `insert` returns the id of the last row that it stored, 0 if the database does not report it."""

    name: str  # quoted
    rows: RowMaker
    insert: Callable[[Connection, Destination, list[Row]], int]
    statement: str
    another: str = ""  # statement that stores the newest row again, with another message
    transactional: bool = True
    last_id: int = 0  # for a table without transactions: the highest id before the next message
    correlated: bool = False  # whether it has the agent's own column

    def rows_of(self, traced: TracedMessage) -> list[Row] | str:
        """The message's rows, in the order of the statement; or why there are none."""
        made = self.rows.rows(traced)
        if isinstance(made, str) or not self.correlated:
            return made
        correlation_id = self.rows.text(traced.trace.correlation_id)[:LONGEST_CORRELATION]
        return [(*row, correlation_id) for row in made]


def insert_rows(connection: Connection, destination: Destination, rows: list[Row]) -> int:
    result = connection.exec_driver_sql(destination.statement, rows)
    return int(result.lastrowid or 0) if connection.dialect.name in ("mysql", "mariadb") else 0


def insert_one_by_one(connection: Connection, destination: Destination, rows: list[Row]) -> int:
    """For a table without transactions, which keeps rows although a later one fails: all rows of a message or none."""
    stored: list[int] = []
    try:
        for row in rows:
            stored.append(int(connection.exec_driver_sql(destination.statement, row).lastrowid or 0))
    except DBAPIError as error:
        if stored and not error.connection_invalidated:
            ids = ", ".join(map(str, stored))
            connection.exec_driver_sql(f"DELETE FROM {destination.name} WHERE id IN ({ids})")
        raise
    destination.last_id = max(destination.last_id, *stored)
    return stored[-1]


def copy_rows(connection: Connection, destination: Destination, rows: list[Row]) -> int:
    """PostgreSQL's COPY takes twice as many rows a second as INSERT does."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see statements on the cursor, and would not commit them
    cursor: Any = connection.connection.cursor()
    into = destination.statement
    try:
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(into, None, error, connection.dialect.loaded_dbapi.Error) from error
    finally:
        cursor.close()
    return 0


def takes_another(connection: Connection, destination: Destination, length: int) -> bool:
    """Whether the newest row could be stored again with a message of this length, which fails on a full disk.

    Stores nothing. False if that cannot be tried: no row, no permission to read, a table without transactions.
    """
    if not destination.transactional:
        return False
    filler = destination.rows.message(b"." * length)
    try:
        took = connection.exec_driver_sql(destination.another, (filler,)).rowcount == 1
    except (SQLAlchemyError, ValueError, OverflowError):
        took = False
    return rolled_back(connection) and took


def rolled_back(connection: Connection) -> bool:
    """Whether the connection still works. Never raises."""
    try:
        if connection.invalidated:
            return False
        connection.rollback()
    except SQLAlchemyError:
        return False
    return True


def receipt(connection: Connection, destination: Destination, row_id: int, rows: list[Row]) -> Receipt:
    """A question about rows inserted but not yet committed. Asks PostgreSQL for the transaction's number."""
    if connection.dialect.name == "postgresql":
        return transaction_receipt(connection, destination.name, rows[-1])
    return row_receipt(destination, row_id, rows)


def transaction_receipt(connection: Connection, table: str, row: Row) -> Receipt:
    """txid_status() exists since PostgreSQL 10. A killed server may give the number to another transaction."""
    if (connection.dialect.server_version_info or (0,)) < (10,):
        return lambda _: None
    number = connection.exec_driver_sql("SELECT txid_current()").scalar()

    def stored(again: Connection) -> bool | None:
        try:
            status = again.scalar(text("SELECT txid_status(:number)"), {"number": number})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != IN_THE_FUTURE:
                raise
            return False  # the server was killed before anything of it was on its disk
        if status == "in progress":
            raise StillOpen
        return None if status is None else status == "committed" and has_row(again, table, row)

    return stored


def has_row(connection: Connection, table: str, row: Row) -> bool:
    """Whether PostgreSQL's table has this row. True if it may not be read, or is not found in time."""
    same = text(f"SELECT 1 FROM {table} WHERE callid = :call_id AND time_us = :time_us LIMIT 1")
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {LOOK_MS}")
        return connection.scalar(same, {"call_id": row[CALL_ID], "time_us": row[TIME_US]}) is not None
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") in (NOT_GRANTED, TOO_LONG):
            return True
        raise


def row_receipt(destination: Destination, row_id: int, rows: list[Row]) -> Receipt:
    """Looks for the row with that id and our values: a restarted server may assign the id again.

    The lock waits for the end of a transaction that is still open.
    """
    ours = {(row[CALL_ID], row[TIME_US]) for row in rows}
    query = text(f"SELECT callid, time_us FROM {destination.name} WHERE id = :id LOCK IN SHARE MODE")

    def stored(again: Connection) -> bool | None:
        if not row_id:
            return None
        return any((call_id, time_us) in ours for call_id, time_us in again.execute(query, {"id": row_id}))

    return stored


def value_receipt(destination: Destination, row: Row) -> Receipt:
    """For a table without transactions, whose INSERT was not answered: looks for a newer row with these values."""
    names = [name for name in INSERTED if name not in ("msg", "traced_user")]
    same = " AND ".join(f"{name} = :{name}" for name in names)
    query = text(f"SELECT 1 FROM {destination.name} WHERE id > :last_id AND {same} LIMIT 1")
    values = dict(zip(INSERTED, row, strict=False))  # without the agent's own column
    given = {name: values[name] for name in names} | {"last_id": destination.last_id}

    def stored(again: Connection) -> bool | None:
        return again.scalar(query, given) is not None

    return stored


def prepare_mysql(connection: Connection, destination: Destination, table: str) -> None:
    bound_statements(connection)
    if not is_transactional(connection, table):
        destination.transactional, destination.insert = False, insert_one_by_one
        newest = connection.exec_driver_sql(f"SELECT MAX(id) FROM {destination.name}").scalar()
        destination.last_id = int(newest or 0)


def is_transactional(connection: Connection, table: str) -> bool:
    """In MySQL and MariaDB: MyISAM, Aria and MEMORY are not. A view counts as transactional: its engine is unknown."""
    query = text(
        "SELECT engines.transactions FROM information_schema.tables JOIN information_schema.engines"
        " ON engines.engine = tables.engine WHERE table_schema = DATABASE() AND table_name = :table"
    )
    return bool(connection.scalar(query, {"table": table}) != "NO")


def bound_statements(connection: Connection) -> None:
    """MySQL closes the connection after more than max_allowed_packet: such a statement is refused here."""
    driver: Any = connection.connection.dbapi_connection
    if not type(driver).__module__.startswith("pymysql") or driver.cursorclass.__name__ == "Bounded":
        return
    from pymysql import err  # type: ignore[import-untyped]

    most = int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar() or LONGEST_STATEMENT)

    class Bounded(driver.cursorclass):  # type: ignore[misc]
        max_stmt_length = max(1024, min(LONGEST_STATEMENT, most - ROOM))

        def execute(self, query: Any, args: Any = None) -> Any:
            """Raises DataError."""
            if args is not None:
                query = self.mogrify(query, args)
            if 4 * len(query) >= most:
                size = len(query.encode("utf-8", "surrogateescape") if isinstance(query, str) else query)
                if size + 1 > most:
                    raise err.DataError(1153, f"{size} bytes, max_allowed_packet is {most}")
            return super().execute(query)

    driver.cursorclass = Bounded
