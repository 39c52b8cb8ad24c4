"""Distributions of what streams and calls were like, by direction and peer: for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from capture_agent.histogram import Distribution, Histogram
from capture_agent.media.call_directions import Heard
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.captured import CapturedMessage

PREFIX = "capture_agent_rtp_"
# MOS: what G.109 calls poor up to what is hardly reached; shares of a stream's packets; seconds.
MOS = (1.5, 2.0, 2.58, 3.1, 3.6, 3.8, 4.03, 4.2, 4.34, 4.4)
LOSS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
JITTER = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
BOUNDS = {"mos": MOS, "loss_ratio": LOSS, "jitter_seconds": JITTER}

Labels = tuple[str, ...]


class PeerSides(Protocol):
    """Direction and peer, as one number."""

    def side(self, message: CapturedMessage) -> int: ...

    def side_of(self, source: bytes, source_port: int, destination: bytes, destination_port: int) -> int: ...

    def labels(self, side: int) -> tuple[str, str]: ...


class QualityCounts:
    """Each stream once, at its end. A side has its own distributions: there are as many as names of peers, twice."""

    def __init__(self, sides: PeerSides) -> None:
        self.sides = sides
        self._distributions: dict[tuple[str, int], Histogram] = {}
        self._streams: Counter[int] = Counter()
        self._calls: Counter[tuple[Heard, int]] = Counter()

    def stream_over(self, figures: StreamFigures) -> None:
        side = self.sides.side_of(figures.source, figures.source_port, figures.destination, figures.destination_port)
        self._streams[side] += 1
        self._observe("loss_ratio", side, figures.lost / figures.expected if figures.expected else 0.0)
        self._observe("jitter_seconds", side, figures.mean_jitter_ms / 1000)
        if figures.mos:  # its codec has a rating
            self._observe("mos", side, figures.mos)

    def call_over(self, heard: Heard, side: int) -> None:
        """An answered call that was measured."""
        self._calls[heard, side] += 1

    def snapshot(self) -> Mapping[str, Mapping[Labels, float | Distribution]]:
        """All figures by now, by metric and labels. Between two batches any thread may ask."""
        labels = self.sides.labels
        found: dict[str, dict[Labels, float | Distribution]] = {f"{PREFIX}{name}": {} for name in BOUNDS}
        for (name, side), histogram in self._distributions.items():
            found[f"{PREFIX}{name}"][labels(side)] = histogram.now()
        found[f"{PREFIX}streams_total"] = {labels(side): count for side, count in self._streams.items()}
        found[f"{PREFIX}calls_total"] = {
            (str(heard), *labels(side)): count for (heard, side), count in self._calls.items()
        }
        return found

    def _observe(self, name: str, side: int, value: float) -> None:
        histogram = self._distributions.get((name, side))
        if histogram is None:
            histogram = self._distributions[name, side] = Histogram(BOUNDS[name])
        histogram.observe(value)
