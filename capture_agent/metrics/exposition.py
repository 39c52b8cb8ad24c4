"""What Prometheus scrapes: text, or OpenMetrics for those who accept it. prometheus-client writes both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from capture_agent.histogram import Distribution
from capture_agent.metrics.families import FAMILIES
from capture_agent.metrics.figures import AgentFigures
from capture_agent.metrics.metric_family import COUNTER, HISTOGRAM, MetricFamily
from capture_agent.metrics.samples import Labels

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

PLAIN = "text/plain"


class Exposition:
    """All metrics, from figures that are read when somebody asks; and the process metrics of the client library.

    A counter never goes down: what a sender counts as sent and then learns to be lost stays until more is sent; what
    begins again after a reload goes on from where it was.
    """

    def __init__(self, figures: Callable[[], AgentFigures]) -> None:
        self._figures = figures
        self._lock = threading.Lock()  # several may ask at once
        self._highest: dict[tuple[str, Labels], float] = {}
        self._continued = Continued()
        self._registry: CollectorRegistry | None = None

    def load(self) -> None:
        """Import the client library now: later the process may not be allowed to read its files."""
        import prometheus_client.core
        import prometheus_client.exposition  # noqa: F401

        self._made()

    def text(self, accept: str = PLAIN) -> tuple[bytes, str]:
        """What an Accept header asks for, and its content type."""
        from prometheus_client.exposition import choose_encoder

        with self._lock:
            encode, content_type = choose_encoder(accept)
            return encode(self._made()), content_type

    def _made(self) -> CollectorRegistry:
        if self._registry is None:
            from prometheus_client import CollectorRegistry, ProcessCollector

            self._registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=self._registry)
            self._registry.register(self)
        return self._registry

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        """For the client library."""
        figures = self._figures()
        for family in FAMILIES:
            yield self._metric(family, figures)

    def _metric(self, family: MetricFamily, figures: AgentFigures) -> Metric:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        if family.kind == HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for labels, value in family.read(figures):
                assert isinstance(value, Distribution)
                whole = self._continued.distribution((family.name, labels), value)
                histogram.add_metric(labels, buckets(whole), whole.total)
            return histogram
        kind = CounterMetricFamily if family.kind == COUNTER else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.labels)
        for labels, value in family.read(figures):
            assert not isinstance(value, Distribution)
            metric.add_metric(labels, self._grown(family, labels, value) if family.kind == COUNTER else value)
        return metric

    def _grown(self, family: MetricFamily, labels: Labels, value: float) -> float:
        key = (family.name, labels)
        if family.restarts:
            return self._continued.count(key, value)
        self._highest[key] = max(value, self._highest.get(key, 0))
        return self._highest[key]


class Continued:
    """Counts that may begin again at 0: they go on from where they were."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Labels], tuple[float, float]] = {}  # the last one, and the sum of those before
        self._distributions: dict[tuple[str, Labels], tuple[Distribution, Distribution | None]] = {}

    def count(self, key: tuple[str, Labels], value: float) -> float:
        last, before = self._counts.get(key, (0.0, 0.0))
        if value < last:
            before += last
        self._counts[key] = value, before
        return before + value

    def distribution(self, key: tuple[str, Labels], value: Distribution) -> Distribution:
        last, before = self._distributions.get(key, (value, None))
        if value.count < last.count:
            before = last if before is None else before + last
        self._distributions[key] = value, before
        return value if before is None else before + value


def buckets(value: Distribution) -> list[tuple[str, float]]:
    """As Prometheus has them: each counts all that is not above its bound."""
    below = 0
    made: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, value.bounds), "+Inf"], value.counts, strict=True):
        below += count
        made.append((bound, below))
    return made
