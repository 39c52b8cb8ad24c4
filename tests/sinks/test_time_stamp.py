"""The time of a row in each database: local or UTC, across changes of summer time, whatever the session's time zone."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from faults.databases import KINDS, SERVERS, Database
from sink_samples import numbered, traced

from capture_agent.config.targets import SqlTarget
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

# Seconds since the epoch: the time in UTC, in Berlin, in St. John's, on Lord Howe (summer time of half an hour).
MOMENTS = {
    1_743_296_399: ("2025-03-30 00:59:59", "2025-03-30 01:59:59", "2025-03-29 22:29:59", "2025-03-30 11:59:59"),
    1_743_296_400: ("2025-03-30 01:00:00", "2025-03-30 03:00:00", "2025-03-29 22:30:00", "2025-03-30 12:00:00"),
    1_761_438_600: ("2025-10-26 00:30:00", "2025-10-26 02:30:00", "2025-10-25 22:00:00", "2025-10-26 11:30:00"),
    1_761_442_200: ("2025-10-26 01:30:00", "2025-10-26 02:30:00", "2025-10-25 23:00:00", "2025-10-26 12:30:00"),
    1_767_225_599: ("2025-12-31 23:59:59", "2026-01-01 00:59:59", "2025-12-31 20:29:59", "2026-01-01 10:59:59"),
    1_709_164_800: ("2024-02-29 00:00:00", "2024-02-29 01:00:00", "2024-02-28 20:30:00", "2024-02-29 11:00:00"),
}
ZONES = {"Europe/Berlin": 1, "America/St_Johns": 2, "Australia/Lord_Howe": 3}
SESSIONS = {"postgresql": "options=-c%20timezone%3DAsia/Tokyo", "mariadb": "init_command=SET%20time_zone%3D'%2B09:00'"}


@pytest.fixture(params=ZONES)
def column(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """This process's time zone, as the column of MOMENTS that has its times."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield ZONES[request.param]
    time.tzset()


def stored(database: Database, url: str, zone: str) -> list[tuple[object, ...]]:
    create_tables(database.url)
    with closing(SqlSink(SqlTarget(url, time=zone))) as sink:  # type: ignore[arg-type]
        sink.send([traced(numbered(n), time_ns=second * 10**9 + 999_999_999) for n, second in enumerate(MOMENTS)])
    return database.rows("time_stamp, time_us")


@pytest.mark.parametrize("faulty", SERVERS, indirect=True)
@pytest.mark.parametrize("zone", ["local", "utc"])
def test_text(faulty: Database, zone: str, column: int) -> None:
    rows = stored(faulty, f"{faulty.url}?{SESSIONS[faulty.kind]}", zone)
    wanted = [(times[column if zone == "local" else 0], 999_999) for times in MOMENTS.values()]
    assert [(str(moment), microseconds) for moment, microseconds in rows] == wanted


@pytest.mark.parametrize("faulty", ["sqlite"], indirect=True)
@pytest.mark.parametrize("zone", ["local", "utc"])
def test_julian_days_are_utc(faulty: Database, zone: str, column: int) -> None:
    assert column
    rows = stored(faulty, faulty.url, zone)
    assert [microseconds for _, microseconds in rows] == [999_999] * len(MOMENTS)
    texts = faulty.rows("datetime(round(time_stamp * 86400) / 86400)")
    assert texts == [times[0] for times in MOMENTS.values()]


def test_every_database_is_tested() -> None:
    assert {"sqlite", *SESSIONS} == set(KINDS)
