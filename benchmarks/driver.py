"""The driver alone: stores the rows of one table again in another one, as the agent does, and nothing else.

    driver.py URL FROM TO        prints CPU seconds and seconds of the inserts alone

The same rows, in the same form, in transactions of the same size, into a table with the same indexes. Reading the rows
is not measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

COLUMNS = (
    "msg", "callid", "method", "status", "fromip", "toip", "time_stamp", "direction", "fromtag", "traced_user",
    "time_us", "totag",
)  # fmt: skip
AT_ONCE = 2000  # rows of a transaction
# As the agent sets them.
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-8192", "wal_autocheckpoint=4000")


def connected(url: str) -> tuple[Any, str]:
    """A connection of DB-API, and its mark for a value."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        import sqlite3

        lite = sqlite3.connect(url.removeprefix("sqlite:///"))
        for pragma in PRAGMAS:
            lite.execute(f"PRAGMA {pragma}")
        return lite, "?"
    if parts.scheme == "postgresql":
        import psycopg

        return psycopg.connect(url), "%s"
    import pymysql  # type: ignore[import-untyped]

    user, password, database = parts.username or "", parts.password or "", parts.path[1:]
    mysql = pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=user, password=password, database=database
    )
    return mysql, "%s"


def read(connection: Any, table: str, after: int, mark: str) -> list[tuple[Any, ...]]:
    """The next rows: their id, then the values as the agent hands them to the driver."""
    mysql = type(connection).__module__.startswith("pymysql")
    columns = ", ".join("CAST(msg AS BINARY)" if mysql and name == "msg" else name for name in COLUMNS)
    cursor = connection.cursor()
    cursor.execute(f"SELECT id, {columns} FROM {table} WHERE id > {mark} ORDER BY id LIMIT {AT_ONCE}", (after,))
    found = [
        tuple(value.isoformat(" ") if isinstance(value, datetime) else value for value in row)
        for row in cursor.fetchall()
    ]
    cursor.close()
    connection.commit()
    return found


def insert(connection: Any, table: str, rows: Sequence[tuple[Any, ...]], mark: str) -> None:
    """One transaction: COPY, or a statement for many rows."""
    cursor = connection.cursor()
    into = f"{table} ({', '.join(COLUMNS)})"
    if type(connection).__module__.startswith("psycopg"):
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        cursor.executemany(f"INSERT INTO {into} VALUES ({', '.join([mark] * len(COLUMNS))})", rows)
    cursor.close()
    connection.commit()


def main() -> None:
    url, source, target = sys.argv[1:]
    reader, mark = connected(url)
    writer, _ = connected(url)
    cpu = wall = 0.0
    last = 0
    while found := read(reader, source, last, mark):
        last = found[-1][0]
        rows = [row[1:] for row in found]
        begun, busy = time.perf_counter(), time.process_time()
        insert(writer, target, rows, mark)
        wall += time.perf_counter() - begun
        cpu += time.process_time() - busy
    reader.close()
    begun, busy = time.perf_counter(), time.process_time()
    writer.close()  # SQLite copies its log into the file
    print(cpu + time.process_time() - busy, wall + time.perf_counter() - begun)


if __name__ == "__main__":
    main()
