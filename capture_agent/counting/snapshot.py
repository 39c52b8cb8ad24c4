"""All figures at one time, by metric and the values of its labels: in the order of metrics/sip_families.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from capture_agent.histogram import Distribution

if TYPE_CHECKING:
    from capture_agent.counting.call_counts import CallCounts
    from capture_agent.counting.durations import Durations
    from capture_agent.counting.exchanges import Exchanges
    from capture_agent.counting.followed_calls import Calls
    from capture_agent.counting.sip_counters import SipCounters

SECOND = 1_000_000_000
PREFIX = "capture_agent_"
OTHER = "other"

Labels = tuple[str, ...]
Names = Callable[[int], Labels]  # direction and peer of a side
CountedSamples = Mapping[Labels, float | Distribution]
Counted = Mapping[str, CountedSamples]


def counted(counters: SipCounters, calls: Calls | None, exchanges: Exchanges | None) -> Counted:
    """Of SIP; of calls and exchanges where these are followed."""
    names = counters.sides.labels
    found: list[tuple[str, CountedSamples]] = [
        ("sip_requests_total", dict(counters.requests())),
        ("sip_responses_total", dict(counters.responses())),
        ("sip_retransmissions_total", dict(counters.retransmissions())),
    ]
    if calls is not None:
        found += _of_calls(calls, names)
    if exchanges is not None:
        found += _of_exchanges(exchanges, names)
    return {f"{PREFIX}{name}": samples for name, samples in found}


# Each call_counts.Count, by metric, and by the value of its further label.
COUNTS = {
    "call_attempts_total": 0,
    "calls_answered_total": 1,
    "calls_cancelled_total": 2,
    "calls_abandoned_total": 3,
    "calls_resumed_total": 4,
    "calls_in_setup": 10,
    "early_dialogs": 11,
    "calls_active": 12,
}
ENDINGS = {"bye": 5, "unanswered_bye": 6, "unseen": 7}
EVICTIONS = {"setup": 8, "active": 9}

# Each exchanges.ExchangeCount, by metric.
EXCHANGES = {
    "registration_attempts_total": 0,
    "registrations_accepted_total": 1,
    "registrations_unanswered_total": 2,
    "options_total": 3,
    "options_unanswered_total": 4,
}


def _of_calls(calls: Calls, names: Names) -> Iterator[tuple[str, CountedSamples]]:
    counts = calls.counts
    for name, which in COUNTS.items():
        yield name, _by_side(counts.counts.of(which), names)
    yield "calls_ended_total", _by_word(counts, names, ENDINGS)
    yield "calls_evicted_total", _by_word(counts, names, EVICTIONS)
    yield "calls_failed_total", {(*_status(status), *names(side)): count for (side, status), count in counts.failed}
    yield (
        "call_causes_total",
        {
            (outcome, str(cause) if cause else OTHER, *names(side)): count
            for (side, (outcome, cause)), count in counts.causes
        },
    )
    yield (
        "session_request_delay_seconds",
        _distributions(counts.request_delay, lambda key: ("successful" if key & 1 else "failed", *names(key >> 1))),
    )
    yield "call_answer_seconds", _distributions(counts.answer_time, names)
    yield "call_duration_seconds", _distributions(counts.duration, names)
    yield "session_disconnect_delay_seconds", _distributions(counts.disconnect_delay, names)


def _of_exchanges(exchanges: Exchanges, names: Names) -> Iterator[tuple[str, CountedSamples]]:
    for name, which in EXCHANGES.items():
        yield name, _by_side(exchanges.counts.of(which), names)
    yield "registered", _by_side(exchanges.bindings.by_side.of(0), names)
    refused = {(*_status(status), *names(side)): count for (side, status), count in exchanges.refused}
    yield "registrations_refused_total", refused
    yield "registration_request_delay_seconds", _distributions(exchanges.registration_delay, names)
    yield "options_round_trip_seconds", _distributions(exchanges.round_trip, names)


def _by_side(counts: Iterable[tuple[int, int]], names: Names) -> CountedSamples:
    return {names(side): count for side, count in counts}


def _by_word(counts: CallCounts, names: Names, words: Mapping[str, int]) -> CountedSamples:
    return {(word, *names(side)): count for word, which in words.items() for side, count in counts.counts.of(which)}


def _status(status: int) -> Labels:
    return (f"{status // 100}xx", str(status)) if status else (OTHER, OTHER)


def _distributions(durations: Durations, labels: Callable[[Any], Labels]) -> CountedSamples:
    found = {}
    for key, (*counts, total) in durations.rows():
        found[labels(key)] = Distribution(durations.bounds, tuple(counts), total / SECOND)
    return found
