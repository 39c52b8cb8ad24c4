"""Turns samples into figures: medians, cost per message without the start-up, ratios to the limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cases import COMPILED, HEP_TCP, LIMITS, Case, base_of, limit_of
from benchmarks.runner import Sample, start_up

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """The cost of one work for one program."""

    work: str
    who: str
    messages: int
    cost: float  # CPU seconds per million SIP messages, the median
    lowest: float
    highest: float
    quickest: float  # the least disturbed run minus the least disturbed start-up
    start_up: float  # CPU seconds
    memory: float  # bytes
    times_limit: float | None
    dropped: int  # by the kernel at the sink, the worst run
    lost: int  # by the program, the worst run
    times_base: float | None = None  # to the row without what this one has in addition
    rate: float = 0.0  # SIP messages per second of elapsed time, the median
    rate_share: float | None = None  # of the limit's rate


def figure(case: Case, samples: Sequence[Sample], limit: Figure | None = None, base: float | None = None) -> Figure:
    """The samples of this case, and of its start-up."""
    runs = [sample for sample in samples if sample.case == case.key]
    starts = [sample.cpu for sample in samples if sample.case == start_up(case).key]
    begins = median(starts)
    costs = [(sample.cpu - begins) / case.capture.sip * MILLION for sample in runs]
    cost = median(costs)
    waited = median(sample.wall for sample in samples if sample.case == start_up(case).key)
    rate = median(case.capture.sip / max(sample.wall - waited, 1e-6) for sample in runs)
    return Figure(
        work=case.work,
        who=case.who,
        messages=case.capture.sip,
        cost=cost,
        lowest=min(costs),
        highest=max(costs),
        quickest=(min(sample.cpu for sample in runs) - min(starts)) / case.capture.sip * MILLION,
        start_up=begins,
        memory=median(sample.memory for sample in runs),
        times_limit=cost / limit.cost if limit else None,
        dropped=max(sample.dropped for sample in runs),
        lost=max(sample.lost for sample in runs),
        times_base=cost / base if base else None,
        rate=rate,
        rate_share=rate / limit.rate if limit else None,
    )


def figures(cases: Iterable[Case], samples: Sequence[Sample]) -> list[Figure]:
    """One figure per case, with the ratios to the limit of the same work, and to the row without an addition."""
    cases = list(cases)
    bases = {base_of(case.work) for case in cases}
    costs = {(case.work, case.who): figure(case, samples).cost for case in cases if case.work in bases}
    limits = {case.work: figure(case, samples) for case in cases if case.who in LIMITS}
    return [
        figure(case, samples, limits.get(limit_of(case.work)), costs.get((base_of(case.work) or "", case.who)))
        for case in cases
    ]


def main_sized(all_figures: Iterable[Figure]) -> list[Figure]:
    """The first figure per work and program: other sizes only show that the cost does not grow."""
    first: dict[tuple[str, str], Figure] = {}
    for one in all_figures:
        first.setdefault((one.work, one.who), one)
    return list(first.values())


def growth(all_figures: Iterable[Figure]) -> list[Figure]:
    """The first row's figures by size of the capture, the smallest first."""
    chosen = [one for one in all_figures if (one.work, one.who) == (HEP_TCP, COMPILED)]
    return sorted(chosen, key=lambda one: one.messages)
