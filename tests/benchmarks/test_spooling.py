"""The spool's program at sizes for a test: `python -m benchmarks.spooling` has the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import spooling
from benchmarks.spooling import Broken

pytestmark = pytest.mark.once


def test_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spooling.speed(tmp_path, 3000)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if "CPU" in line] == [
        "the disk: the packets in a file, synced",
        "written to the spool",
        "drained from the spool",
    ]


def test_a_start_with_a_backlog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no more memory than a longer one may; the time is not compared."""
    monkeypatch.setattr(spooling, "READY_SECONDS", 60.0)
    spooling.backlog(tmp_path, 48 << 20)


def test_a_backlog_that_takes_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes is noticed, although the process that measures is smaller than this one."""
    monkeypatch.setattr(spooling, "READY_SECONDS", 60.0)
    monkeypatch.setattr(spooling, "MEMORY_MB", 0.5)
    with pytest.raises(Broken, match="0.5 MB"):
        spooling.backlog(tmp_path, 4 << 20)


def test_an_outage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spooling.outage(tmp_path, 100_000)
    assert "100,000 messages wait" in capsys.readouterr().out


def test_an_outage_that_is_longer_than_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost is noticed."""
    monkeypatch.setattr(spooling, "OUTAGE_MIB", 1)
    with pytest.raises(Broken, match="spool_full"):
        spooling.outage(tmp_path, 100_000)
