"""What a metric is: a line of the tables in families.py and sip_families.py."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.metrics.samples import Labels, Read

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric. `name` is as it is scraped; of a histogram without _bucket, _count and _sum.

    restarts  after a reload, what counts may be another of the same name, which begins at 0
    """

    name: str
    kind: str
    labels: Labels
    help: str
    read: Read
    restarts: bool = False
