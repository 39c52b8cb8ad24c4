"""Local times to UTC, in the repeated hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sink_samples import INVITE, RINGING, captured, traced
from table_samples import stored_messages

from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import listing
from capture_agent.history.stored_times import repeated_hour, utc, zone_name
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sip.headers import text
from capture_agent.view.call import SipCall

pytestmark = pytest.mark.once

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"
BACK = datetime(2025, 10, 26, 1, tzinfo=UTC)  # Berlin's clocks go from 3:00 to 2:00
MINUTE = 60.0


@pytest.fixture(params=["Europe/Berlin"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def store(target: SqlTarget, call: str, *minutes: float) -> None:
    """An INVITE, then its answers, at these minutes from the moment the clocks go back."""
    sink = SqlSink(target)
    for n, minute in enumerate(minutes):
        message = (RINGING if n else INVITE).replace(b"call-1", call.encode())
        moment = BACK + timedelta(minutes=minute)
        sink.send([traced(message, time_ns=round(moment.timestamp() * 1e6) * 1000)])
    sink.close()


def times_of(call: SipCall) -> tuple[datetime, datetime]:
    first, last = (datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC) for time_ns in (call.first_ns, call.last_ns))
    return first, last


def listed(target: SqlTarget) -> dict[str, list[float]]:
    """By Call-ID: first and last, in minutes from when the clocks go back."""
    return {
        text(call.call_id): [round((moment - BACK).total_seconds() / MINUTE, 3) for moment in times_of(call)]
        for call in listing(target).calls
    }


@pytest.mark.parametrize("kept", ["local", "utc"])
def test_a_call_across_the_end_of_summer_time(database: str, zone: str, kept: str) -> None:
    create_tables(database)
    target = SqlTarget(database, time="utc" if kept == "utc" else "local")
    sink = SqlSink(target)
    sink.send(captured(INPUTS / "local_time_dst.pcap"))
    sink.close()
    [call] = listing(target).calls
    assert times_of(call) == (
        datetime(2025, 10, 26, 0, 59, 50, tzinfo=UTC),
        datetime(2025, 10, 26, 1, 0, 50, 100000, tzinfo=UTC),
    )
    assert (call.method, call.state) == (b"INVITE", "completed")
    methods = [message.method for message in stored_messages(target, text(call.call_id))]
    assert methods == ["INVITE", "INVITE", "INVITE", "ACK", "BYE", "BYE"]


CALLS = {
    "all before": [-70, -61],
    "into the first round": [-61, -30],
    "in the first round": [-50, -40],
    "goes back far": [-1, 0.5],
    "goes back a little": [-40, 18],
    "out of the second round": [50, 65],
    "through it": [-61, -30, 30, 61],
    "all after": [61, 70],
}


@pytest.mark.parametrize("minutes", CALLS.values(), ids=CALLS)
def test_a_call_alone_in_the_table(database: str, zone: str, minutes: list[float]) -> None:
    create_tables(database)
    store(SqlTarget(database), "a", *minutes)
    assert listed(SqlTarget(database)) == {"a": [minutes[0], minutes[-1]]}


def test_other_calls_show_where_the_second_round_begins(database: str, zone: str) -> None:
    create_tables(database)
    target = SqlTarget(database)
    want = {
        "a": [-58.0, -5.0],
        "b": [-3.0, -2.0],
        "c": [5.0, 8.0],
        "d": [7.0, 59.0],
        "e": [-2.0, 65.0],
        "f": [57.5, 64.0],
    }
    for call in "abcdef":
        store(target, call, *want[call])
    # e was stored after c and d had begun the second round: its INVITE counts for that.
    if not database.startswith("sqlite"):
        want["e"] = [58.0, 65.0]
    assert listed(target) == want


def test_utc_has_no_hour_twice(database: str, zone: str) -> None:
    create_tables(database)
    target = SqlTarget(database, time="utc")
    for n, minutes in enumerate(CALLS.values()):
        store(target, f"call-{n}", *minutes)
    assert listed(target) == {f"call-{n}": [minutes[0], minutes[-1]] for n, minutes in enumerate(CALLS.values())}


@pytest.mark.parametrize(
    ("zone", "stamp", "want"),
    [
        ("Europe/Berlin", datetime(2025, 10, 26, 2, 30), (2, 3)),
        ("Europe/Berlin", datetime(2025, 10, 26, 2), (2, 3)),
        ("Europe/Berlin", datetime(2025, 10, 26, 2, 59, 59), (2, 3)),
        ("Europe/Berlin", datetime(2025, 10, 26, 3), None),
        ("Europe/Berlin", datetime(2025, 10, 26, 1, 59, 59), None),
        ("Europe/Berlin", datetime(2025, 3, 30, 2, 30), None),
        ("America/New_York", datetime(2025, 11, 2, 1, 30), (1, 2)),
        ("Australia/Lord_Howe", datetime(2025, 4, 6, 1, 45), (1.5, 2)),
        ("Asia/Tokyo", datetime(2025, 10, 26, 2, 30), None),
        ("UTC", datetime(2025, 10, 26, 2, 30), None),
    ],
    indirect=["zone"],
)
def test_the_repeated_hour(zone: str, stamp: datetime, want: tuple[float, float] | None) -> None:
    from capture_agent.history import stored_times

    stored_times.rounds_of.cache_clear()
    stored_times.hour_between.cache_clear()
    found = repeated_hour(stamp)
    hours = [(each.hour + each.minute / 60) for each in (found.start, found.end)] if found else None
    assert hours == (list(want) if want else None)
    stored_times.rounds_of.cache_clear()
    stored_times.hour_between.cache_clear()


@pytest.mark.parametrize("second", [0, 1, 43_199, 43_200, 86_399, 1_795_386_683, 4_102_444_799])
def test_julian_days_lose_no_second(second: int) -> None:
    assert utc(2440587.5 + second / 86400) == datetime.fromtimestamp(second, UTC)


@pytest.mark.parametrize("stored", ["0000-00-00 00:00:00", "soon", None, 1e300, float("inf"), -1e9, datetime(1, 1, 1)])
def test_times_outside_the_calendar_are_not_an_error(stored: str | float | datetime | None) -> None:
    assert utc(stored).year in (1, 1970)


def test_the_zone_has_a_name(zone: str) -> None:
    assert (zone_name("local"), zone_name("utc")) == ("CET/CEST", "UTC")
