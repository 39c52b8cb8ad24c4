"""Writes to the sip_trace table of a SQLite, PostgreSQL, MySQL or MariaDB database."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.database import (
    connect,
    disconnect,
    explained,
    parse_url,
    prepare_for_writing,
    shown,
)
from capture_agent.sinks.sql.deadlines import WRITE_SECONDS
from capture_agent.sinks.sql.destinations import (
    Receipt,
    StillOpen,
    Unsure,
    receipt,
    rolled_back,
    takes_another,
    value_receipt,
)
from capture_agent.sinks.sql.dividing import Divider, Failure
from capture_agent.sinks.sql.refusals import FailedPart, Refusals
from capture_agent.sinks.sql.refused_file import RefusedFile
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sqlite_file import WatchedFile, path_of
from capture_agent.sinks.sql.table_check import TableProblem
from capture_agent.sinks.sql.trace_rows import ROWS_REFUSED, TIMES
from capture_agent.sinks.sql.trace_tables import Tables
from capture_agent.sinks.sql.verdicts import FileGone, Verdict, is_doubtful, verdict_of

AT_ONCE = 2000  # messages of one transaction, unless the target wants more
BYTES_AT_ONCE = 8 << 20  # of their text: rows are copies, in PostgreSQL of twice the size

_log = logging.getLogger(__name__)


class SqlSink:
    """One row per message, and one per traced user. `tables`: those that rules name, in addition to the target's own.

    rejected   headers: From, To, Call-ID or CSeq that siptrace could not store; start_line: a response without a
               status; refused: the database refused its rows; table: its trace names a table that does not exist;
               not_sip: another kind of message; no_user: its trace has neither a row without a user nor a user
    cut        values longer than their column, by column (trace_tables.py)
    """

    def __init__(self, target: SqlTarget, tables: Iterable[str] = ()) -> None:
        self._url = parse_url(target.url)
        self._tables = Tables(self._url, target.table, tables, TIMES[target.time])
        self.name = shown(self._url)
        # One commit costs as much as many rows.
        self.together = {"each": 1, "collected": target.commit_messages, "waiting": AT_ONCE}[target.commit]
        self.patience = target.commit_seconds if target.commit == "collected" else 0.0
        self.awaited = target.commit == "each"
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._connection: Connection | None = None
        self._file = WatchedFile(path_of(self._url))
        self._left: tuple[str, ...] = ()  # the tables of a file that was moved away
        self._unsure: Unsure | None = None
        self._divider = Divider(self)
        self._refusals = Refusals(self.name)
        self._refused = RefusedFile(target.refused)
        self._create = target.create

    @property
    def cut(self) -> Counter[str]:
        return self._tables.cut

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
        prepare_for_writing(connection)
        self._tables.prepare(connection)

    def table_problems(self) -> list[tuple[str, TableProblem]]:
        """What is wrong with each table that there is. Raises SinkError."""
        connection = self._opened()
        try:
            return self._tables.problems(connection)
        except SQLAlchemyError as error:
            raise explained(self._url, error) from error
        finally:
            rolled_back(connection)

    def _create_tables(self) -> None:
        """Those of the target and of rules: once, for a table that is dropped later was not dropped by accident."""
        for name in (self._tables.own, *self._tables.others):
            if made := create_tables(self._url.render_as_string(hide_password=False), name):
                _log.warning("%s: table %s %s", self.name, name, made)
        self._create = False

    def _make_file(self) -> None:
        """Create the new file, with the tables that the moved one had."""
        self._file.remove_logs()
        for name in self._left:
            create_tables(self._url.render_as_string(hide_password=False), name)

    def send(self, batch: Sequence[TracedMessage]) -> None:
        self._opened()
        at_once = max(AT_ONCE, self.together) if self._tables.transactional else 1
        for part in within(batch, BYTES_AT_ONCE):
            self._divider.send(part, at_once)

    def store(self, part: Sequence[TracedMessage]) -> FailedPart | None:
        """One transaction. Raises SinkError: the database cannot be reached."""
        connection = self._opened()
        rejected: list[str] = []
        proof: Receipt | None = None
        commits = False
        begun = time.monotonic()
        try:
            rows, rejected = self._tables.rows(connection, part)
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
                commits = True
                connection.commit()
            if self._file.deleted:
                raise FileGone("the file was deleted")
        except (SinkError, SQLAlchemyError, ValueError, OverflowError, FileGone) as error:
            unsure = Unsure(part, rejected, proof, commits) if proof else None
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
        # KILL may come after the commit has stored.
        unanswered = unsure is not None and (verdict is Verdict.LOST or (verdict is Verdict.TIMEOUT and unsure.commits))
        doubtful = not unanswered and is_doubtful(verdict, cause, seconds, len(part))
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
        destination, stored = self._tables.get(message.trace.table), message.message
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
            for name, destination in self._tables.items():
                if destination is None:
                    absent.append(name)
                elif not destination.transactional:
                    unsafe.append(name)
                elif not isinstance(made := destination.rows_of(message), str):
                    destination.insert(connection, destination, made)
        except SQLAlchemyError as error:
            raise explained(self._url, error) from error
        finally:
            rolled_back(connection)
        return absent, unsafe

    def refuse(self, message: TracedMessage, failure: Failure) -> None:
        self.rejected[ROWS_REFUSED] += 1
        self._refusals.add(failure.words())
        self._refused.add(message, message.trace.table or self._tables.own, failure.words())

    def flush(self) -> None:
        """Every batch has been committed."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._file.moved:
            self._left = tuple({self._tables.own, *self._tables.known})
            self._leave_file(connection)
        disconnect(connection)
        self._file.close()

    def _leave_file(self, connection: Connection) -> None:
        with suppress(SQLAlchemyError):
            if not self._file.leave(connection):
                _log.warning("%s: rows of the moved file are still in its -wal file: keep it", self.name)


def within(batch: Sequence[TracedMessage], most: int) -> Iterator[Sequence[TracedMessage]]:
    """Parts with at most so many bytes of text, or one message; one part if the batch is empty."""
    first = size = 0
    for at, traced in enumerate(batch):
        datagram = traced.message.datagram
        length = datagram.end - datagram.start
        size += length
        if size > most and at > first:
            yield batch[first:at]
            first, size = at, length
    yield batch[first:] if first else batch
