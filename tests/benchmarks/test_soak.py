"""The soak's own code: a run of seconds finds nothing, and each thing that it looks for is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.collector import Counts
from benchmarks.scrape import samples
from benchmarks.soak import CARRIED, SENT, TRACED, Sample, Soaked, drift, flat, soak
from benchmarks.wire import usable

pytestmark = pytest.mark.once
BOOKS = "messages: 9 seen, 9 traced, 0 not traced, 0 duplicate\nhep: 9 seen, 9 sent, 0 waiting\n"
MB = 1_000_000


@pytest.mark.skipif(not usable(), reason="needs root, two cores, ip and taskset")
def test_a_short_run_loses_nothing(tmp_path: Path) -> None:
    soaked = soak(4, 4000, tmp_path)
    assert drift(soaked) == []
    assert soaked.seconds >= 4
    assert len(soaked.samples) >= 3
    assert all(one.memory > MB and one.descriptors > 3 and one.threads > 1 for one in soaked.samples)


def run(memory: float = 0, descriptors: float = 0, threads: float = 0) -> list[Sample]:
    """100 samples; what each value grows by per sample after the first 20."""
    return [
        Sample(n, int((50 + memory * max(0, n - 20)) * MB), int(10 + descriptors * n) + n % 2, int(8 + threads * n))
        for n in range(100)
    ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param(run(), [], id="flat"),
        pytest.param(run(memory=0.01), [], id="a little"),
        pytest.param(run(memory=0.1), ["memory has grown from 51.0 to 57.0 MB"], id="memory"),
        pytest.param(run(descriptors=0.1), ["descriptors have grown from 13 to 19"], id="descriptors"),
        pytest.param(run(threads=0.02), ["threads have grown from 8 to 9"], id="threads"),
        pytest.param(run()[:21], ["too short: 21 samples, 20 s of them warm-up"], id="too short"),
    ],
)
def test_what_grows_is_found(given: list[Sample], found: list[str]) -> None:
    assert flat(given, 20) == found


def good() -> Soaked:
    return Soaked(9, 1.0, [], {TRACED: 9, CARRIED: 9, SENT: 9}, set(), BOOKS, 0, Counts(9, 900, 0, 0))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"counts": Counts(8, 900, 0, 0)}, ["whole messages at the sink: 8 of 9"], id="one did not arrive"),
        pytest.param({"counts": Counts(9, 900, 1, 0)}, ["whole messages at the sink: 8 of 9"], id="one is broken"),
        pytest.param({"counts": Counts(10, 900, 0, 0)}, ["whole messages at the sink: 10 of 9"], id="one came twice"),
        pytest.param({"counters": {TRACED: 9, CARRIED: 8, SENT: 9}}, ["carried, in the last scrape: 8 of 9"], id="scrape"),
        pytest.param({"fell": {"c_total"}}, ["c_total has gone down"], id="a counter that goes down"),
        pytest.param({"books": BOOKS.replace("9 sent", "8 sent")}, ["the books do not say: 9 seen, 9 sent, 0 waiting"], id="books"),
        pytest.param({"books": BOOKS + "hep does not balance"}, ["the books do not balance"], id="balance"),
        pytest.param({"status": 1}, ["the agent ended with status 1"], id="status"),
    ],
)  # fmt: skip
def test_drift_is_found(change: dict[str, object], found: list[str]) -> None:
    assert drift(good()) == []
    assert drift(replace(good(), **change)) == found  # type: ignore[arg-type]


def test_samples_of_a_scrape() -> None:
    text = '# HELP a_total x\n# TYPE a_total counter\na_total{sink="h p",b="} 1"} 3.0\nb 1e+06\n'
    assert samples(text) == {'a_total{sink="h p",b="} 1"}': 3.0, "b": 1e6}
