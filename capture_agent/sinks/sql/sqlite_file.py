"""The file of a SQLite database: created for its owner only, and watched for being moved away or deleted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, Connection

OWNER_ONLY = 0o600


def path_of(url: URL) -> Path | None:
    """None: not SQLite, in memory, or a `file:` URI."""
    if not url.drivername.startswith("sqlite") or url.database in (None, "", ":memory:"):
        return None
    path = str(url.database)
    return None if path.startswith("file:") else Path(path)


def make_file(path: Path) -> None:
    """Create an empty file, mode 0600 whatever the umask; an existing one is kept. Raises OSError.

    SQLite gives -wal, -shm and -journal the database's mode.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    except FileExistsError:
        return
    try:
        os.fchmod(handle, OWNER_ONLY)
    finally:
        os.close(handle)


class WatchedFile:
    """The file that a connection has open, and whether its path still leads to it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._handle = -1

    def watch(self) -> None:
        """Call it before SQLite opens the file. Raises OSError."""
        self.close()
        if self.path is not None:
            # Without O_PATH, closing this would release SQLite's locks on the file (fcntl(2)).
            self._handle = os.open(self.path, os.O_PATH | os.O_CLOEXEC)

    @property
    def moved(self) -> bool:
        """Whether the path leads to another file, or to none."""
        if self._handle < 0 or self.path is None:
            return False
        opened = os.fstat(self._handle)
        try:
            there = self.path.stat()
        except OSError:
            return True
        return (opened.st_dev, opened.st_ino) != (there.st_dev, there.st_ino)

    @property
    def deleted(self) -> bool:
        """Whether no path leads to it any more: anything written to it is lost."""
        return self._handle >= 0 and os.fstat(self._handle).st_nlink == 0

    @property
    def missing(self) -> bool:
        """Whether there is no file at the path, or an empty one."""
        if self.path is None:
            return False
        try:
            return self.path.stat().st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def leave(self, connection: Connection) -> bool:
        """Copy the write-ahead log into the moved file; SQLite's close does not do it then.

        Close the connection afterwards. False: a reader keeps the rows in the log.
        """
        connection.rollback()
        row = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return row is None or row[0] == 0

    def remove_logs(self) -> None:
        """Remove -wal and -shm: a new file must not share them with programs that still have the old one open."""
        if self.path is None or self.path.exists():
            return
        for suffix in ("-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self.path}{suffix}").unlink()
