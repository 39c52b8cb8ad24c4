"""Which reader a file needs: of captures, or of spools. SQLite is imported only for a spool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.file_bytes import STANDARD_INPUT
from capture_agent.sources.pcapng import OnSecrets
from capture_agent.sources.source import Source

MAGIC = b"SQLite format 3\0"


def open_capture(
    path: str | Path, stopped: Callable[[], bool] = lambda: False, on_secrets: OnSecrets | None = None
) -> Source:
    """A Source for a capture file or a spool, by what it holds. Raises SourceError, as they do."""
    if str(path) != STANDARD_INPUT and begins_database(Path(path)):
        from capture_agent.delivery.spool.spool_capture import spool_capture

        if (spool := spool_capture(Path(path))) is not None:
            return spool
    return CaptureFile(path, stopped, on_secrets)


def begins_database(path: Path) -> bool:
    """False, too, if it cannot be read: the reader of capture files says why. A pipe is read only once: by it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False
