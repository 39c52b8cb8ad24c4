"""The reloads under load at a size for a test: `python -m benchmarks.reload_live` has the real one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.reload_live import Outcome, run
from benchmarks.wire import usable

pytestmark = pytest.mark.once


@pytest.mark.skipif(not usable(), reason="needs root, two cores, ip and taskset")
def test_each_message_arrives_once(tmp_path: Path) -> None:
    outcome = run(8000, 4000, 8, tmp_path)
    assert (outcome.lost, outcome.twice, len(outcome.received)) == (0, 0, 8000), outcome.books
    assert outcome.books.count("configuration") >= 8
    assert "does not balance" not in outcome.books


def test_what_is_lost_and_what_comes_twice() -> None:
    outcome = Outcome(5, 3, 0.25, Counter({b"a": 1, b"b": 2, b"c": 3, b"d": 1}), "")
    assert (outcome.lost, outcome.twice) == (1, 3)
    assert str(outcome) == "  3 reloads, the slowest 0.250 s: 5 sent, 4 received, 1 lost, 3 twice"
