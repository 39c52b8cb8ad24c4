"""How many relays, partitions and workers a fleet needs, from what a message costs each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

MILLION = 1_000_000
HOUR = 3600.0
BUSY = 0.5  # of a core: the other half is headroom, for a peak of twice the mean of the hour
SPARE = 1  # of each kind: one may fail or restart
PER_WORKER = 3  # partitions: when a worker is lost, the others share its partitions; later there can be more workers
TOLERANCE = 0.2  # of a prediction


@dataclass(frozen=True, slots=True)
class Spent:
    """By all processes of one kind in a run."""

    processes: int
    messages: int
    cpu: float  # seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds: of a process that has started and ends, and of each message."""

    process: float
    message: float

    def predicted(self, processes: int, messages: int) -> float:
        return self.process * processes + self.message * messages


@dataclass(frozen=True, slots=True)
class Plan:
    millions: int  # messages an hour
    relays: int
    partitions: int
    workers: int

    @property
    def rate(self) -> float:
        """Messages per second, the mean of the hour."""
        return self.millions * MILLION / HOUR


def fitted(small: Spent, large: Spent) -> Cost:
    """From two runs with the same number of processes. Raises ValueError if the larger one was not dearer."""
    message = (large.cpu - small.cpu) / (large.messages - small.messages)
    if message <= 0:
        raise ValueError(f"{large.messages:,} messages cost no more than {small.messages:,}: the runs are too short")
    return Cost((small.cpu - message * small.messages) / small.processes, message)


def deviation(cost: Cost, run: Spent) -> float:
    """How much more a run cost than predicted: 0.1 is 10 %."""
    return run.cpu / cost.predicted(run.processes, run.messages) - 1


def planned(millions: int, relay: Cost, worker: Cost) -> Plan:
    """A process is counted as one core, although Kafka's client has threads of its own."""
    relays, workers = (ceil(millions * MILLION / HOUR * one.message / BUSY) + SPARE for one in (relay, worker))
    return Plan(millions, relays, PER_WORKER * workers, workers)


def table(plans: Sequence[Plan]) -> str:
    """As in docs/operate/sizing.md."""
    head = "| million messages an hour | messages/s | relays | partitions | workers |\n|---|---|---|---|---|"
    rows = [
        f"| {one.millions:,} | {one.rate:,.0f} | {one.relays} | {one.partitions} | {one.workers} |" for one in plans
    ]
    return "\n".join([head, *rows])
