"""Counts by size."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.histogram import Histogram
from capture_agent.metrics.exposition import buckets

pytestmark = pytest.mark.once


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((0.5, 1.0))
    for value, count in ((0.5, 2), (0.6, 1), (1.5, 4)):
        histogram.observe(value, count)
    now = histogram.now()
    assert (now.counts, now.count, now.total) == ((2, 1, 4), 7, 7.6)
    assert buckets(now) == [("0.5", 2), ("1.0", 3), ("+Inf", 7)]


@given(st.lists(st.floats(0, 10)))
def test_nothing_is_lost(values: list[float]) -> None:
    bounds = (0.1, 1.0, 5.0)
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    found = histogram.now()
    assert found.count == len(values)
    assert list(found.counts) == [sum(bisect_left(bounds, value) == n for value in values) for n in range(4)]
