"""A disk that is full, read-only or gone: nothing raises, what was stored comes back, what was not is not counted as
stored."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faults.disks import can_mount, small_disk
from sink_samples import batch_of
from test_spool import drained, opened, raw

from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import Spool

pytestmark = pytest.mark.once
mounts = pytest.mark.skipif(not can_mount(), reason="needs mount")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(spool_module, "SPARE_BYTES", 0)


def fill(spool: Spool) -> int:
    """How many messages are stored until it fails."""
    stored = 0
    while not spool.failing:
        stored += spool.append(batch_of(10, stored, size=2000)).stored
        assert stored < 10_000
    return stored


@mounts
def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m"):
        spool = opened(tmp_path / "spool" / "s")
        stored = fill(spool)
        assert stored > 50
        assert "full" in spool.failing
        assert spool.append(batch_of(10, stored, size=2000)).stored == 0
        assert spool.messages == stored
        assert drained(spool) == raw(batch_of(stored, size=2000))
        spool.close()
        assert opened(tmp_path / "spool" / "s").messages == 0


@mounts
def test_the_disk_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SPARE_BYTES", 12 << 20)
    with small_disk(tmp_path, "24m"):
        spool = opened(tmp_path / "spool" / "s")
        stored = fill(spool)
        assert stored > 100
        assert shutil.disk_usage(tmp_path).free > 6_000_000
        assert drained(spool) == raw(batch_of(stored, size=2000))
        assert spool.append(batch_of(1)).stored == 1
        spool.close()


@mounts
def test_a_full_disk_that_gets_room(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m"):
        (tmp_path / "other").write_bytes(bytes(500_000))
        spool = opened(tmp_path / "spool" / "s")
        stored = fill(spool)
        (tmp_path / "other").unlink()
        assert spool.append(batch_of(10, stored, size=2000)).stored == 10
        assert spool.failing == ""
        assert drained(spool) == raw(batch_of(stored + 10, size=2000))
        spool.close()


@mounts
def test_a_disk_that_becomes_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path, "4m"):
        spool = opened(tmp_path / "spool" / "s")
        spool.append(batch_of(10))
        spool.close()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        spool = opened(tmp_path / "spool" / "s")
        assert spool.failing
        assert spool.append(batch_of(10, 10)).stored == 0
        subprocess.run(["mount", "-o", "remount,rw", tmp_path], check=True)
        assert spool.append(batch_of(10, 10)).found == 10
        assert drained(spool) == raw(batch_of(20))
        spool.close()


def test_a_limit_of_the_file_size(tmp_path: Path) -> None:
    code = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (1_600_000, 1_600_000))\n"
        "from pathlib import Path\nfrom sink_samples import batch_of\n"
        "from capture_agent.delivery.spool import spool as module\nmodule.RETRY_SECONDS = 0.0\n"
        "from test_spool import drained, opened, raw\nfrom test_spool_disk import fill\n"
        "spool = opened(Path(sys.argv[1]))\nstored = fill(spool)\n"
        "assert stored > 50 and drained(spool) == raw(batch_of(stored, size=2000))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_directory_that_is_deleted(tmp_path: Path) -> None:
    """What it held is sent as long as the file is open; then a new one is made."""
    spool = opened(tmp_path / "spool" / "s")
    spool.append(batch_of(10))
    shutil.rmtree(tmp_path / "spool")
    assert spool.append(batch_of(10, 10)).stored == 0
    assert "vanished" in spool.failing
    assert drained(spool) == raw(batch_of(10))
    assert spool.append(batch_of(10, 10)).stored == 10
    assert spool.failing == ""
    spool.close()
    assert opened(tmp_path / "spool" / "s").messages == 10


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = opened(tmp_path / "file" / "s")
    assert spool.failing
    assert spool.append(batch_of(1)).stored == 0
    assert spool.take()[1] is None
    spool.close()
