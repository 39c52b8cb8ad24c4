"""What must hold, and what others have published."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import (
    COMPILED,
    FRAGMENTS,
    HEP_TCP,
    HEP_UDP,
    LIVE,
    MIXED,
    PLAIN,
    RULES,
    SIP_TCP,
    TRACKED,
    TRACKED_UDP,
    TUNNELS,
)
from benchmarks.figures import Figure

MEMORY_MB = 60.0  # the first row
START_UP_SECONDS = 0.4
GROWTH = 1.2  # the dearest message to the cheapest, over all sizes of a capture


@dataclass(frozen=True, slots=True)
class Target:
    """What loses anything does not hold."""

    cost: float
    times_limit: float | None = None

    def __str__(self) -> str:
        return f"≤ {self.cost:g}" + (f", ≤ {self.times_limit:g} x limit" if self.times_limit else "")

    def holds(self, figure: Figure) -> bool:
        within = self.times_limit is None or (figure.times_limit or 0.0) <= self.times_limit
        return figure.cost <= self.cost and within and not figure.lost


TARGETS = {
    (HEP_TCP, COMPILED): Target(1.3, 3.5),
    (HEP_UDP, COMPILED): Target(2.2, 1.6),
    (TRACKED, COMPILED): Target(1.3),
    (TRACKED_UDP, COMPILED): Target(2.2),
    (RULES, COMPILED): Target(2.5),
    (MIXED, COMPILED): Target(3.0),
    (SIP_TCP, COMPILED): Target(3.0),
    (FRAGMENTS, COMPILED): Target(6.0),
    (TUNNELS, COMPILED): Target(3.0),
    # A core is full at 5 s per million at this rate: half of it, and nothing lost.
    (LIVE, COMPILED): Target(2.5),
    (HEP_TCP, PLAIN): Target(18.0),
}


@dataclass(frozen=True, slots=True)
class Published:
    """Measured elsewhere with the same traffic, on a machine with two cores as well: no ratio to ours is made."""

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
