"""How batches are read from the tables of a spool: numbers that cannot be right do not count as they are.

SQLite stores any value in any column, and only the content of a batch has a checksum. What a damaged number of
messages really was follows from the content, if that is sound; without it, the batch counts as one message.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from zlib import crc32

Data = bytes
ROW_BYTES = 256  # of a batch in addition to its data: its row, and pages that are not full
MOST_MESSAGES = 1 << 24  # of a batch, and
MOST_BYTES = 1 << 40  # far more than any has

SCHEMA = """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY, stored_at REAL NOT NULL, messages INTEGER NOT NULL, done INTEGER NOT NULL,
    bytes INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE contents (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""
TABLES = {"batches", "contents"}
APPLICATION = 0x43415350  # "CASP": SQLite's application_id of a spool
SOUND = f"""(
SELECT id, crc,
    CASE WHEN typeof(stored_at) IN ('real', 'integer') THEN stored_at END AS stored_at,
    CASE WHEN typeof(messages) = 'integer' AND typeof(done) = 'integer' AND done >= 0
        AND messages - done BETWEEN 1 AND {MOST_MESSAGES} THEN messages - done ELSE 1 END AS rest,
    CASE WHEN typeof(done) = 'integer' AND done BETWEEN 0 AND {MOST_MESSAGES} THEN done ELSE 0 END AS done,
    CASE WHEN typeof(bytes) = 'integer' AND bytes BETWEEN 0 AND {MOST_BYTES} THEN bytes ELSE {ROW_BYTES} END AS bytes
FROM batches)"""


@dataclass(frozen=True, slots=True)
class Row:
    """A batch. `done`: how many of its messages, from the first on, are sent already; `rest`: those that are not."""

    id: int
    rest: int
    done: int
    bytes: int
    data: Data | None  # None: it is not what was written


@dataclass(frozen=True, slots=True)
class Held:
    """What is in the file after a number. `messages` are those not done yet."""

    messages: int
    bytes: int
    oldest: float | None  # when it was stored, in seconds since the epoch


def tables_in(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def is_of_others(database: sqlite3.Connection) -> bool:
    """Whether another program has made it: then it has tables, and not those of a spool."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    tables = tables_in(database)
    return bool(tables) and not (tables >= TABLES or application == APPLICATION)


def held_after(database: sqlite3.Connection, after: int) -> Held:
    row = database.execute(
        f"SELECT coalesce(sum(rest), 0), coalesce(sum(bytes), 0), min(stored_at) FROM {SOUND} WHERE id > ?", (after,)
    ).fetchone()
    return Held(*row)


def oldest_after(database: sqlite3.Connection, after: int) -> tuple[Row, float | None] | None:
    """The first batch after this number without its data, and when it was stored, if that is known."""
    row = database.execute(
        f"SELECT id, rest, done, bytes, stored_at FROM {SOUND} WHERE id > ? ORDER BY id LIMIT 1", (after,)
    ).fetchone()
    if row is None:
        return None
    id_, rest, done, size, stored_at = row
    return Row(id_, rest, done, size, None), stored_at


def first_after(database: sqlite3.Connection, after: int) -> Row | None:
    """The first batch after this number. Raises sqlite3.Error."""
    row = database.execute(
        f"SELECT b.id, b.rest, b.done, b.bytes, b.crc, c.data FROM {SOUND} b LEFT JOIN contents c USING (id)"
        " WHERE b.id > ? ORDER BY b.id LIMIT 1",
        (after,),
    ).fetchone()
    if row is None:
        return None
    id_, rest, done, size, crc, data = row
    return Row(id_, rest, done, size, data if isinstance(data, bytes) and crc32(data) == crc else None)
