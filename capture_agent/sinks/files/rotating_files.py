"""Files that are rotated by size and time, compressed, and deleted by age and total size.

Each write is whole: if it fails half-way it is taken back. With compression, each is a gzip member or a zstd frame of
its own, so that a file can be appended to at any time, and a killed agent leaves no file that cannot be read.

Files that are `marked` have `.part` after their name while they are open, so that readers can distinguish finished
ones.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from capture_agent.config.file_patterns import STANDARD_OUTPUT
from capture_agent.config.targets import FileTarget
from capture_agent.sinks.files.file_names import FileNames, safe_name
from capture_agent.sinks.files.kept_files import files_of, remove_empty
from capture_agent.sinks.files.member_files import BEGINNING, COMPRESSIONS
from capture_agent.sinks.files.part_mark import Mark

MOST_OPEN = 256
MOST_NAMES = 20_000  # of calls whose file is known: others begin a file again, by the name they have then
FILE_MODE, FOLDER_MODE = 0o640, 0o750
BUSY_SECONDS = 10.0  # how long the reader of standard output may read nothing
IDLE_SECONDS = 60  # after which the file of a call is closed: it is opened again if the call goes on
KEPT_PARTS = 16  # files of calls are counted again after a sixteenth of what is kept was written
OPENED_PARTS = 1000  # or after so many were opened
SWEEP_SECONDS = 300.0  # and at the latest after these, for what is too old


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


Place = tuple[str, int]


@dataclass(slots=True)
class CallFile:
    """The file of a call; its size when it was closed, and how it begins: then it need not be read again."""

    path: Path
    size: int = -1
    begins: bytes = b""


class RotatingFiles:
    """All methods raise OSError, except `close`.

    `whole` says how many bytes of an existing file, from its handle and size, are complete.
    """

    def __init__(
        self,
        options: FileTarget,
        whole: Callable[[int, int], int] = lambda handle, size: size,
        marked: bool = False,
    ) -> None:
        self._whole = whole
        self._mark = Mark(marked)
        to_file = options.file != STANDARD_OUTPUT
        self._compression = COMPRESSIONS.get(options.compress) if to_file else None
        suffix = self._compression.suffix if self._compression is not None else ""
        self._names = FileNames(options.file, suffix) if to_file else None
        self._rotate_bytes = options.rotate_mib << 20
        self._rotate_ns = options.rotate_seconds * 1_000_000_000
        self._keep_bytes = options.keep_mib << 20
        self._keep_seconds = options.keep_hours * 3600
        self._open: OrderedDict[str, OpenFile] = OrderedDict()
        self._paths: OrderedDict[str, CallFile] = OrderedDict()
        self._serial = 0
        self._written = 0  # bytes, since what is kept was counted
        self._opened = 0
        self._swept = -SWEEP_SECONDS

    def place(self, when_ns: int, call_id: bytes) -> Place:
        """Messages of the same place are written together. A call's is its safe name, which is short."""
        key = safe_name(call_id) if self._names is not None and self._names.per_call else ""
        return key, when_ns // self._rotate_ns if self._rotate_ns else 0

    def at(self, place: Place, when_ns: int) -> OpenFile:
        """The file for messages of this place, the first of which was seen at this time."""
        key, period = place
        self.close_idle(when_ns)
        one = self._open.get(key)
        if one is not None and is_gone(one):
            self._forget(one)
            one = None
        if one is not None and one.path is not None and self._is_full(one, period):
            self._rotate(one, when_ns)
            one = None
        if one is None:
            return self._opened_file(key, period, when_ns)
        self._open.move_to_end(key)
        one.used_ns = max(one.used_ns, when_ns)
        return one

    def finish_left(self) -> None:
        """What a killed agent has left unfinished gets its name, without what is torn. Not what another one writes."""
        if self._names is None or not self._mark.used:
            return
        for _, _, name in list(files_of(self._names, self._mark)):
            path = Path(name)
            if path == self._mark.taken(path) or any(one.path == path for one in self._open.values()):
                continue
            with suppress(OSError):
                handle = opened(path)
                try:
                    locked(handle)
                    self._checked(handle, CallFile(path))
                    self._mark.finish(path, self._names, os.fstat(handle).st_mtime_ns)
                finally:
                    os.close(handle)

    def append(self, one: OpenFile, data: bytes) -> None:
        if one.size == 0:
            one.begins = data[:BEGINNING]
        if self._compression is not None:
            data = self._compression.pack(data)
        try:
            write_all(one.handle, data)
        except OSError:
            self._forget(one, one.size)
            raise
        one.size += len(data)
        self._written += len(data)

    def check(self) -> None:
        """Whether a file could be written: nothing is created."""
        if self._names is None:
            os.fstat(1)
            return
        folder = self._names.base
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"cannot create a file in {folder}")
        path = self._names.path(0)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is not writable")

    def close(self) -> None:
        for one in list(self._open.values()):
            self._forget(one)

    @property
    def open_files(self) -> int:
        return len(self._open)

    def _is_full(self, one: OpenFile, period: int) -> bool:
        return period > one.period or (self._rotate_bytes > 0 and one.size >= self._rotate_bytes)

    def _rotate(self, one: OpenFile, when_ns: int) -> None:
        """Without placeholders that change, the full file gets another name: by one rename, so that none is torn."""
        self._forget(one)
        self._paths.pop(one.key, None)
        path = self._mark.taken(one.path) if one.path is not None else None
        if self._names is not None and path == self._names.path(when_ns, one.key) and path.exists():
            path.rename(self._names.rotated(path, one.first_ns))

    def close_idle(self, when_ns: int | None = None) -> None:
        """Files of calls not used for IDLE_SECONDS before this time, or all of them. Others are closed by rotation."""
        while self._open and self._names is not None and self._names.per_call:
            one = next(iter(self._open.values()))
            if when_ns is not None and when_ns - one.used_ns < IDLE_SECONDS * 1_000_000_000:
                return
            self._forget(one)

    def _opened_file(self, key: str, period: int, when_ns: int) -> OpenFile:
        while len(self._open) >= MOST_OPEN:
            self._forget(next(iter(self._open.values())))
        path, size, begins = None, 0, b""
        if self._names is None:
            handle = os.dup(1)
        else:
            found = self._call_file(self._names, key, when_ns)
            path = self._mark.put(found.path)
            handle = opened(path)
            try:
                if self._mark.used:
                    locked(handle)
                size, begins = self._taken(handle, path, found)
            except OSError:
                os.close(handle)
                raise
        self._serial += 1
        one = OpenFile(key, path, handle, size, self._serial, when_ns, period, begins, when_ns)
        self._open[key] = one
        self._opened += 1
        self._delete_old()
        return one

    def _taken(self, handle: int, path: Path, file: CallFile) -> tuple[int, bytes]:
        """A file that this sink cannot continue keeps its name."""
        try:
            return self._checked(handle, file)
        except OSError:
            if self._names is not None:
                self._mark.finish(path, self._names, time.time_ns())
            raise

    def _checked(self, handle: int, file: CallFile) -> tuple[int, bytes]:
        """The size of an opened file, without what a killed agent has left half-written, and how it begins."""
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if status.st_size == 0:
            return 0, b""
        if status.st_size == file.size:
            return file.size, file.begins
        if self._compression is not None:
            size, begins = self._compression.whole(handle, status.st_size)
        else:
            size, begins = self._whole(handle, status.st_size), os.pread(handle, BEGINNING, 0)
        if size < status.st_size:
            os.ftruncate(handle, size)
        return size, begins

    def _call_file(self, names: FileNames, key: str, when_ns: int) -> CallFile:
        if not names.per_call:
            return CallFile(names.path(when_ns, key))
        found = self._paths.get(key)
        if found is None:
            while len(self._paths) >= MOST_NAMES:
                self._paths.popitem(last=False)
            found = self._paths[key] = CallFile(names.path(when_ns, key))
        self._paths.move_to_end(key)
        return found

    def _forget(self, one: OpenFile, size: int | None = None) -> None:
        """Close it; `size`: take back what is after it."""
        self._open.pop(one.key, None)
        known = self._paths.get(one.key)
        if known is not None:
            known.size, known.begins = (one.size if size is None else -1), one.begins
        with suppress(OSError):
            if size is not None and one.path is not None:
                os.ftruncate(one.handle, size)
        with suppress(OSError):
            if one.path is not None and self._names is not None and not is_gone(one):
                self._mark.finish(one.path, self._names, one.first_ns)
        with suppress(OSError):
            os.close(one.handle)

    def sweep(self) -> None:
        """Delete what is too old, also if no new file begins: at the first call, then each SWEEP_SECONDS."""
        if self._keep_seconds and time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._delete()

    def _delete_old(self) -> None:
        """After a file was opened: each is counted, but for calls not for each."""
        if self._names is None or not (self._keep_bytes or self._keep_seconds):
            return
        few = not self._keep_bytes or self._written < self._keep_bytes // KEPT_PARTS
        if not (self._names.per_call and few and self._opened < OPENED_PARTS):
            self._delete()

    def _delete(self) -> None:
        if self._names is None:
            return
        self._opened = self._written = 0
        self._swept = time.monotonic()
        in_use = {str(one.path) for one in self._open.values()}
        total, now = 0, time.time()
        for modified, size, path in sorted(files_of(self._names, self._mark), reverse=True):
            total += size
            too_old = self._keep_seconds and now - modified > self._keep_seconds
            if (too_old or (self._keep_bytes and total > self._keep_bytes)) and path not in in_use:
                with suppress(OSError):
                    Path(path).unlink()
                    total -= size
                    remove_empty(Path(path).parent, self._names.base)


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
