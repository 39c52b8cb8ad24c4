"""The file beside a spool: a lock, and a mark that says which batches are sent, for a disk that is full."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from capture_agent.delivery.spool.spool_error import SpoolError

FIRST = -(1 << 62)  # before the numbers of all batches
MARK = struct.Struct("!qI")


class SpoolLock:
    """Held until it is closed. Raises SpoolError if somebody else has it; OSError."""

    def __init__(self, path: Path) -> None:
        self._handle = opened_only_here(path)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise SpoolError("another agent, or a former sink of this one, still uses it") from None
        except OSError:
            os.close(self._handle)
            raise

    @property
    def mark(self) -> int:
        """All batches up to this number are sent. Raises OSError."""
        return marked(os.pread(self._handle, MARK.size, 0))

    @mark.setter
    def mark(self, id_: int) -> None:
        os.pwrite(self._handle, MARK.pack(id_, crc32(b"%d" % id_)), 0)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._handle)


def make_private(folder: Path) -> None:
    """The folder and those above it that do not exist, for their owner only. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def opened_only_here(path: Path) -> int:
    """A descriptor of this file, which is made if there is none. Raises SpoolError; OSError.

    Neither it nor what SQLite keeps beside it may be a symbolic link.
    """
    for beside in (f"{path.name}{end}" for end in ("-wal", "-shm", "-journal")):
        if path.with_name(beside).is_symlink():
            raise SpoolError(f"{beside} is a symbolic link")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SpoolError(f"{path.name} is a symbolic link") from None
        raise


def mark_in(path: Path) -> int:
    """The mark of a spool that somebody else may use."""
    try:
        return marked(path.with_suffix(".lock").read_bytes()[: MARK.size])
    except OSError:
        return FIRST


def marked(found: bytes) -> int:
    """A mark that is damaged counts as none: messages are sent again, not lost."""
    if len(found) != MARK.size:
        return FIRST
    id_, check = MARK.unpack(found)
    return int(id_) if crc32(b"%d" % id_) == check else FIRST
