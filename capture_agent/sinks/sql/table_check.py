"""Compares a table with the definition of sip_trace: columns, collations, indexes, each by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Date, DateTime, Integer, LargeBinary, Numeric, String, inspect, text
from sqlalchemy.types import SmallInteger, TypeEngine

from capture_agent.sinks.sql.sip_trace_table import CORRELATION, INDEXES, INSERTED, MYSQL, sip_trace_table

Column = Mapping[str, Any]  # as Inspector.get_columns() describes it

# Characters or bytes that MySQL's texts have room for; MEDIUMTEXT and LONGTEXT hold any SIP message.
SHORT_TEXTS = {"TINYTEXT": 255, "TEXT": 65535, "TINYBLOB": 255, "BLOB": 65535}

# A comparison must tell apart Call-IDs and tags that differ only in case or accents (RFC 3261 20.8, 19.3).
COMPARED = ("callid", "fromtag", "totag")


@dataclass(frozen=True, slots=True)
class TableProblem:
    """`column`: the one that is wrong; empty for an index. `mended`: `db upgrade` corrects it. `extra`: it is none of
    sip_trace's.
    """

    words: str
    column: str = ""
    mended: bool = True
    extra: bool = False

    def __str__(self) -> str:
        return self.words


def column_problems(connection: Connection, table: str) -> list[TableProblem]:
    """Columns that are missing, of another type or too short, and others that an INSERT must fill.

    Raises SQLAlchemyError, also if the table does not exist.
    """
    dialect = connection.dialect.name
    there = {str(column["name"]): column for column in columns_of(connection, table)}
    expected = {column.name: column.type for column in sip_trace_table(table).columns}
    found = [one for name, kind in expected.items() for one in _column(connection, name, there.get(name), kind)]
    for name, column in there.items():
        if name not in expected and not _has_value(dialect, column):
            words = f"column {name} accepts no row: it has no default and does not accept NULL"
            found.append(TableProblem(words, name, mended=False, extra=True))
    return found


def has_correlation(connection: Connection, table: str) -> bool:
    """Whether it has the agent's own column."""
    return any(column["name"] == CORRELATION for column in columns_of(connection, table))


def columns_of(connection: Connection, table: str) -> list[Column]:
    return [dict(column) for column in inspect(connection).get_columns(table)]


def other_problems(connection: Connection, table: str) -> list[TableProblem]:
    """Missing indexes, and collations that take different Call-IDs as equal. Raises SQLAlchemyError."""
    found = [TableProblem(f"no index on column {name}") for name in missing_indexes(connection, table)]
    mended = connection.dialect.name in MYSQL
    for name, collation in collations(connection, table).items():
        if name in COMPARED and not is_exact(collation):
            found.append(
                TableProblem(f"column {name} has the collation {collation}, which is not binary", name, mended)
            )
    return found


def missing_indexes(connection: Connection, table: str) -> list[str]:
    """Indexed columns of sip_trace that no index of the table begins with."""
    first = {index["column_names"][0] for index in inspect(connection).get_indexes(table) if index["column_names"]}
    return [name for name in INDEXES if name not in first]


def collations(connection: Connection, table: str) -> dict[str, str]:
    """By column, where the database states one: MySQL for all, SQLite for those with an index."""
    if connection.dialect.name == "sqlite":
        return _sqlite_collations(connection, table)
    if connection.dialect.name not in MYSQL:
        return {}  # PostgreSQL's compare bytes, all but those made with `deterministic = false`
    query = text(
        "SELECT column_name, collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND table_name = :table AND collation_name IS NOT NULL"
    )
    return {str(name): str(collation) for name, collation in connection.execute(query, {"table": table})}


def is_exact(collation: str) -> bool:
    return collation.casefold() in ("binary", "c", "posix") or collation.endswith("_bin")


def _sqlite_collations(connection: Connection, table: str) -> dict[str, str]:
    """SQLite shows a column's collation only in its indexes."""
    found: dict[str, str] = {}
    for index in inspect(connection).get_indexes(table):
        quoted = connection.dialect.identifier_preparer.quote_identifier(str(index["name"]))
        for row in connection.exec_driver_sql(f"PRAGMA index_xinfo({quoted})"):
            if row[2] is not None:
                found[str(row[2])] = str(row[4])
    return found


def _column(
    connection: Connection, name: str, column: Column | None, expected: TypeEngine[Any]
) -> Iterator[TableProblem]:
    dialect = connection.dialect.name
    if column is None:
        yield TableProblem(f"column {name} is missing", name, mended=name != "id")
        return
    kind: TypeEngine[Any] = column["type"]
    shown, wanted = _shown(kind, connection), _shown(expected, connection)
    if not FITS[name](kind):
        yield TableProblem(f"column {name} has the type {shown}, expected {wanted}", name, mended=False)
    elif name == "id":
        if not _numbers_itself(dialect, column):
            yield TableProblem("column id does not number rows by itself", name, mended=False)
    elif dialect != "sqlite" and (length := _room(dialect, kind)) is not None and length < (INSERTED[name] or 1 << 24):
        yield TableProblem(f"column {name} is too short: {shown}, expected {wanted}", name)
    elif dialect != "sqlite" and name == "time_us" and isinstance(kind, SmallInteger):
        yield TableProblem(f"column {name} is too short: {shown}, expected INTEGER", name)


def _room(dialect: str, kind: TypeEngine[Any]) -> int | None:
    """Characters or bytes; None: as many as a message can have, or no text."""
    if not isinstance(kind, String | LargeBinary):
        return None
    return getattr(kind, "length", None) or (SHORT_TEXTS.get(type(kind).__name__) if dialect in MYSQL else None)


def _shown(kind: TypeEngine[Any], connection: Connection) -> str:
    words = kind.compile(dialect=connection.dialect)
    return words.split(" CHARACTER SET")[0].split(" COLLATE")[0]


def _has_value(dialect: str, column: Column) -> bool:
    """Whether an INSERT may leave the column out."""
    return bool(column["nullable"] or column.get("default") is not None or _generated(column))


def _numbers_itself(dialect: str, column: Column) -> bool:
    if dialect == "sqlite":
        return bool(column.get("primary_key"))
    return column.get("default") is not None or _generated(column)


def _generated(column: Column) -> bool:
    return column.get("autoincrement") is True or bool(column.get("identity") or column.get("computed"))


def _is_whole(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, Integer)


def _is_text(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, String)


def _is_message(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, String | LargeBinary)


def _is_time(kind: TypeEngine[Any]) -> bool:
    """Also a number: SQLite's Julian day. A time with its zone would be converted by each session."""
    zoned = bool(getattr(kind, "timezone", False))
    mysql_timestamp = (
        type(kind).__module__.startswith("sqlalchemy.dialects.mysql") and "TIMESTAMP" in type(kind).__name__
    )
    return isinstance(kind, DateTime | Numeric) and not isinstance(kind, Date) and not zoned and not mysql_timestamp


FITS: dict[str, Callable[[TypeEngine[Any]], bool]] = {
    "id": _is_whole,
    "time_us": _is_whole,
    "time_stamp": _is_time,
    "msg": _is_message,
    **{name: _is_text for name, limit in INSERTED.items() if limit is not None},
}
