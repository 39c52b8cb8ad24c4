"""Our targets, and figures published by others."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import (
    COMPILED,
    DRAINED,
    FIGURES,
    FRAGMENTS,
    HEP_TCP,
    HEP_UDP,
    JSONL,
    LIVE,
    LIVE_SQLITE,
    MARIADB,
    MEASURED,
    MIXED,
    PCAP,
    PLAIN,
    POSTGRESQL,
    RELAY,
    RULES,
    SCRAPED,
    SIP_TCP,
    SPOOL,
    SQLITE,
    TLS,
    TRACKED,
    TRACKED_UDP,
    TUNNELS,
    WRITTEN,
)
from benchmarks.figures import Figure

MEMORY_MB = 60.0  # the first row
START_UP_SECONDS = 0.4
GROWTH = 1.2  # most to least expensive message, over all sizes of a capture


@dataclass(frozen=True, slots=True)
class Target:
    """At most this cost, these ratios to the limit and to the row before, this memory; at least this rate, this share
    of the driver's. Any loss misses the target.
    """

    cost: float | None = None
    times_limit: float | None = None
    times_base: float | None = None
    memory_mb: float | None = None
    rate_share: float | None = None
    rate: float | None = None  # messages per second

    def __str__(self) -> str:
        parts = [f"≤ {self.cost:g}"] if self.cost else []
        parts += [f"≤ {self.times_limit:g} x limit"] if self.times_limit else []
        parts += [f"≤ {self.times_base:g} x the row before"] if self.times_base else []
        parts += [f"≤ {self.memory_mb:g} MB"] if self.memory_mb else []
        parts += [f"≥ {self.rate_share:g} x the driver's rate"] if self.rate_share else []
        parts += [f"≥ {self.rate:,.0f}/s"] if self.rate else []
        return ", ".join(parts) or "no loss"

    def holds(self, figure: Figure) -> bool:
        cheap = self.cost is None or figure.cost <= self.cost
        near = self.times_limit is None or (figure.times_limit is not None and figure.times_limit <= self.times_limit)
        close = self.times_base is None or (figure.times_base is not None and figure.times_base <= self.times_base)
        small = self.memory_mb is None or figure.memory <= self.memory_mb * 1e6
        fast = self.rate_share is None or (figure.rate_share is not None and figure.rate_share >= self.rate_share)
        quick = self.rate is None or figure.rate >= self.rate
        return cheap and near and close and small and fast and quick and not figure.lost


TARGETS = {
    (HEP_TCP, COMPILED): Target(1.3, 3.5),
    # Most of it is the kernel's cost of a datagram, 1.3 to 3.3 s per million by machine: so only ratios.
    (HEP_UDP, COMPILED): Target(times_limit=1.4),
    (TRACKED, COMPILED): Target(1.3),
    (TRACKED_UDP, COMPILED): Target(times_limit=1.8),
    (RULES, COMPILED): Target(2.5),
    (MIXED, COMPILED): Target(3.0),
    (MEASURED, COMPILED): Target(9.0),  # 1 s per million packets of RTP, of which each message has nine
    (SIP_TCP, COMPILED): Target(3.0),
    (TLS, COMPILED): Target(12.0),
    (FRAGMENTS, COMPILED): Target(6.0),
    (TUNNELS, COMPILED): Target(3.0),
    # At this rate 5 s per million fill a core: the target is half of that, without loss.
    (LIVE, COMPILED): Target(2.5),
    (RELAY, COMPILED): Target(1.5),
    (SCRAPED, COMPILED): Target(times_base=1.15, memory_mb=80),
    (FIGURES, COMPILED): Target(memory_mb=80),
    # Most of it is SQLite's own: for both, with the same rows, indexes and pragmas.
    (SQLITE, COMPILED): Target(times_limit=1.6),
    (LIVE_SQLITE, COMPILED): Target(),
    # The server does most of the work, on the same cores: so rates, not CPU seconds.
    (POSTGRESQL, COMPILED): Target(rate_share=0.7),
    (MARIADB, COMPILED): Target(rate_share=0.7),
    (JSONL, COMPILED): Target(15.0),
    (PCAP, COMPILED): Target(5.0),
    (HEP_TCP, PLAIN): Target(18.0),
    (SPOOL, WRITTEN): Target(rate=100_000),
    (SPOOL, DRAINED): Target(rate=100_000),
}


@dataclass(frozen=True, slots=True)
class Published:
    """Measured elsewhere with the same traffic, also on two cores: not comparable as a ratio."""

    who: str
    work: str
    cost: float
    remark: str


PUBLISHED = (
    Published("heplify 2.0.25", HEP_TCP, 5.4, "loses up to 0.3 %; 250 MB"),
    Published("captagent 6.4.3", HEP_TCP, 9.7, ""),
    Published("heplify 2.0.25", HEP_UDP, 5.6, "loses up to 0.3 %"),
    Published("captagent 6.4.3", HEP_UDP, 11.4, ""),
    Published("heplify 2.0.25", MIXED, 16.0, ""),
    Published("heplify 2.0.25", SIP_TCP, 9.0, "loses up to 21 %"),
)
