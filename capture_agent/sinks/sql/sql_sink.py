"""Writes to the sip_trace table of a SQLite, PostgreSQL, MySQL or MariaDB database."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.database import (
    check_table,
    connect,
    disconnect,
    explained,
    parse_url,
    prepare_for_writing,
    shown,
)
from capture_agent.sinks.sql.deadlines import WRITE_SECONDS
from capture_agent.sinks.sql.destinations import (
    Destination,
    Receipt,
    StillOpen,
    Unsure,
    copy_rows,
    insert_rows,
    prepare_mysql,
    receipt,
    rolled_back,
    takes_another,
    value_receipt,
)
from capture_agent.sinks.sql.dividing import Divider, Failure
from capture_agent.sinks.sql.refusals import FailedPart, Refusals
from capture_agent.sinks.sql.refused_file import RefusedFile
from capture_agent.sinks.sql.row_maker import RowMaker
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sip_trace_table import INSERTED, MYSQL, checked_name
from capture_agent.sinks.sql.sqlite_file import WatchedFile, path_of
from capture_agent.sinks.sql.table_check import TableProblem, column_problems, other_problems
from capture_agent.sinks.sql.trace_rows import (
    NO_TABLE,
    ROWS_REFUSED,
    TIMES,
    Row,
    as_hex,
    as_it_is,
    as_text_or_hex,
    julian_day,
    text_in_ascii,
    text_without_nul,
)
from capture_agent.sinks.sql.verdicts import FileGone, Verdict, is_doubtful, verdict_of
from capture_agent.sip.headers import text as header_text

AT_ONCE = 2000  # messages of one transaction
MOST_TABLES = 1000  # remembered names of tables that exist, and of missing ones

_log = logging.getLogger(__name__)

TimeOf = Callable[[int], str]


class SqlSink:
    """One row per message, and one per traced user. `tables`: those that rules name, in addition to the target's own.

    rejected   headers: From, To, Call-ID or CSeq that siptrace could not store; start_line: a response without a
               status; refused: the database refused its rows; table: its trace names a table that does not exist;
               not_sip: another kind of message; no_user: its trace has neither a row without a user nor a user
    cut        values longer than their column, by column: PostgreSQL and MySQL have no room for them
    """

    together = AT_ONCE  # one commit costs as much as many rows

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
        self._file = WatchedFile(path_of(self._url))
        self._left: tuple[str, ...] = ()  # the tables of a file that was moved away
        self._unsure: Unsure | None = None
        self._divider = Divider(self)
        self._refusals = Refusals(self.name)
        self._refused = RefusedFile(target.refused)
        self._create = target.create
        self._destinations: dict[str, Destination | None] = {}  # None: no such table
        self._told: set[tuple[str, TableProblem]] = set()  # bounded by the columns of the configured tables

    def open(self) -> None:
        self._opened()

    def _opened(self) -> Connection:
        """The connection; a new one if SQLite's file was moved away. Raises SinkError."""
        if self._connection is not None:
            if not self._file.moved:
                return self._connection
            self.close()
        if self._left and self._file.missing:
            self._make_file()
        if self._create:
            self._create_tables()
        with suppress(OSError):  # connect() reports the error
            self._file.watch()
        connection = connect(self._url, WRITE_SECONDS)
        try:
            self._prepare(connection)
        except SQLAlchemyError as error:
            disconnect(connection)
            raise explained(self._url, error) from error
        except Exception:
            disconnect(connection)
            raise
        if self._left:
            _log.warning("%s: the file was moved or deleted; rows now go into the new file at its path", self.name)
            self._left = ()
        self._connection = connection
        return connection

    def _prepare(self, connection: Connection) -> None:
        check_table(connection, self._url, self._table)
        prepare_for_writing(connection)
        own = self._prepared(connection, self._table)
        self._destinations = {"": own, self._table: own}
        for name in self._tables:
            self._destination(connection, name)
        self._tell(connection)
        connection.rollback()

    def _tell(self, connection: Connection) -> None:
        """Log which columns may not take every row: once, not at every new connection."""
        for name in self._known_tables:
            new = [one for one in column_problems(connection, name) if (name, one) not in self._told]
            if new:
                self._told.update((name, one) for one in new)
                _log.warning("%s: table %s: %s", self.name, name, "; ".join(map(str, new)))

    @property
    def _known_tables(self) -> list[str]:
        return [name for name, found in self._destinations.items() if name and found]

    def table_problems(self) -> list[tuple[str, TableProblem]]:
        """What is wrong with each table that there is. Raises SinkError."""
        connection = self._opened()
        try:
            return [
                (name, problem)
                for name in self._known_tables
                for problem in [*column_problems(connection, name), *other_problems(connection, name)]
            ]
        except SQLAlchemyError as error:
            raise explained(self._url, error) from error
        finally:
            rolled_back(connection)

    def _create_tables(self) -> None:
        """Those of the target and of rules: once, for a table that is dropped later was not dropped by accident."""
        for name in (self._table, *self._tables):
            if create_tables(self._url.render_as_string(hide_password=False), name):
                _log.warning("%s: table %s made", self.name, name)
        self._create = False

    def _make_file(self) -> None:
        """Create the new file, with the tables that the moved one had."""
        self._file.remove_logs()
        for name in self._left:
            create_tables(self._url.render_as_string(hide_password=False), name)

    def _destination(self, connection: Connection, name: str) -> Destination | None:
        """A table other than the target's own; None if it does not exist. Checked once per connection."""
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
                raise  # the database itself failed
            _log.warning("%s; messages traced into it are not stored", error)
        self._destinations[name] = found
        return found

    def _prepared(self, connection: Connection, table: str) -> Destination:
        dialect = connection.dialect
        rows = ROW_MAKERS[dialect.name](connection, table, self._time)
        rows.cut = self.cut
        quote = dialect.identifier_preparer.quote
        columns = ", ".join(map(quote, INSERTED))
        # Values are always bound; names come from our table and from checked_name.
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join([mark] * len(INSERTED))
        into = f"{quote(table)} ({columns})"
        destination = Destination(quote(table), rows, insert_rows, f"INSERT INTO {into} VALUES ({marks})")
        newest = ", ".join(mark if name == "msg" else quote(name) for name in INSERTED)
        destination.another = f"INSERT INTO {into} SELECT {newest} FROM {quote(table)} ORDER BY id DESC LIMIT 1"
        if dialect.name == "postgresql":
            destination.insert, destination.statement = copy_rows, into
        elif dialect.name in MYSQL:
            prepare_mysql(connection, destination, table)
        return destination

    def send(self, batch: Sequence[TracedMessage]) -> None:
        self._opened()
        transactional = all(found is None or found.transactional for found in self._destinations.values())
        self._divider.send(batch, AT_ONCE if transactional else 1)

    def store(self, part: Sequence[TracedMessage]) -> FailedPart | None:
        """One transaction. Raises SinkError: the database cannot be reached."""
        connection = self._opened()
        rejected: list[str] = []
        proof: Receipt | None = None
        begun = time.monotonic()
        try:
            rows, rejected = self._made(connection, part)
            if len(part) > 1 and not all(destination.transactional for destination, _ in rows.values()):
                return FailedPart(Verdict.REFUSED, self._url, ValueError("one message at a time"), part)
            for destination, of_table in rows.values():
                if not destination.transactional:
                    proof = value_receipt(destination, of_table[-1])
                row_id = destination.insert(connection, destination, of_table)
                proof = None
            if connection.in_transaction():
                if rows and not self._file.path:
                    proof = receipt(connection, destination, row_id, of_table)
                connection.commit()
            if self._file.deleted:
                raise FileGone("the file was deleted")
        except (SinkError, SQLAlchemyError, ValueError, OverflowError, FileGone) as error:
            unsure = Unsure(part, rejected, proof) if proof else None
            return self._failed(connection, error, part, unsure, time.monotonic() - begun)
        self._count(part, rejected)
        return None

    def _count(self, part: Sequence[TracedMessage], rejected: list[str]) -> None:
        self.sent += len(part) - len(rejected)
        self.rejected.update(rejected)

    def _failed(
        self,
        connection: Connection,
        error: Exception,
        part: Sequence[TracedMessage],
        unsure: Unsure | None,
        seconds: float,
    ) -> FailedPart:
        """The connection is kept only if the row is at fault. Raises a SinkError that is not the database's."""
        cause = error.__cause__ if isinstance(error, SinkError) else error
        if not isinstance(cause, Exception):
            self.close()
            raise error
        verdict = verdict_of(cause)
        of_row = verdict in (Verdict.REFUSED, Verdict.UNKNOWN)
        doubtful = is_doubtful(verdict, cause, seconds, len(part)) and not (verdict is Verdict.LOST and unsure)
        works = (of_row or doubtful) and rolled_back(connection)
        if not works:
            self.close()
        elif doubtful:
            verdict = Verdict.DOUBTED
        if verdict in (Verdict.LOST, Verdict.TIMEOUT, Verdict.OUTAGE):
            self._unsure = unsure
        return FailedPart(verdict, self._url, cause, part)

    def confirmed(self, part: Sequence[TracedMessage]) -> int:
        """How many of the first messages the unanswered commit has stored. Raises SinkError."""
        unsure = self._unsure
        if unsure is None:
            return 0
        connection = self._opened()
        stored: bool | None = False
        if part and part[0] is unsure.part[0]:
            try:
                stored = unsure.receipt(connection)
                connection.rollback()
            except StillOpen:
                self.close()
                raise SinkError(f"{self.name}: the last transaction has not ended") from None
            except SQLAlchemyError as error:
                self.close()
                if verdict_of(error) is not Verdict.UNKNOWN:
                    raise explained(self._url, error) from error
                stored = None
        self._unsure = None
        if stored is None:
            _log.warning(
                "%s: a commit was not answered: up to %d messages may be stored twice", self.name, len(unsure.part)
            )
        if not stored:
            return 0
        self._count(unsure.part, unsure.rejected)
        return len(unsure.part)

    def takes_another(self, message: TracedMessage) -> bool:
        """Whether another message of this length can be stored now. Stores nothing."""
        try:
            connection = self._opened()
        except SinkError:
            return False
        destination, stored = self._destinations.get(message.trace.table), message.message
        if destination is None or not isinstance(stored, CapturedMessage):
            return False
        return takes_another(connection, destination, len(stored.sip.raw))

    def rehearse(self, message: TracedMessage) -> tuple[list[str], list[str]]:
        """Store this message in each table, and take it back. Raises SinkError: it cannot be stored.

        Returns the tables that are not there, of those that rules name, and those that were left alone, for they
        have no transactions. The database may leave out an id.
        """
        connection = self._opened()
        absent: list[str] = []
        unsafe: list[str] = []
        try:
            for name, destination in self._destinations.items():
                if not name:
                    continue  # the sink's own, which is there by its name, too
                if destination is None:
                    absent.append(name)
                elif not destination.transactional:
                    unsafe.append(name)
                elif not isinstance(made := destination.rows.rows(message), str):
                    destination.insert(connection, destination, made)
        except SQLAlchemyError as error:
            raise explained(self._url, error) from error
        finally:
            rolled_back(connection)
        return absent, unsafe

    def refuse(self, message: TracedMessage, failure: Failure) -> None:
        self.rejected[ROWS_REFUSED] += 1
        self._refusals.add(failure.words())
        self._refused.add(message, message.trace.table or self._table, failure.words())

    def _made(
        self, connection: Connection, batch: Sequence[TracedMessage]
    ) -> tuple[dict[str, tuple[Destination, list[Row]]], list[str]]:
        """The rows for each table, in message order; and a reason for each message without rows."""
        rows: dict[str, tuple[Destination, list[Row]]] = {}  # by statement
        rejected = []
        for traced in batch:
            destination = self._destination(connection, traced.trace.table)
            if destination is None:
                rejected.append(NO_TABLE)
                continue
            made = destination.rows.rows(traced)
            if isinstance(made, str):
                rejected.append(made)
                continue
            if destination.statement not in rows:
                rows[destination.statement] = (destination, [])
            rows[destination.statement][1].extend(made)
        return rows, rejected

    def flush(self) -> None:
        """Every batch has been committed."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._file.moved:
            self._left = tuple({self._table, *self._known_tables})
            self._leave_file(connection)
        disconnect(connection)
        self._file.close()

    def _leave_file(self, connection: Connection) -> None:
        with suppress(SQLAlchemyError):
            if not self._file.leave(connection):
                _log.warning("%s: rows of the moved file are still in its -wal file: keep it", self.name)


def sqlite_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    return RowMaker(as_it_is, julian_day, header_text, limited=False)


def postgresql_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    # SQL_ASCII accepts every byte, but measures columns in bytes, not characters.
    utf8 = connection.scalar(text("SELECT getdatabaseencoding()")) == "UTF8"
    return RowMaker(as_hex, time, text_without_nul if utf8 else text_in_ascii, limited=True)


def mysql_rows(connection: Connection, table: str, time: TimeOf) -> RowMaker:
    """Our own table accepts every byte; other tables may have a different character set in each column."""
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
