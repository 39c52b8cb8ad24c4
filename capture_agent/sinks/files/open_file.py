"""A file that is being written, and how one is opened, locked and written to."""

from __future__ import annotations

import errno
import fcntl
import os
import select
from dataclasses import dataclass, field
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o640, 0o750
BUSY_SECONDS = 10.0  # how long the reader of standard output may read nothing


@dataclass(slots=True)
class OpenFile:
    """`path`: the name that it has now; None for standard output. `serial` differs each time that a file is opened.

    `begins`: the first bytes that it had when it was opened, not compressed. `interfaces`: of capture files, those
    written since then, by link type and name.
    """

    key: str
    path: Path | None
    handle: int
    size: int
    serial: int
    first_ns: int
    period: int
    begins: bytes = b""
    used_ns: int = 0
    interfaces: dict[tuple[int, str], int] = field(default_factory=dict)


def opened(path: Path) -> int:
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    # Without O_NONBLOCK a named pipe would block until someone reads it.
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)


def locked(handle: int) -> None:
    """Until it is closed. Raises OSError if another process has locked the file; a file system may have no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another process writes it") from None
    except OSError:
        return


def is_gone(one: OpenFile) -> bool:
    """Whether the file was moved or deleted."""
    if one.path is None:
        return False
    try:
        there = one.path.stat()
    except OSError:
        return True
    here = os.fstat(one.handle)
    return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


def write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(handle, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(handle, select.POLLOUT)
            if not poll.poll(BUSY_SECONDS * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "nobody reads it") from None
