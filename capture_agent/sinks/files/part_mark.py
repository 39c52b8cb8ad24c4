"""The mark of a file that is being written: `.part` after its name, put on and taken off by one rename."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capture_agent.sinks.files.file_names import FileNames

PART = ".part"


@dataclass(frozen=True, slots=True)
class Mark:
    """Not `used`: files have their names while they are written, as log files do, for readers that follow them."""

    used: bool

    def put(self, path: Path) -> Path:
        """The name to write to. A finished file is renamed, unless a killed agent has left one."""
        if not self.used:
            return path
        part = path.with_name(path.name + PART)
        if not part.exists():
            with suppress(FileNotFoundError):
                path.rename(part)
        return part

    def taken(self, path: Path) -> Path:
        return path.with_name(path.name.removesuffix(PART)) if self.used and path.name != PART else path

    def finish(self, path: Path, names: FileNames, first_ns: int) -> None:
        """Give it its name; if a file has that already, another one: it is never replaced. Raises OSError."""
        finished = self.taken(path)
        if finished != path:
            path.rename(names.rotated(finished, first_ns) if finished.exists() else finished)
