"""Plays a playbook (correlate_samples.message) through correlator and counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from correlate.correlate_samples import message

from capture_agent.config.endpoints import AUTO, parse_local
from capture_agent.correlate.correlator import Correlator
from capture_agent.counting.stage import Counting
from capture_agent.histogram import Distribution
from capture_agent.metrics.sip_families import SIP_FAMILIES
from capture_agent.records.captured import CapturedMessage

SERVERS = [parse_local("192.0.2.10"), parse_local("192.0.2.11:5060")]  # P and Q
NETWORKS = {"callers": ["192.0.2.20"], "callees": ["192.0.2.30/31"]}  # A; B and C

LABELS = {family.name: family.labels for family in SIP_FAMILIES}

# The names of samples in the tables of tests.
SHORT = {
    "capture_agent_call_attempts_total": "attempts",
    "capture_agent_calls_answered_total": "answered",
    "capture_agent_calls_failed_total": "failed",
    "capture_agent_calls_cancelled_total": "cancelled",
    "capture_agent_calls_abandoned_total": "abandoned",
    "capture_agent_calls_resumed_total": "resumed",
    "capture_agent_calls_ended_total": "ended",
    "capture_agent_call_causes_total": "cause",
    "capture_agent_calls_in_setup": "setup",
    "capture_agent_early_dialogs": "early",
    "capture_agent_calls_active": "active",
    "capture_agent_registration_attempts_total": "registrations",
    "capture_agent_registrations_accepted_total": "accepted",
    "capture_agent_registrations_refused_total": "refused",
    "capture_agent_registrations_unanswered_total": "unanswered",
    "capture_agent_registered": "registered",
    "capture_agent_options_total": "options",
    "capture_agent_options_unanswered_total": "silent",
}
HISTOGRAMS = {
    "capture_agent_session_request_delay_seconds": "srd",
    "capture_agent_call_answer_seconds": "answer",
    "capture_agent_call_duration_seconds": "duration",
    "capture_agent_session_disconnect_delay_seconds": "sdd",
    "capture_agent_registration_request_delay_seconds": "rrd",
    "capture_agent_options_round_trip_seconds": "rtt",
}


def new_counting(calls: bool = True) -> Counting:
    return Counting(NETWORKS, [one for one in SERVERS if one != AUTO], calls)


def played(lines: Iterable[str], counting: Counting | None = None, at_once: bool = False) -> Counting:
    """In one batch, or one for each message."""
    counting = counting or new_counting()
    correlator = Correlator()
    messages = [message(line) for line in lines]
    for batch in [messages] if at_once else [[one] for one in messages]:
        correlator.observe(batch)
        counting.observe(batch)
    return counting


def counted(counting: Counting, times: bool = False) -> str:
    """`attempts 1, failed 486 1`: what is not 0, without direction and peer; with `times` sums of seconds as well."""
    found: Counter[str] = Counter()
    sums: dict[str, float] = {}
    for metric, samples in counting.snapshot().items():
        for labels, value in samples.items():
            said = _told(metric, labels)
            if isinstance(value, Distribution):
                if metric in HISTOGRAMS:
                    name = " ".join([HISTOGRAMS[metric], *said])
                    sums[name] = sums.get(name, 0) + value.total
            elif metric in SHORT:
                found[" ".join([SHORT[metric], *said])] += int(value)
    order = list(SHORT.values())
    names = sorted(found, key=lambda name: order.index(name.split()[0]))
    parts = [f"{name} {found[name]}" for name in names if found[name]]
    if times:
        parts += [f"{name} {total:g}s" for name, total in sums.items()]
    return ", ".join(parts)


def _told(metric: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    names = LABELS[metric]
    return tuple(one for name, one in zip(names, labels, strict=True) if name in ("status", "outcome", "cause", "how"))


def by_side(counting: Counting, name: str) -> dict[str, int]:
    """`in callers` etc.: what is not 0 of a metric without further labels."""
    samples = counting.snapshot()[f"capture_agent_{name}"]
    return {" ".join(labels): value for labels, value in samples.items() if isinstance(value, int) and value}


def balance(counting: Counting) -> None:
    """What always holds (counting/__init__.py)."""
    totals = Counter[str]()
    for metric, samples in counting.snapshot().items():
        for labels, value in samples.items():
            if not isinstance(value, Distribution):
                totals[metric.removeprefix("capture_agent_").removesuffix("_total")] += int(value)
                if metric.endswith("_evicted_total"):
                    totals[f"evicted {labels[0]}"] += int(value)
    begun = totals["call_attempts"] + totals["calls_resumed"]
    outcomes = ("answered", "failed", "cancelled", "abandoned", "in_setup")
    assert begun == sum(totals[f"calls_{one}"] for one in outcomes) + totals["evicted setup"]
    assert totals["calls_answered"] == totals["calls_ended"] + totals["calls_active"] + totals["evicted active"]
    for ledger in counting.ledgers():
        assert ledger.difference == 0


def batches(messages: list[CapturedMessage], size: int) -> Iterable[list[CapturedMessage]]:
    return (messages[at : at + size] for at in range(0, len(messages), size))
