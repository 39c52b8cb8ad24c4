"""The files of a pattern that are on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from capture_agent.config.targets import FileTarget
from capture_agent.sinks.files.file_names import FileNames
from capture_agent.sinks.files.part_mark import Mark

KEPT_PARTS = 16  # files of calls are counted again after a sixteenth of what is kept was written
OPENED_PARTS = 1000  # or after so many were opened


class KeptFiles:
    """Deletes the oldest of them, by `keep_mib` and `keep_hours`."""

    def __init__(self, options: FileTarget, names: FileNames, mark: Mark) -> None:
        self._names = names
        self._mark = mark
        self._bytes = options.keep_mib << 20
        self._seconds = options.keep_hours * 3600
        self._opened = 0
        self.written = 0  # bytes, since what is kept was counted

    def opened(self, in_use: set[str]) -> None:
        """After a file was opened: each is counted, but for calls not for each."""
        self._opened += 1
        few = not self._bytes or self.written < self._bytes // KEPT_PARTS
        if (self._bytes or self._seconds) and not (self._names.per_call and few and self._opened < OPENED_PARTS):
            self._delete(in_use)

    def sweep(self, in_use: set[str]) -> None:
        """Delete what is too old, also if no new file begins."""
        if self._seconds:
            self._delete(in_use)

    def _delete(self, in_use: set[str]) -> None:
        self._opened = self.written = 0
        total, now = 0, time.time()
        for modified, size, path in sorted(files_of(self._names, self._mark), reverse=True):
            total += size
            too_old = self._seconds and now - modified > self._seconds
            if (too_old or (self._bytes and total > self._bytes)) and path not in in_use:
                with suppress(OSError):
                    Path(path).unlink()
                    total -= size
                    remove_empty(Path(path).parent, self._names.base)


def files_of(names: FileNames, mark: Mark) -> Iterator[tuple[float, int, str]]:
    """(modified, bytes, path) of every file whose name the pattern makes."""
    for folder, _, found in os.walk(names.base):
        for name in found:
            path = Path(folder) / name
            if names.is_ours(mark.taken(path)):
                with suppress(OSError):
                    status = path.lstat()
                    yield status.st_mtime, status.st_size, str(path)


def remove_empty(folder: Path, base: Path) -> None:
    with suppress(OSError):
        while folder != base:
            folder.rmdir()
            folder = folder.parent
