"""What is wrong with the file of a spool."""

from __future__ import annotations

import sqlite3

BROKEN = {
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_FORMAT,
}  # fmt: skip


class SpoolError(Exception):
    """The file cannot be used now: the disk is full, read-only or gone. The text has no message in it."""


class Damaged(SpoolError):
    """SQLite cannot read the file any more, or what it reads is no spool."""


def explained(error: sqlite3.Error) -> SpoolError:
    broken = getattr(error, "sqlite_errorcode", 0) & 0xFF in BROKEN
    if not broken and isinstance(error, sqlite3.OperationalError) and "no such" in str(error):
        broken = True  # the tables are not ours
    return (Damaged if broken else SpoolError)(str(error))
