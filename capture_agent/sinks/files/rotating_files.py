"""Files that are rotated by size and time, compressed, and deleted by age and total size.

Each write is whole: if it fails half-way it is taken back. With compression, each is a gzip member or a zstd frame of
its own, so that a file can be appended to at any time, and a killed agent leaves no file that cannot be read.

Files that are `marked` have `.part` after their name while they are open, so that readers can distinguish finished
ones.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capture_agent.config.file_patterns import STANDARD_OUTPUT
from capture_agent.config.targets import FileTarget
from capture_agent.sinks.files.call_files import CallFile, CallFiles
from capture_agent.sinks.files.file_names import FileNames, safe_name
from capture_agent.sinks.files.kept_files import KeptFiles, files_of
from capture_agent.sinks.files.member_files import BEGINNING, COMPRESSIONS
from capture_agent.sinks.files.open_file import OpenFile, is_gone, locked, opened, write_all
from capture_agent.sinks.files.part_mark import Mark

MOST_OPEN = 256
IDLE_SECONDS = 60  # after which the file of a call is closed: it is opened again if the call goes on
SWEEP_SECONDS = 300.0  # between looks for files that are too old or unfinished


UNKNOWN = CallFile(0)

Place = tuple[str, int]


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
        self._kept = KeptFiles(options, self._names, self._mark) if self._names is not None else None
        self._calls = CallFiles(self._names) if self._names is not None else None
        self._open: OrderedDict[str, OpenFile] = OrderedDict()
        self._serial = 0
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
            if self._calls is not None and (full := self._calls.full(key, period)) is not None:
                self._make_room(self._calls.path(key, full), key, full.first_ns, when_ns)
            return self._opened_file(key, period, when_ns)
        self._open.move_to_end(key)
        one.used_ns = max(one.used_ns, when_ns)
        return one

    def _finish_left(self) -> None:
        """What a killed agent has left unfinished gets its name, without what is torn. So does a file whose folder was
        away when it was closed. Not what another agent writes.
        """
        if self._names is None or not self._mark.used:
            return
        in_use = self._in_use()
        for _, _, name in list(files_of(self._names, self._mark)):
            path = Path(name)
            if path == self._mark.taken(path) or name in in_use:
                continue
            with suppress(OSError):
                handle = opened(path)
                try:
                    locked(handle)
                    self._checked(handle, UNKNOWN)
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
        if self._kept is not None:
            self._kept.written += len(data)

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
        self._forget(one)
        if self._calls is not None and one.path is not None:
            self._calls.forget(one.key)
            self._make_room(self._mark.taken(one.path), one.key, one.first_ns, when_ns)

    def _make_room(self, path: Path, key: str, first_ns: int, when_ns: int) -> None:
        """Without placeholders that change, the full file gets another name: by one rename, so that none is torn."""
        if self._names is not None and path == self._names.path(when_ns, key) and path.exists():
            path.rename(self._names.rotated(path, first_ns))

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
        path, size, begins, first_ns = None, 0, b"", when_ns
        if self._calls is None:
            handle = os.dup(1)
        else:
            found = self._calls.of(key, when_ns)
            path = self._mark.put(self._calls.path(key, found))
            handle = opened(path)
            try:
                if self._mark.used:
                    locked(handle)
                size, begins = self._taken(handle, path, found)
            except OSError:
                os.close(handle)
                raise
            if size and found.period is not None:
                first_ns, period = found.first_ns, found.period
        self._serial += 1
        one = OpenFile(key, path, handle, size, self._serial, first_ns, period, begins, when_ns)
        self._open[key] = one
        if self._kept is not None:
            self._kept.opened(self._in_use())
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

    def _forget(self, one: OpenFile, size: int | None = None) -> None:
        """Close it; `size`: take back what is after it."""
        self._open.pop(one.key, None)
        if self._calls is not None:
            self._calls.closed(one, whole=size is None)
        with suppress(OSError):
            if size is not None and one.path is not None:
                os.ftruncate(one.handle, size)
        with suppress(OSError):
            if one.path is not None and self._names is not None and not is_gone(one):
                self._mark.finish(one.path, self._names, one.first_ns)
        with suppress(OSError):
            os.close(one.handle)

    def sweep(self) -> None:
        """At the first call, then each SWEEP_SECONDS: finish what is left unfinished, delete what is too old."""
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        self._finish_left()
        if self._kept is not None:
            self._kept.sweep(self._in_use())

    def _in_use(self) -> set[str]:
        return {str(one.path) for one in self._open.values()}
