"""A relay on a core of its own, for a moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import captures
from benchmarks.relay_rate import Rate, run
from benchmarks.wire import usable

pytestmark = pytest.mark.once


@pytest.mark.skipif(shutil.which("cc") is None or not usable(), reason="no C compiler, or one core")
def test_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "CACHE", tmp_path)
    monkeypatch.setattr(captures, "SHARED", tmp_path / "none")
    found = run(1500, tmp_path, at_once=1000)
    assert found.messages == 2000
    assert found.seconds > found.cpu > 0


def test_what_is_said() -> None:
    assert str(Rate(20_000_000, 32.0, 28.0)) == (
        "20,000,000 messages in 32.0 s: 625,000 messages/s sustained on one core, of which the relay used 88%"
        " (1.40 CPU s per million); none lost"
    )
