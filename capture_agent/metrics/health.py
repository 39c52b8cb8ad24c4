"""Whether the agent does what it is there for: ok, or degraded with the reasons."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from capture_agent.metrics.figures import SinkFigures, SourceFigures
from capture_agent.sources.interface_list import is_pattern

LOSING_SECONDS = 60.0  # so long a sink counts as losing after it has lost something

SOURCE_DOWN, NO_PACKETS, NO_SIP = "source_down", "no_packets", "no_sip"
SINK_UNREACHABLE, SINK_LOSING = "sink_unreachable", "sink_losing"
STANDS_STILL = "capture_stands_still"
STILL_SECONDS = 10.0  # that one batch takes
SPOOL_FAILING, SPOOL_FULL = "spool_failing", "spool_full"
# A packet now and then, none of it SIP: it is one state, whatever of the two it is at the moment.
QUIET = (NO_PACKETS, NO_SIP)


@dataclass(frozen=True, slots=True)
class HealthReason:
    """`name`: of the source or sink; `text`: what is wrong with it, in words."""

    reason: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class Health:
    """`no_packets_seconds`, `no_sip_seconds`: for so long a source may have nothing; 0: for ever."""

    def __init__(self, no_packets_seconds: float = 0, no_sip_seconds: float = 0) -> None:
        self._no_packets_seconds = no_packets_seconds
        self._no_sip_seconds = no_sip_seconds
        self._lock = threading.Lock()  # several may look
        self._lost: dict[tuple[str, int], tuple[int, float]] = {}  # by sink: how many, and when that became more
        self._said: frozenset[tuple[str, str]] = frozenset()

    def look(
        self, sources: Iterable[SourceFigures], sinks: Sequence[SinkFigures], now: float, in_batch: float = 0.0
    ) -> list[HealthReason]:
        """All that is wrong. `now`: seconds of any clock that only goes on. Losses are seen if it is asked at times.
        `in_batch`: seconds that the capture has been busy with one batch.
        """
        still = HealthReason(STANDS_STILL, "capture", f"stands still for {in_batch:.0f} s: user code hangs")
        with self._lock:
            return [
                *([still] if in_batch >= STILL_SECONDS else []),
                *(reason for source in sources if (reason := self._of_source(source)) is not None),
                *(reason for n, sink in enumerate(sinks) if (reason := self._of_sink(sink, n, now)) is not None),
                *(reason for sink in sinks for reason in of_spool(sink)),
            ]

    def _of_source(self, source: SourceFigures) -> HealthReason | None:
        if source.up is None:
            return None
        if not source.up:
            return HealthReason(SOURCE_DOWN, source.name, "no interface matches" if is_pattern(source.name) else "down")
        if 0 < self._no_packets_seconds <= source.quiet_seconds:
            return HealthReason(NO_PACKETS, source.name, f"no packets for {source.quiet_seconds:.0f} s")
        quiet = source.sip_quiet_seconds
        if quiet is not None and 0 < self._no_sip_seconds <= quiet:
            return HealthReason(NO_SIP, source.name, f"no SIP for {quiet:.0f} s")
        return None

    def _of_sink(self, sink: SinkFigures, number: int, now: float) -> HealthReason | None:
        if sink.standing is None:
            return None
        lost = sum(sink.ledger.lost.values())
        before, grew_at = self._lost.get((sink.name, number), (0, -LOSING_SECONDS + now))
        if lost > before:
            grew_at = now
        self._lost[sink.name, number] = lost, grew_at
        if not sink.standing.up:
            return HealthReason(SINK_UNREACHABLE, sink.name, "unreachable")
        if now - grew_at < LOSING_SECONDS:
            return HealthReason(SINK_LOSING, sink.name, f"loses messages: {lost:,} so far")
        return None

    def is_news(self, reasons: Sequence[HealthReason]) -> bool:
        """Are other things wrong than when this was asked last?"""
        found = frozenset(("quiet" if one.reason in QUIET else one.reason, one.name) for one in reasons)
        with self._lock:
            self._said, before = found, self._said
        return found != before


def of_spool(sink: SinkFigures) -> Iterator[HealthReason]:
    spool = sink.standing.spool if sink.standing is not None else None
    if spool is not None and spool.failing:
        yield HealthReason(SPOOL_FAILING, sink.name, "the spool cannot be used")
    if spool is not None and spool.full:
        yield HealthReason(SPOOL_FULL, sink.name, "the spool is full")
