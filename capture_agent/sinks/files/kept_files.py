"""The files of a pattern that are on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from capture_agent.sinks.files.file_names import FileNames
from capture_agent.sinks.files.part_mark import Mark


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
