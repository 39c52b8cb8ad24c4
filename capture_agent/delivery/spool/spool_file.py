"""Batches of packed messages in a SQLite file: appended in order, read from the front, removed when they are sent.

Numbers order the batches, with room between them so that a batch can be put back before others. What has been taken
from the front stays in the file until it is removed.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

Data = bytes
VERSION = 1
STEP = 1 << 20  # between the numbers of two batches that are appended
FIRST = -(1 << 62)
MARK = struct.Struct("!q")
ROW_BYTES = 256  # of a batch in addition to its data: its row, and pages that are not full
PAGE_BYTES = 16384  # a batch is a chain of pages, and removing it reads each: fewer, larger ones take less time
WAL_BYTES = 4 << 20  # after which the write-ahead log is copied into the file
BUSY_SECONDS = 1.0

SCHEMA = """
CREATE TABLE batches (
    id INTEGER PRIMARY KEY, stored_at REAL NOT NULL, messages INTEGER NOT NULL, done INTEGER NOT NULL,
    bytes INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE contents (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""


class SpoolError(Exception):
    """The file cannot be used now: the disk is full, read-only or gone. The text has no message in it."""


class Damaged(SpoolError):
    """The file is not a spool, or SQLite cannot read it any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """A batch. `messages`: all that are in `data`; `done`: how many of them, from the first on, are sent already."""

    id: int
    messages: int
    done: int
    bytes: int
    data: Data | None  # None: it is not what was written

    @property
    def rest(self) -> int:
        return self.messages - self.done


@dataclass(frozen=True, slots=True)
class Held:
    """What is in the file after a number. `messages` are those not done yet."""

    batches: int
    messages: int
    bytes: int
    oldest: float | None  # when it was stored, in seconds since the epoch


class SpoolFile:
    """One thread at a time may use it. Each method raises SpoolError; the file is then as it was before the call.

    The directory is made if it does not exist, for its owner only. A lock keeps other processes and sinks out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._database: sqlite3.Connection | None = None
        self._node = (0, 0)

    @property
    def is_open(self) -> bool:
        return self._database is not None

    def open(self) -> None:
        """Raises Damaged too."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = locked(self.path.with_suffix(".lock"))
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._node = node_of(self.path)
            if self._prepare(self._database):
                os.pwrite(self._lock, MARK.pack(FIRST), 0)
        except OSError as error:
            self.close()
            raise SpoolError((error.strerror or type(error).__name__).lower()) from None
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None
        except SpoolError:
            self.close()
            raise

    @staticmethod
    def _prepare(database: sqlite3.Connection) -> bool:
        """Whether it is a new one."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            database.execute(f"PRAGMA page_size={PAGE_BYTES}")
            database.execute("PRAGMA auto_vacuum=INCREMENTAL")
        database.execute("PRAGMA journal_mode=WAL")
        # A process that is killed loses nothing; a host that loses power, at most what was written last.
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(f"PRAGMA wal_autocheckpoint={WAL_BYTES // PAGE_BYTES}")
        database.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        if not tables:
            database.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
        elif version != VERSION:
            raise Damaged(f"not a spool of version {VERSION}")
        return not tables

    def close(self) -> None:
        """Never raises. All that is written is on the disk afterwards, if the disk works."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):  # otherwise the write-ahead log stays, and is read by the next open
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.Error):
                database.close()

    def release(self) -> None:
        """Close it, and let others have it."""
        self.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def set_aside(self) -> Path:
        """Rename a damaged file, so that a new one takes its place. The one set aside before is deleted."""
        self.close()
        aside = self.path.with_suffix(".damaged")
        try:
            for end in ("-wal", "-shm"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            self.path.replace(aside)
        except OSError as error:
            raise SpoolError((error.strerror or type(error).__name__).lower()) from None
        return aside

    @property
    def vanished(self) -> bool:
        """Whether the path is another file's now, or nobody's."""
        try:
            return node_of(self.path) != self._node
        except OSError:
            return True

    @property
    def room(self) -> int:
        """Free bytes of its disk, and of itself."""
        try:
            found = os.statvfs(self.path.parent)
        except OSError as error:
            raise SpoolError((error.strerror or type(error).__name__).lower()) from None
        ((pages,),) = self._all("PRAGMA freelist_count")
        return int(found.f_bavail * found.f_frsize + pages * PAGE_BYTES)

    @property
    def sent(self) -> int:
        """All batches up to this number are removed, if only by a mark."""
        assert self._lock is not None
        return marked(os.pread(self._lock, MARK.size, 0))

    def mark_sent(self, id_: int) -> None:
        """Remove all up to this number by a mark, in a block that the disk has already: for a disk that is full."""
        if self._lock is not None:
            with suppress(OSError):
                os.pwrite(self._lock, MARK.pack(id_), 0)

    def held(self, after: int) -> Held:
        row = self._all(
            "SELECT count(*), coalesce(sum(messages - done), 0), coalesce(sum(bytes), 0), min(stored_at)"
            " FROM batches WHERE id > ?",
            after,
        )
        return Held(*row[0])

    def edges(self, after: int) -> tuple[int | None, int | None]:
        """The first number after this one, and the last of all."""
        first, last = self._all("SELECT (SELECT min(id) FROM batches WHERE id > ?), max(id) FROM batches", after)[0]
        return first, last

    def first(self, after: int) -> Row | None:
        """The first batch after this number."""
        try:
            return first_after(self._used(), after)
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None

    def oldest(self, after: int) -> tuple[Row, float] | None:
        """The same without its data, and when it was stored."""
        rows = self._all(
            "SELECT id, messages, done, bytes, stored_at FROM batches WHERE id > ? ORDER BY id LIMIT 1", after
        )
        for id_, messages, done, size, stored_at in rows:
            return Row(id_, messages, done, size, None), stored_at
        return None

    def change(self, removed: list[int], added: list[tuple[int, float, int, bytes]], done: dict[int, int]) -> None:
        """In one transaction: remove these numbers; add (number, time, messages, data); note how many are done."""
        database = self._used()
        try:
            database.execute("BEGIN IMMEDIATE")
            for table in ("batches", "contents"):
                database.executemany(f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_ in removed])
                database.execute(f"DELETE FROM {table} WHERE id <= ?", (self.sent,))
            database.executemany("UPDATE batches SET done = ? WHERE id = ?", [(n, id_) for id_, n in done.items()])
            for id_, stored_at, messages, data in added:
                database.execute(
                    "INSERT INTO batches VALUES (?, ?, ?, 0, ?, ?)",
                    (id_, stored_at, messages, len(data) + ROW_BYTES, crc32(data)),
                )
                database.execute("INSERT INTO contents VALUES (?, ?)", (id_, data))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()  # opened again, it is as it was before
            raise explained(error) from None

    def shrink(self) -> None:
        """Give the space of removed batches back to the disk."""
        try:
            self._used().executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None

    def _all(self, query: str, *values: int) -> list[Any]:
        try:
            return self._used().execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None

    def _used(self) -> sqlite3.Connection:
        if self._database is None:
            self.open()
        assert self._database is not None
        return self._database


def first_after(database: sqlite3.Connection, after: int) -> Row | None:
    """The first batch after this number. Raises sqlite3.Error."""
    rows = database.execute(
        "SELECT b.id, b.messages, b.done, b.bytes, b.crc, c.data FROM batches b LEFT JOIN contents c USING (id)"
        " WHERE b.id > ? ORDER BY b.id LIMIT 1",
        (after,),
    ).fetchall()
    for id_, messages, done, size, crc, data in rows:
        sound = isinstance(data, bytes) and crc32(data) == crc and 0 <= done <= messages
        return Row(id_, messages, done, size, data if sound else None)
    return None


def mark_in(path: Path) -> int:
    """The mark of a spool that somebody else may use: all batches up to this number are removed."""
    try:
        return marked(path.with_suffix(".lock").read_bytes()[: MARK.size])
    except OSError:
        return FIRST


def marked(found: bytes) -> int:
    return int(MARK.unpack(found)[0]) if len(found) == MARK.size else FIRST


def explained(error: sqlite3.Error) -> SpoolError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    broken = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if not broken and isinstance(error, sqlite3.OperationalError) and "no such" in str(error):
        broken = True  # the tables are not ours
    return (Damaged if broken else SpoolError)(str(error))


def node_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def locked(path: Path) -> int:
    """A descriptor that holds the lock until it is closed. Raises SpoolError: somebody else has it; OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SpoolError("another agent, or a former sink of this one, still uses it") from None
    except OSError:
        os.close(lock)
        raise
    return lock
