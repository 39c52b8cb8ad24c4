"""How many relays, partitions and workers: the arithmetic, and a tiny fleet in which nothing is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from benchmarks import captures
from benchmarks.fleet import MILLIONS, Fleet, run
from benchmarks.fleet_model import Cost, Plan, Spent, deviation, fitted, planned, table

pytestmark = pytest.mark.once
SIZING = (Path(__file__).parents[2] / "docs/operate/sizing.md").read_text()


@pytest.mark.parametrize(
    ("small", "large", "want"),
    [
        pytest.param(Spent(1, 1000, 0.5), Spent(1, 3000, 0.9), Cost(0.3, 0.0002), id="one process"),
        pytest.param(Spent(2, 1000, 0.8), Spent(2, 3000, 1.2), Cost(0.3, 0.0002), id="two share the start-up"),
        pytest.param(Spent(1, 1000, 0.1), Spent(1, 2000, 0.2), Cost(0.0, 0.0001), id="no start-up"),
    ],
)
def test_costs_from_two_runs(small: Spent, large: Spent, want: Cost) -> None:
    found = fitted(small, large)
    assert (found.process, found.message) == (pytest.approx(want.process), pytest.approx(want.message))


def test_runs_that_are_too_short_give_no_costs() -> None:
    with pytest.raises(ValueError, match="too short"):
        fitted(Spent(1, 1000, 0.5), Spent(1, 3000, 0.5))


@pytest.mark.parametrize(
    ("run", "want"),
    [
        pytest.param(Spent(2, 10_000, 2.6), 0.0, id="as predicted"),
        pytest.param(Spent(2, 10_000, 3.12), 0.2, id="dearer"),
        pytest.param(Spent(1, 10_000, 1.15), -0.5, id="cheaper"),
    ],
)
def test_a_run_compared_with_its_prediction(run: Spent, want: float) -> None:
    assert deviation(Cost(0.3, 0.0002), run) == pytest.approx(want)


@pytest.mark.parametrize(
    ("millions", "relay", "worker", "want"),
    [
        # 36 million an hour are 10,000 a second.
        pytest.param(36, 10e-6, 10e-6, Plan(36, 2, 6, 2), id="a tenth of a core each, and a spare one"),
        pytest.param(36, 50e-6, 60e-6, Plan(36, 2, 9, 3), id="half a core is one process, more is two"),
        pytest.param(360, 10e-6, 40e-6, Plan(360, 3, 27, 9), id="a core is two, four are eight"),
        pytest.param(3600, 10e-6, 20e-6, Plan(3600, 21, 123, 41), id="a million a second"),
    ],
)
def test_a_plan(millions: int, relay: float, worker: float, want: Plan) -> None:
    assert planned(millions, Cost(0.3, relay), Cost(0.3, worker)) == want


def test_the_table() -> None:
    assert table([Plan(1000, 9, 24, 8)]).splitlines() == [
        "| million messages an hour | messages/s | relays | partitions | workers |",
        "|---|---|---|---|---|",
        "| 1,000 | 277,778 | 9 | 24 | 8 |",
    ]


def test_the_table_of_the_documents_is_what_its_costs_give() -> None:
    relay, worker = (
        Cost(0, float(one) / 1e6)
        for one in re.findall(r"^\| a (?:relay|worker), .* \| ([\d.]+) \|", SIZING, re.MULTILINE)
    )
    assert table([planned(millions, relay, worker) for millions in MILLIONS]) in SIZING


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (Debian package gcc)")
def test_a_tiny_fleet_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "CACHE", tmp_path)
    monkeypatch.setattr(captures, "SHARED", tmp_path / "none")
    fleet = Fleet(agents=3, relays=2, workers=2, seconds=1, rate=100)
    done = run(fleet, tmp_path)
    assert [(one.processes, one.messages) for one in (done.relays, done.workers)] == [(2, 300), (2, 300)]
    assert done.relays.cpu > 0 < done.workers.cpu
