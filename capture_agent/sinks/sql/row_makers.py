"""The RowMaker of a table: its form of values depends on the database and on the table's character sets."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from capture_agent.sinks.sql.row_maker import RowMaker
from capture_agent.sinks.sql.sip_trace_table import INSERTED
from capture_agent.sinks.sql.trace_rows import (
    as_hex,
    as_it_is,
    as_text_or_hex,
    julian_day,
    text_in_ascii,
    text_without_nul,
)
from capture_agent.sip.headers import text as header_text

TimeOf = Callable[[int], str]


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
