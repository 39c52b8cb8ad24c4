"""All figures at one time, by metric and the values of its labels: in the order of metrics/sip_families.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from capture_agent.histogram import Distribution

if TYPE_CHECKING:
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


# Each followed_calls.Count, by metric, and by the value of its further label.
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


def _of_calls(calls: Calls, names: Names) -> Iterator[tuple[str, CountedSamples]]:
    for name, which in COUNTS.items():
        yield name, _by_side(calls.counted(which), names)
    yield "calls_ended_total", _by_word(calls, names, ENDINGS)
    yield "calls_evicted_total", _by_word(calls, names, EVICTIONS)
    yield "calls_failed_total", {(*_status(status), *names(side)): count for (side, status), count in calls.failed}
    yield (
        "call_causes_total",
        {
            (outcome, str(cause) if cause else OTHER, *names(side)): count
            for (side, (outcome, cause)), count in calls.causes
        },
    )
    yield (
        "session_request_delay_seconds",
        _distributions(calls.request_delay, lambda key: ("successful" if key & 1 else "failed", *names(key >> 1))),
    )
    yield "call_answer_seconds", _distributions(calls.answer_time, names)
    yield "call_duration_seconds", _distributions(calls.duration, names)
    yield "session_disconnect_delay_seconds", _distributions(calls.disconnect_delay, names)


def _of_exchanges(exchanges: Exchanges, names: Names) -> Iterator[tuple[str, CountedSamples]]:
    for name, counts in (
        ("registration_attempts_total", exchanges.attempts),
        ("registrations_accepted_total", exchanges.accepted),
        ("registrations_unanswered_total", exchanges.unanswered),
        ("registered", exchanges.bindings.by_side),
        ("options_total", exchanges.pings),
        ("options_unanswered_total", exchanges.unanswered_pings),
    ):
        yield name, _by_side(list(counts.items()), names)
    refused = {(*_status(status), *names(side)): count for (side, status), count in exchanges.refused}
    yield "registrations_refused_total", refused
    yield "registration_request_delay_seconds", _distributions(exchanges.registration_delay, names)
    yield "options_round_trip_seconds", _distributions(exchanges.round_trip, names)


def _by_side(counts: Iterable[tuple[int, int]], names: Names) -> CountedSamples:
    return {names(side): count for side, count in counts}


def _by_word(calls: Calls, names: Names, words: Mapping[str, int]) -> CountedSamples:
    return {(word, *names(side)): count for word, which in words.items() for side, count in calls.counted(which)}


def _status(status: int) -> Labels:
    return (f"{status // 100}xx", str(status)) if status else (OTHER, OTHER)


def _distributions(durations: Durations, labels: Callable[[Any], Labels]) -> CountedSamples:
    found = {}
    for key, (*counts, total) in durations.rows():
        found[labels(key)] = Distribution(durations.bounds, tuple(counts), total / SECOND)
    return found
