"""What the tests download, kept in the ignored tests/.cache for the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).parent / ".cache"


def cached(name: str, fill: Callable[[Path], None], cache: Path = CACHE) -> Path:
    """The folder `name`, complete: `fill` has made it once, whichever worker or run asked first.

    Raises:
        what `fill` raises; then nothing is kept, and the next one that asks tries again.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = cache / f"{name}.{os.getpid()}"
            try:
                fill(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder
