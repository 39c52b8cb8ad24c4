"""Reading the table, written by us or by Kamailio."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sink_samples import INVITE, RINGING, TIME_NS, captured, traced
from table_samples import stored_messages

from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import legs_in_table, listing, once_each
from capture_agent.history.stored_rows import TimeRange
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import Direction
from capture_agent.records.message_filter import MessageFilter
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.sql.database import check_table, connect, parse_url
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sinks.sql.trace_rows import message_bytes
from capture_agent.sinks.sql.upgrade import upgrade
from capture_agent.view.call import SipCall

SECOND = 1_000_000_000
INPUTS = Path(__file__).parents[1] / "faults" / "inputs"


def time_of(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(TIME_NS // 1000 / 1e6 + seconds, UTC)


def ids(calls: Sequence[SipCall]) -> list[str]:
    return [call.call_id.decode() for call in calls]


def exchange(call: int, start: float, *statuses: bytes) -> list[TracedMessage]:
    """An INVITE, and answers one second after the other."""
    messages = [INVITE] + [RINGING.replace(b"180 Ringing", status + b" X") for status in statuses]
    return [
        traced(message.replace(b"call-1", b"call-%d" % call), time_ns=TIME_NS + int((start + n) * SECOND))
        for n, message in enumerate(messages)
    ]


@pytest.fixture
def filled(database: str) -> SqlTarget:
    target = SqlTarget(database)
    create_tables(database)
    sink = SqlSink(target)
    sink.send(exchange(1, 0, b"100", b"180", b"200"))
    sink.send(exchange(3, 20, b"180"))
    sink.send(exchange(2, 10, b"401", b"403"))
    sink.close()
    return target


def test_calls(filled: SqlTarget) -> None:
    calls = listing(filled).calls
    assert [(call.call_id, call.method, call.status, call.messages) for call in calls] == [
        (b"call-1", b"INVITE", 200, 4),
        (b"call-2", b"INVITE", 403, 3),
        (b"call-3", b"INVITE", 180, 2),
    ]
    assert [(time_of(call.first_ns), time_of(call.last_ns)) for call in calls] == [
        (at(0), at(3)),
        (at(10), at(12)),
        (at(20), at(21)),
    ]
    assert (calls[0].from_user, calls[0].to_user) == ("alice", "bob")


@pytest.mark.parametrize(
    ("limit", "want"), [(1, ["call-3"]), (2, ["call-2", "call-3"]), (9, ["call-1", "call-2", "call-3"])]
)
def test_the_limit_keeps_the_latest(filled: SqlTarget, limit: int, want: list[str]) -> None:
    assert ids(listing(filled, limit=limit).calls) == want


def test_following_begins_after_all_that_is_stored(filled: SqlTarget) -> None:
    """Not after the calls within a limit: the row stored last need not be the latest."""
    first = listing(filled, limit=1)
    assert listing(filled, since_id=first.last_id).calls == []


def test_many_calls_of_one_second(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest by the microsecond, wherever they are stored, and whatever the size of a page."""
    monkeypatch.setattr("capture_agent.history.stored_rows.PAGE", 7)
    create_tables(database)
    sink = SqlSink(SqlTarget(database))
    order = [n * 7 % 60 for n in range(60)]
    sink.send(
        [
            traced(
                INVITE.replace(b"call-1", b"call-%d" % n),
                time_ns=(TIME_NS // SECOND + n // 20) * SECOND + n * 1_000_000,
            )
            for n in order
        ]
    )
    sink.close()
    for limit in (1, 5, 19, 20, 21, 45, 60, 100):
        want = [f"call-{n}" for n in range(60)][-limit:]
        assert ids(listing(SqlTarget(database), limit=limit).calls) == want


@pytest.mark.parametrize("order", [("part1", "part2"), ("part2", "part1")], ids=["in order", "later half first"])
def test_calls_are_ordered_by_time(database: str, order: tuple[str, str]) -> None:
    create_tables(database)
    for part in order:
        sink = SqlSink(SqlTarget(database))
        sink.send(captured(INPUTS / f"calls_order.{part}.pcap"))
        sink.close()
    [call] = listing(SqlTarget(database)).calls
    assert (call.method, call.status, call.state, call.messages) == (b"INVITE", 200, "completed", 4)
    assert (call.last_ns - call.first_ns) / 1e9 == 100.01
    rows = stored_messages(SqlTarget(database), call.call_id.decode())
    assert [row.method for row in rows] == ["INVITE", "INVITE", "BYE", "BYE"]


def test_registrations_that_fail_in_the_end(database: str) -> None:
    create_tables(database)
    sink = SqlSink(SqlTarget(database))
    sink.send(captured(INPUTS / "calls_register.pcap"))
    sink.close()
    assert [(call.method, call.status, call.state) for call in listing(SqlTarget(database)).calls] == [
        (b"REGISTER", 403, "rejected"),
        (b"OPTIONS", 503, "failed"),
    ]


def test_only_what_is_new(filled: SqlTarget) -> None:
    last = listing(filled).last_id
    assert listing(filled, since_id=last).calls == []
    sink = SqlSink(filled)
    sink.send(exchange(3, 30, b"200"))
    sink.close()
    [call] = listing(filled, since_id=last).calls
    assert (call.call_id, call.status, call.messages, time_of(call.first_ns)) == (b"call-3", 200, 4, at(20))


def test_messages_in_the_order_of_their_time(filled: SqlTarget) -> None:
    sink = SqlSink(filled)
    sink.send([traced(INVITE, time_ns=TIME_NS - SECOND, direction=Direction.OUT)])
    sink.close()
    messages = stored_messages(filled, "call-1")
    assert [message.time for message in messages] == [at(seconds) for seconds in (-1, 0, 1, 2, 3)]
    assert [message.status for message in messages] == ["", "", "100", "180", "200"]
    first = messages[0]
    assert (first.message, first.direction, first.from_ip) == (INVITE, "out", "udp:192.0.2.1:5060")
    assert (first.from_tag, first.to_tag) == ("from-1", "")


def test_no_such_call(filled: SqlTarget) -> None:
    assert stored_messages(filled, "' OR 1 = 1 --") == []


@pytest.mark.parametrize(
    ("stored", "want"),
    [
        (INVITE, INVITE),
        (INVITE.decode(), INVITE),
        ("\\x" + INVITE.hex(), INVITE),
        (b"\\x" + INVITE.hex().encode(), INVITE),
        ("\\x no digits", b"\\x no digits"),
        ("", b""),
    ],
)
def test_messages_in_every_form(stored: bytes | str, want: bytes) -> None:
    assert message_bytes(stored) == want


def test_a_table_that_kamailio_wrote(tmp_path: Path) -> None:
    """NULL where there is no tag, a text for a message, and rows for traced users."""
    file = tmp_path / "kamailio.db"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER)")
    database.execute("INSERT INTO version VALUES ('sip_trace', 4)")
    database.execute(
        "CREATE TABLE sip_trace (id INTEGER PRIMARY KEY, time_stamp TIMESTAMP, time_us INTEGER, callid VARCHAR(255),"
        " traced_user VARCHAR(255), msg TEXT, method VARCHAR(50), status VARCHAR(255), fromip VARCHAR(64),"
        " toip VARCHAR(64), fromtag VARCHAR(128), totag VARCHAR(128), direction VARCHAR(4))"
    )
    row = (2461367.4380844906, 144806, "call-1", INVITE, "INVITE", "", "udp:127.0.0.2:5060", "udp:127.0.0.1:5060", "in")
    for user, message in (("", INVITE), ("alice", INVITE.decode())):
        database.execute(
            "INSERT INTO sip_trace (time_stamp, time_us, callid, traced_user, msg, method, status, fromip, toip,"
            " direction) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*row[:3], user, message, *row[4:]],
        )
    database.execute("UPDATE sip_trace SET traced_user = NULL WHERE id = 1")
    database.commit()
    database.close()
    before = file.read_bytes()
    target = SqlTarget(f"sqlite:///{file}")
    messages = stored_messages(target, "call-1")
    assert [(message.traced_user, message.message, message.to_tag) for message in messages] == [
        ("", INVITE, ""),
        ("alice", INVITE, ""),
    ]
    assert messages[0].time == datetime(2026, 11, 22, 22, 30, 50, 144806, UTC)
    assert [call.messages for call in listing(target).calls] == [1]
    assert file.read_bytes() == before, "reading changes nothing in the file"


