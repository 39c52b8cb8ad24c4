"""Converts times of the sip_trace table to UTC. SQLite has UTC; the others have local time, as siptrace writes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby

from capture_agent.config.targets import SqlTarget
from capture_agent.sinks.sql.trace_rows import SECONDS_A_DAY, UNIX_EPOCH_JULIAN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

# Messages from several interfaces are stored slightly out of order.
DISORDER = timedelta(seconds=10)

Stamp = float | str | datetime  # the column's value


@dataclass(frozen=True, slots=True)
class RepeatedHour:
    """Local times that a clock shows twice because summer time ends: from `start` to before `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


# The row, by id, in which the second round of a repeated hour begins; None: the table does not show it.
SecondRound = Callable[[RepeatedHour], int | None]


def utc(stored: Stamp | None, zone: str = "local") -> datetime:
    """UTC in whole seconds. For a repeated local time, the first; the epoch for one outside the calendar."""
    try:
        if isinstance(stored, datetime):
            whole = naive(stored)
            return whole.replace(tzinfo=UTC) if zone == "utc" else rounds_of(whole)[0]
        if isinstance(stored, str):  # the column's default
            return datetime.fromisoformat(stored).replace(tzinfo=UTC)
        # A double's resolution is 40 microseconds at this size: round.
        return EPOCH + timedelta(seconds=round(((stored or UNIX_EPOCH_JULIAN) - UNIX_EPOCH_JULIAN) * SECONDS_A_DAY))
    except (ValueError, OverflowError, OSError):
        return EPOCH


def moments(rows: Sequence[tuple[int, Stamp]], zone: str, second_round: SecondRound) -> list[datetime]:
    """The times in UTC of one call's rows, given as (id, stamp)."""
    found = [utc(stamp, zone) for _, stamp in rows]
    if zone != "utc":
        ambiguous = [(at, repeated) for at, (_, stamp) in enumerate(rows) if (repeated := repeated_hour(stamp))]
        by_start = sorted(ambiguous, key=lambda pair: pair[1].start)
        for repeated, group in groupby(by_start, key=lambda pair: pair[1]):
            for at in second_ones(rows, [at for at, _ in group], repeated, second_round):
                found[at] += repeated.length
    return found


def second_ones(
    rows: Sequence[tuple[int, Stamp]], at: list[int], repeated: RepeatedHour, second_round: SecondRound
) -> Iterator[int]:
    """The rows `at`, all in the repeated hour, that belong to its second round: time goes back, ids do not."""
    at = sorted(at, key=lambda n: rows[n][0])
    begins = second_round(repeated)
    if begins is None:
        begins = first_step_back(((rows[n][0], naive(rows[n][1])) for n in at), DISORDER)
    if begins is not None:
        yield from (n for n in at if rows[n][0] >= begins)
        return
    # Time never goes back: take the round nearer to the call's other messages.
    outside = [naive(stamp) for _, stamp in rows if isinstance(stamp, datetime)]
    last = naive(rows[at[-1]][1])
    after = [one for one in outside if repeated.end <= one < last + repeated.length]
    before = [one for one in outside if one < repeated.start and one > repeated.start - repeated.length]
    if after and not before:
        yield from at


def first_step_back(rows: Iterable[tuple[int, datetime]], least: timedelta) -> int | None:
    """The id of the first row, in order of ids, that is earlier than a previous one by more than `least`."""
    latest = datetime.min
    for row_id, stamp in rows:
        if latest - stamp > least:
            return row_id
        latest = max(latest, stamp)
    return None


def naive(stamp: Stamp) -> datetime:
    assert isinstance(stamp, datetime)
    return stamp.replace(microsecond=0)


def repeated_hour(stamp: Stamp) -> RepeatedHour | None:
    """The repeated hour that this local time belongs to, if any."""
    if not isinstance(stamp, datetime):
        return None
    try:
        first, second = rounds_of(naive(stamp))
    except (ValueError, OverflowError, OSError):
        return None
    return None if first == second else hour_between(first, second)


@lru_cache(maxsize=4096)
def rounds_of(whole: datetime) -> tuple[datetime, datetime]:
    """The first and second moments at which a clock shows this time; equal if it shows it once, or never."""
    first, second = whole.replace(fold=0).astimezone(UTC), whole.replace(fold=1).astimezone(UTC)
    shown_twice = first < second and first.astimezone().replace(tzinfo=None, fold=0) == whole
    return first, second if shown_twice else first


@lru_cache(maxsize=64)
def hour_between(first: datetime, second: datetime) -> RepeatedHour:
    """The moment, to the second, at which the clock is put back."""
    offset = first.astimezone().utcoffset()
    before, after = first, second
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (middle, after) if middle.astimezone().utcoffset() == offset else (before, middle)
    start = after.astimezone().replace(tzinfo=None)
    return RepeatedHour(start, start + (second - first))


def zone_name(zone: str) -> str:
    """`UTC`, or this host's names for its zone: `CET/CEST`."""
    return "UTC" if zone == "utc" else "/".join(dict.fromkeys(time.tzname))


def zone_of(target: SqlTarget) -> str:
    """The zone of this table's times; '' for SQLite, where it is always UTC."""
    return "" if target.url.startswith("sqlite") else zone_name(target.time)
