"""The tables that a sink writes into: which of them exist, and how rows are inserted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.database import check_table, shown
from capture_agent.sinks.sql.destinations import Destination, copy_rows, insert_rows, prepare_mysql
from capture_agent.sinks.sql.row_makers import ROW_MAKERS, TimeOf
from capture_agent.sinks.sql.sip_trace_table import CORRELATION, INSERTED, MYSQL, checked_name
from capture_agent.sinks.sql.table_check import TableProblem, column_problems, has_correlation, other_problems
from capture_agent.sinks.sql.trace_rows import NO_TABLE, Row

MOST_TABLES = 1000  # remembered names of tables that exist, and of missing ones

_log = logging.getLogger(__name__)


class Tables:
    """The sink's own table, those that rules name, and others that traces name. Checked once per connection.

    cut  values longer than their column, by column: PostgreSQL and MySQL have no room for them
    """

    def __init__(self, url: URL, own: str, others: Iterable[str], time: TimeOf) -> None:
        self.own = checked_name(own)
        self.others = tuple(others)
        self.cut: Counter[str] = Counter()
        self._url = url
        self._time = time
        self._found: dict[str, Destination | None] = {}  # None: no such table
        self._told: set[tuple[str, TableProblem]] = set()  # bounded by the columns of the configured tables

    def prepare(self, connection: Connection) -> None:
        """For a new connection. Raises SinkError: the sink's own table is missing or lacks columns."""
        check_table(connection, self._url, self.own)
        own = self._prepared(connection, self.own)
        self._found = {"": own, self.own: own}
        for name in self.others:
            self.find(connection, name)
        self._tell(connection)
        connection.rollback()

    def _tell(self, connection: Connection) -> None:
        """Log which columns may not take every row: once, not at every new connection."""
        for name in self.known:
            new = [one for one in column_problems(connection, name) if (name, one) not in self._told]
            if new:
                self._told.update((name, one) for one in new)
                _log.warning("%s: table %s: %s", shown(self._url), name, "; ".join(map(str, new)))

    @property
    def known(self) -> list[str]:
        """The names of those that exist."""
        return [name for name, found in self._found.items() if name and found]

    @property
    def transactional(self) -> bool:
        return all(found is None or found.transactional for found in self._found.values())

    def items(self) -> Iterator[tuple[str, Destination | None]]:
        """By name, each once; None: there is no such table."""
        return ((name, found) for name, found in self._found.items() if name)

    def problems(self, connection: Connection) -> list[tuple[str, TableProblem]]:
        """What is wrong with each table that there is. Raises SQLAlchemyError."""
        return [
            (name, problem)
            for name in self.known
            for problem in [*column_problems(connection, name), *other_problems(connection, name)]
        ]

    def get(self, name: str) -> Destination | None:
        """One that was found before."""
        return self._found.get(name)

    def find(self, connection: Connection, name: str) -> Destination | None:
        """None if it does not exist. Raises SinkError: the database itself failed."""
        if name in self._found:
            return self._found[name]
        if len(self._found) >= MOST_TABLES:
            return None
        found = None
        try:
            checked_name(name)
            check_table(connection, self._url, name)
            found = self._prepared(connection, name)
        except SinkError as error:
            if isinstance(error.__cause__, SQLAlchemyError):
                raise
            _log.warning("%s; messages traced into it are not stored", error)
        self._found[name] = found
        return found

    def _prepared(self, connection: Connection, table: str) -> Destination:
        dialect = connection.dialect
        rows = ROW_MAKERS[dialect.name](connection, table, self._time)
        rows.cut = self.cut
        quote = dialect.identifier_preparer.quote
        correlated = has_correlation(connection, table)
        names = [*INSERTED, CORRELATION] if correlated else list(INSERTED)
        columns = ", ".join(map(quote, names))
        # Values are always bound; names come from our table and from checked_name.
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join([mark] * len(names))
        into = f"{quote(table)} ({columns})"
        destination = Destination(quote(table), rows, insert_rows, f"INSERT INTO {into} VALUES ({marks})")
        destination.correlated = correlated
        newest = ", ".join(mark if name == "msg" else quote(name) for name in names)
        destination.another = f"INSERT INTO {into} SELECT {newest} FROM {quote(table)} ORDER BY id DESC LIMIT 1"
        if dialect.name == "postgresql":
            destination.insert, destination.statement = copy_rows, into
        elif dialect.name in MYSQL:
            prepare_mysql(connection, destination, table)
        return destination

    def rows(
        self, connection: Connection, batch: Sequence[TracedMessage]
    ) -> tuple[dict[str, tuple[Destination, list[Row]]], list[str]]:
        """The rows for each table, in message order; and a reason for each message without rows."""
        rows: dict[str, tuple[Destination, list[Row]]] = {}  # by statement
        rejected = []
        for traced in batch:
            destination = self.find(connection, traced.trace.table)
            if destination is None:
                rejected.append(NO_TABLE)
                continue
            made = destination.rows_of(traced)
            if isinstance(made, str):
                rejected.append(made)
                continue
            if destination.statement not in rows:
                rows[destination.statement] = (destination, [])
            rows[destination.statement][1].extend(made)
        return rows, rejected
