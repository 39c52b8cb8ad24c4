"""Workers that ask for the same download at the same moment."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from cached_folders import cached

pytestmark = pytest.mark.once


def test_all_who_ask_at_once_get_one_complete_folder(tmp_path: Path) -> None:
    fills: list[int] = []
    seen: list[list[str]] = []

    def fill(folder: Path) -> None:
        fills.append(1)
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).touch()
            time.sleep(0.01)

    def ask() -> None:
        seen.append(sorted(path.name for path in cached("tool", fill, tmp_path).iterdir()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(fills), seen) == (1, [["a", "b"]] * 4)


def test_nothing_of_a_failure_is_kept(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        cached("tool", fail, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tool.lock"]
    assert list(cached("tool", Path.mkdir, tmp_path).iterdir()) == []