def test_tables_that_are_not_ours(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE a (b)").connection.close()
    with pytest.raises(SinkError, match="^table sip_trace does not exist in sqlite:///"):
        listing(SqlTarget(f"sqlite:///{tmp_path}/empty.db"))


def test_a_check_alone(sqlite_url: str) -> None:
    create_tables(sqlite_url)
    url = parse_url(sqlite_url)
    with connect(url) as connection:
        check_table(connection, url, "sip_trace")


USERS = [Trace(), Trace(users=("alice", "bob")), Trace(users=("alice",), plain_row=False)]


@pytest.mark.parametrize("trace", USERS)
def test_a_message_counts_once_whatever_rows_it_has(database: str, trace: Trace) -> None:
    create_tables(database)
    sink = SqlSink(SqlTarget(database))
    messages = exchange(1, 0, b"100", b"180", b"200")
    sink.send([TracedMessage(message.message, message.direction, trace) for message in messages])
    sink.send(exchange(2, 10, b"486"))
    sink.close()
    calls = listing(SqlTarget(database)).calls
    assert [(call.call_id, call.status, call.messages) for call in calls] == [
        (b"call-1", 200, 4),
        (b"call-2", 486, 2),
    ]
    rows = stored_messages(SqlTarget(database), "call-1")
    assert len(rows) == 4 * (trace.plain_row + len(trace.users))
    assert [row.status for row in once_each(rows)] == ["", "100", "180", "200"]


def test_the_same_message_sent_again_counts_again(sqlite_url: str) -> None:
    create_tables(sqlite_url)
    sink = SqlSink(SqlTarget(sqlite_url))
    sink.send([traced(INVITE, time_ns=TIME_NS + n * 1000) for n in range(3)])
    sink.close()
    assert [call.messages for call in listing(SqlTarget(sqlite_url)).calls] == [3]
    assert len(list(once_each(stored_messages(SqlTarget(sqlite_url), "call-1")))) == 3


def test_a_time_and_a_filter(filled: SqlTarget) -> None:
    assert ids(listing(filled, between=TimeRange(at(9), at(13))).calls) == ["call-2"]
    assert ids(listing(filled, between=TimeRange(at(9))).calls) == ["call-2", "call-3"]
    assert ids(listing(filled, limit=1, wanted=lambda call: call.failed).calls) == ["call-2"]
    wanted = MessageFilter("status = 100")
    assert ids(listing(filled, message=wanted).calls) == ["call-1"]


def leg(call_id: bytes, start: float, more: bytes = b"") -> list[TracedMessage]:
    raw = INVITE.replace(b"call-1", call_id).replace(b"CSeq", more + b"CSeq", 1)
    return [
        TracedMessage(
            traced(raw, time_ns=TIME_NS + int(start * SECOND)).message, Direction.IN, Trace(correlation_id=b"one")
        )
    ]


def test_legs_in_the_table(database: str) -> None:
    """By a header without the agent's own column; by the column once there is one; and the rows have it."""
    create_tables(database)
    target = SqlTarget(database)
    sink = SqlSink(target)
    sink.send([*leg(b"one", 0), *leg(b"two", 1, b"X-CID: one\r\n"), *leg(b"other", 2)])
    sink.close()
    assert legs_in_table(target, "one", None) == ["one", "two"]
    assert legs_in_table(target, "two", None) == ["one", "two"]
    steps = list(upgrade(database))
    assert steps == ["column correlation_id added", "index on correlation_id added"]
    assert list(upgrade(database)) == []
    sink = SqlSink(target)
    sink.send([*leg(b"three", 1000), *leg(b"four", 9000)])
    assert sink.sent == 2
    sink.close()
    assert [row.correlation_id for row in stored_messages(target, "four")] == [b"one"]
    assert legs_in_table(target, "three", None) == ["three", "four"]
