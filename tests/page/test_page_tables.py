"""Pages of a sip_trace table: SQLite, PostgreSQL and MariaDB, with 10,000 calls."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_samples import capture_agent
from page_samples import FIRST, PATIENCE, EventLines, many_calls, served

from capture_agent.config.targets import SqlTarget
from capture_agent.emission.privacy import masker
from capture_agent.page import table_source
from capture_agent.page.table_source import TableSource

pytestmark = pytest.mark.once

CALLS = 10_000
WANTED = 0.3  # seconds for a list, on a machine that does nothing else: docs/look.md has what was measured
LOADED = 10  # times as long, at most, on one that does


def test_ten_thousand_calls(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list, older calls, a search, figures, a call. However slow the machine is, a search looks at all of them."""
    monkeypatch.setattr(table_source, "SEARCH_SECONDS", PATIENCE)
    many_calls(database, CALLS)
    with served(TableSource(SqlTarget(database))) as ask:
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            answer = ask("/")
            seconds.append(time.perf_counter() - began)
            assert answer.text.count("<tr class=") == 50
        assert statistics.median(seconds) < WANTED * LOADED
        latest = ask("/api/calls?limit=3").json
        assert [call["from_user"] for call in latest["calls"]] == ["19999", "19998", "19997"]
        assert latest["after"] == 3
        older = ask("/api/calls?limit=2&after=9998").json
        assert ([call["from_user"] for call in older["calls"]], older["after"]) == (["10001", "10000"], None)
        found = ask("/api/calls?search=19990").json
        assert [call["call_id"] for call in found["calls"]] == ["9990@198.51.100.20"]
        at = datetime.fromtimestamp(FIRST + 5000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        late = datetime.fromtimestamp(FIRST + 9950, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        then = ask(f"/api/calls?since={at}&until={at}").json["calls"]
        assert [call["from_user"] for call in then] == ["15000"]
        failed = ask("/api/calls?show=failed&limit=2").json["calls"]
        assert [(call["from_user"], call["state"]) for call in failed] == [("19990", "busy"), ("19980", "busy")]
        monkeypatch.setattr(table_source, "MOST_EXAMINED", 95)
        slow = ask("/api/calls?sort=-status&limit=2&after=8").json
        assert [call["from_user"] for call in slow["calls"]] == ["19910", "19999"]  # the last busy one of 95 calls
        assert (slow["examined"], slow["complete"], slow["after"]) == (95, False, 10)
        assert "Sorted among the latest 95 calls." in ask("/?sort=-status").text
        few = ask(f"/api/calls?since={late}&sort=from&limit=1&search=19999").json
        assert ([call["from_user"] for call in few["calls"]], few["complete"]) == (["19999"], True)
        ladder = ask("/api/call?id=77@198.51.100.20").json
        assert [one["label"] for one in ladder["messages"]] == ["INVITE", "200 OK", "ACK"]


def test_the_masks_hold(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/trace.db"
    many_calls(url, 3)
    source = TableSource(SqlTarget(url), mask=masker(["users:truncate"]))
    with served(source) as ask:
        paths = ["/", "/api/calls", "/statistics", "/call?id=1@198.51.100.20", "/message?id=1@198.51.100.20"]
        paths += [f"/export?id=1@198.51.100.20&format={kind}" for kind in ("pcapng", "json", "mermaid", "svg", "html")]
        for path in paths:
            answer = ask(path)
            assert answer.status == 200
            assert b"10001" not in answer.body


def test_events_tell_of_new_rows(tmp_path: object) -> None:
    """Rows that come while somebody listens, and those that came while nobody did."""
    url = f"sqlite:///{tmp_path}/trace.db"
    many_calls(url, 1)
    with served(TableSource(SqlTarget(url))) as ask:
        before = ask("/api/calls").json["mark"]
        with EventLines(ask.port, "/api/events?search=alice") as events:
            assert events.state() == (True, [])
            assert capture_agent("replay", "pcaps/demo.pcap", "--db", url).status == 0
            mark, told = events.next("calls")
            assert "alice" in [call["from_user"] for call in told["calls"]]
        assert mark is not None
        for path, headers in (
            ("/api/events", {"Last-Event-ID": str(mark - 1)}),
            (f"/api/events?mark={before}", {}),
        ):
            with EventLines(ask.port, path, **headers) as events:
                assert events.next("calls")[1]["calls"]


def test_events_say_that_the_table_is_gone_and_back(tmp_path: Path) -> None:
    table, away = tmp_path / "trace.db", tmp_path / "away.db"
    url = f"sqlite:///{table}"
    many_calls(url, 1)
    with served(TableSource(SqlTarget(url))) as ask, EventLines(ask.port, "/api/events") as events:
        assert events.state() == (True, [])
        table.rename(away)
        reading, problems = events.state()
        assert (reading, len(problems)) == (False, 1)
        away.rename(table)
        assert events.state() == (True, [])


def test_a_table_that_is_gone_is_said(tmp_path: object) -> None:
    with served(TableSource(SqlTarget(f"sqlite:///{tmp_path}/nothing.db"))) as ask:
        answer = ask("/api/calls")
        assert answer.status == 503
        assert "nothing.db" in answer.json["error"]
        assert ask("/").status == 503
