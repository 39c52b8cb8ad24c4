"""Batches of packed messages in a SQLite file: appended in order, read from the front, removed when they are sent.

Numbers order the batches, with room between them so that a batch can be put back before others. What has been taken
from the front stays in the file until it is removed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from zlib import crc32

from capture_agent.delivery.spool.spool_error import Damaged, SpoolError, explained
from capture_agent.delivery.spool.spool_lock import FIRST, SpoolLock, make_private, opened_only_here
from capture_agent.delivery.spool.spool_rows import (
    APPLICATION,
    ROW_BYTES,
    SCHEMA,
    Held,
    Row,
    first_after,
    held_after,
    is_of_others,
    oldest_after,
)
from capture_agent.os_errors import in_words

VERSION = 1
STEP = 1 << 20  # between the numbers of two batches that are appended
LAST = 1 << 62  # no number is higher
PAGE_BYTES = 16384  # a batch is a chain of pages, and removing it reads each: fewer, larger ones take less time
WAL_BYTES = 4 << 20  # after which the write-ahead log is copied into the file
BUSY_SECONDS = 1.0
OF_OTHERS = "it is the database of another program"
NEWER = f"it is a spool of a newer version of this program, which has a format after {VERSION}"
Found = TypeVar("Found")


class SpoolFile:
    """One thread at a time may use it. Each method raises SpoolError; the file is then as it was before the call.

    Directories are made if they do not exist, for their owner only. A lock keeps other processes and sinks out. No file
    is a symbolic link: what somebody else may have put there is not followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: SpoolLock | None = None
        self._database: sqlite3.Connection | None = None
        self._node = (0, 0)

    @property
    def is_open(self) -> bool:
        return self._database is not None

    def open(self) -> None:
        """Raises Damaged too."""
        try:
            make_private(self.path.parent)
            if self._lock is None:
                self._lock = SpoolLock(self.path.with_suffix(".lock"))
            os.close(opened_only_here(self.path))
            refuse_of_others(self.path)
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            if reason := refusal(self._database):  # as its log says, which another program may be writing
                self._database.close()
                self._database = None
                raise SpoolError(reason)
            self._node = node_of(self.path)
            if self._prepare(self._database):
                self._lock.mark = FIRST
        except OSError as error:
            self.close()
            raise SpoolError(in_words(error)) from None
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
            database.executescript(
                f"BEGIN;{SCHEMA}PRAGMA user_version={VERSION};PRAGMA application_id={APPLICATION};COMMIT;"
            )
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
            lock.close()

    def set_aside(self) -> Path:
        """Rename a damaged file, so that a new one takes its place. The one set aside before is deleted."""
        self.close()
        aside = self.path.with_suffix(".damaged")
        try:
            for end in ("-wal", "-shm"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            self.path.replace(aside)
        except OSError as error:
            raise SpoolError(in_words(error)) from None
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
            raise SpoolError(in_words(error)) from None
        (pages,) = self._read(lambda database: database.execute("PRAGMA freelist_count").fetchone())
        return int(found.f_bavail * found.f_frsize + pages * PAGE_BYTES)

    @property
    def sent(self) -> int:
        """All batches up to this number are removed, if only by a mark."""
        assert self._lock is not None
        return self._lock.mark

    def mark_sent(self, id_: int) -> None:
        """Remove all up to this number by a mark, in a block that the disk has already: for a disk that is full."""
        if self._lock is not None:
            with suppress(OSError):
                self._lock.mark = id_

    def held(self, after: int) -> Held:
        return self._read(lambda database: held_after(database, after))

    def edges(self, after: int) -> tuple[int | None, int | None]:
        """The first number after this one, and the last of all. Raises Damaged if no batch could follow it."""
        query = "SELECT (SELECT min(id) FROM batches WHERE id > ?), max(id) FROM batches"
        first, last = self._read(lambda database: database.execute(query, (after,)).fetchone())
        if last is not None and last > LAST:
            self.close()
            raise Damaged("a number is too high")
        return first, last

    def first(self, after: int) -> Row | None:
        """The first batch after this number."""
        return self._read(lambda database: first_after(database, after))

    def oldest(self, after: int) -> tuple[Row, float | None] | None:
        """The same without its data, and when it was stored, if that is known."""
        return self._read(lambda database: oldest_after(database, after))

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
                database.execute("INSERT OR REPLACE INTO contents VALUES (?, ?)", (id_, data))
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()  # opened again, it is as it was before
            raise explained(error) from None

    def shrink(self) -> None:
        """Give the space of removed batches back to the disk. If somebody reads the file, the log keeps it for now."""
        try:
            self._used().executescript(
                "PRAGMA incremental_vacuum; PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE);"
                f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}"
            )
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None

    def _read(self, query: Callable[[sqlite3.Connection], Found]) -> Found:
        try:
            return query(self._used())
        except sqlite3.Error as error:
            self.close()
            raise explained(error) from None

    def _used(self) -> sqlite3.Connection:
        if self._database is None:
            self.open()
        assert self._database is not None
        return self._database


def refuse_of_others(path: Path) -> None:
    """Raises SpoolError if it is not ours to write to. Looks at the file alone: no log is created or played."""
    with suppress(sqlite3.Error):  # a new file, or a damaged one
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        with closing(database):
            if reason := refusal(database):
                raise SpoolError(reason)


def refusal(database: sqlite3.Connection) -> str:
    """Why this file stays as it is: another program, or a newer version of this one, has made it. Empty: it is ours."""
    if is_of_others(database):
        return OF_OTHERS
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return NEWER if version > VERSION else ""


def node_of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
