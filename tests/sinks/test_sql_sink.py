"""Rows of sip_trace on real databases: siptrace's values, and what a database refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sink_samples import INVITE, RINGING, TIME_NS, Receiver, batch_of, numbered, traced
from sqlalchemy import create_engine, text
from table_samples import stored_messages

from capture_agent.config.targets import SqlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import Direction
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.sink import handled
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink, within

BINARY = INVITE + bytes(range(256))


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    url = f"sqlite:///{folder}/trace.db"
    create_tables(url)
    yield Receiver(f'url = "{url}"', url, lambda: [bytes(msg) for (msg,) in rows(url, "msg")])  # type: ignore[call-overload]


def store(url: str, batch: list[TracedMessage], table: str = "sip_trace") -> SqlSink:
    create_tables(url, table)
    sink = SqlSink(SqlTarget(url, table))
    sink.send(batch)
    sink.close()
    return sink


def rows(url: str, columns: str, table: str = "sip_trace", order: str = "ORDER BY id") -> list[tuple[object, ...]]:
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {table} {order}"))]
    engine.dispose()
    return found


def execute(url: str, *statements: str) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("message", "want"),
    [
        pytest.param(
            traced(INVITE),
            ("call-1", "INVITE", "", "udp:192.0.2.1:5060", "udp:192.0.2.2:5070", "in", "from-1", "", "", 255621),
            id="a request without a To tag",
        ),
        pytest.param(
            traced(RINGING, "192.0.2.2", "192.0.2.1", (5070, 5060), direction=Direction.OUT),
            ("call-1", "INVITE", "180", "udp:192.0.2.2:5070", "udp:192.0.2.1:5060", "out", "from-1", "", "to-1", 255621),
            id="a response has the method of the CSeq",
        ),
        pytest.param(
            traced(INVITE, "fd00:0:0:1::ab", "FD00::1", transport="wss", time_ns=TIME_NS - 255_621_000),
            ("call-1", "INVITE", "", "wss:[fd00:0:0:1::ab]:5060", "wss:[fd00::1]:5070", "in", "from-1", "", "", 0),
            id="IPv6 always in brackets",
        ),
        pytest.param(
            traced(INVITE.replace(b"From:", b"f:").replace(b";tag=from-1", b"").replace(b"Call-ID:", b"i:")),
            ("call-1", "INVITE", "", "udp:192.0.2.1:5060", "udp:192.0.2.2:5070", "in", "", "", "", 255621),
            id="compact headers, and no From tag",
        ),
        pytest.param(
            traced(INVITE.replace(b"call-1", "caf\u00e9".encode() + b"\xff'\"--")),
            ("caf\u00e9\\xff'\"--", "INVITE", "", "udp:192.0.2.1:5060", "udp:192.0.2.2:5070", "in", "from-1", "", "", 255621),
            id="bytes that are no text, and quotes",
        ),
    ],
)  # fmt: skip
def test_values(database: str, message: TracedMessage, want: tuple[object, ...]) -> None:
    sink = store(database, [message])
    columns = "callid, method, status, fromip, toip, direction, fromtag, traced_user, totag, time_us"
    assert rows(database, columns) == [want]
    assert (sink.sent, handled(sink)) == (1, 1)


@pytest.mark.parametrize("message", [INVITE, BINARY, INVITE + "\u00e9\U0001f600".encode()])
def test_messages_come_back_byte_for_byte(database: str, message: bytes) -> None:
    store(database, [traced(message)])
    [back] = stored_messages(SqlTarget(database), "call-1")
    assert back.message == message
    assert back.time == datetime.fromtimestamp(TIME_NS // 10**9, UTC).replace(microsecond=255621)


def test_sqlite_has_blobs_and_julian_days(sqlite_url: str) -> None:
    store(sqlite_url, [traced(BINARY)])
    columns = "typeof(msg), msg, typeof(time_stamp), time_stamp"
    want = ("blob", BINARY, "real", 2440587.5 + (TIME_NS // 10**9) / 86400)
    assert rows(sqlite_url, columns) == [want]


def test_postgresql_has_what_kamailio_writes_there(postgresql_url: str) -> None:
    store(postgresql_url, [traced(BINARY)])
    local = datetime.fromtimestamp(TIME_NS // 10**9)
    want = ("\\x" + BINARY.hex(), BINARY, local)
    assert rows(postgresql_url, "msg, msg::bytea, time_stamp") == [want]


def test_mariadb_has_bytes_and_local_time(mariadb_url: str) -> None:
    store(mariadb_url, [traced(BINARY)])
    local = datetime.fromtimestamp(TIME_NS // 10**9)
    assert rows(mariadb_url, "CAST(msg AS BINARY), time_stamp") == [(BINARY, local)]


@pytest.mark.parametrize("charset", ["utf8mb4", "utf8mb3", "latin1", "ascii"])
def test_a_mysql_table_of_somebody_else_loses_nothing(mariadb_url: str, charset: str) -> None:
    create_tables(mariadb_url)
    execute(mariadb_url, f"ALTER TABLE sip_trace CONVERT TO CHARACTER SET {charset}")
    messages = [INVITE, BINARY, INVITE + "\u00e9\U0001f600".encode()]
    sink = store(mariadb_url, [traced(message) for message in messages])
    assert [back.message for back in stored_messages(SqlTarget(mariadb_url), "call-1")] == messages
    assert sink.sent == 3


HEADERS = {
    "no From": INVITE.replace(b"From:", b"X-From:"),
    "no To": INVITE.replace(b"To:", b"X-To:"),
    "no Call-ID": INVITE.replace(b"Call-ID:", b"X-Call-ID:"),
    "no CSeq": INVITE.replace(b"CSeq:", b"X-CSeq:"),
    "broken CSeq": INVITE.replace(b"1 INVITE", b"one INVITE"),
    "no status": RINGING.replace(b"180", b"abc"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_what_siptrace_cannot_store_gets_no_row(sqlite_url: str, name: str) -> None:
    sink = store(sqlite_url, [traced(INVITE), traced(HEADERS[name]), traced(RINGING)])
    reason = "start_line" if name == "no status" else "headers"
    assert (sink.sent, sink.rejected) == (2, {reason: 1})
    assert rows(sqlite_url, "status") == [("",), ("180",)]


def test_values_longer_than_their_column_cost_no_row(database: str) -> None:
    long = INVITE.replace(b"call-1", b"c" * 60_000).replace(b"from-1", b"f" * 200)
    long = long.replace(b"INVITE", b"I" * 60)
    sink = store(database, [traced(INVITE), traced(long), traced(RINGING)])
    lengths = rows(database, "length(callid), length(method), length(fromtag)")
    if database.startswith("sqlite"):  # which takes any length, as siptrace there
        assert (lengths[1], sink.cut) == ((60_000, 60, 200), {})
    else:
        assert (lengths[1], sink.cut) == ((255, 50, 128), {"callid": 1, "method": 1, "fromtag": 1})
    assert sink.sent == 3


def test_a_nul_in_a_header_costs_no_row(database: str) -> None:
    sink = store(database, [traced(INVITE.replace(b"call-1", b"a\0b"))])
    assert sink.sent == 1


def test_a_row_that_the_database_refuses_costs_no_other(database: str) -> None:
    create_tables(database)
    if database.startswith("sqlite"):
        execute(database, "CREATE UNIQUE INDEX once ON sip_trace (callid)")
    elif database.startswith("mysql"):
        execute(database, "ALTER TABLE sip_trace ADD UNIQUE (callid)")
    else:
        execute(database, "ALTER TABLE sip_trace ADD CONSTRAINT once CHECK (callid <> 'call-7' OR time_us = 1)")
    batch = batch_of(20)
    if not database.startswith("postgresql"):
        batch[7] = traced(INVITE.replace(b"call-1", b"call-6"))
    sink = store(database, batch)
    assert (sink.sent, sink.rejected) == (19, {"refused": 1})
    assert rows(database, "callid") == [(f"call-{n}",) for n in range(20) if n != 7]


def test_many_rows(database: str) -> None:
    sink = store(database, batch_of(5000, size=300))
    assert sink.sent == 5000
    assert rows(database, "count(*), min(length(msg)) > 300", order="") == [(5000, True)]


@pytest.mark.parametrize("name", ["x; DROP TABLE sip_trace", "a-b", "", "1a", "a" * 33, 'a"b'])
def test_a_table_name_is_an_identifier(sqlite_url: str, name: str) -> None:
    with pytest.raises(SinkError, match="^table: .* expected a letter"):
        SqlSink(SqlTarget(sqlite_url, name))


def test_a_table_of_another_name(database: str) -> None:
    assert store(database, [traced(INVITE)], "Trace_2").sent == 1


def test_a_missing_table(database: str) -> None:
    if database.startswith("sqlite"):
        sqlite3.connect(database.removeprefix("sqlite:///")).execute("CREATE TABLE t (a)").connection.close()
    sink = SqlSink(SqlTarget(database))
    with pytest.raises(SinkError) as caught:
        sink.send(batch_of(1))
    url = database.replace(":secret@", ":***@")
    assert str(caught.value) == (f"table sip_trace does not exist in {url}: run `capture-agent db create --db {url}`")
    assert handled(sink) == 0


def test_another_version(database: str) -> None:
    create_tables(database)
    execute(database, "UPDATE version SET table_version = 3 WHERE table_name = 'sip_trace'")
    with pytest.raises(SinkError, match="table sip_trace has version 3, expected 4: run `capture-agent db upgrade "):
        SqlSink(SqlTarget(database)).open()


def test_a_missing_file_is_not_made(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="no such file: run `capture-agent db create --db sqlite:///"):
        SqlSink(SqlTarget(sqlite_url)).open()
    assert list(tmp_path.iterdir()) == []


USER_ROWS = "traced_user, status, callid"


@pytest.mark.parametrize(
    ("trace", "want"),
    [
        pytest.param(Trace(), [""], id="nobody"),
        pytest.param(Trace(users=("alice", "bob")), ["", "alice", "bob"], id="in their order"),
        pytest.param(Trace(users=("alice", "bob"), plain_row=False), ["alice", "bob"], id="users only"),
        pytest.param(Trace(users=("caf\u00e9 '\"\\", "")), ["", "caf\u00e9 '\"\\", ""], id="odd names"),
    ],
)
def test_a_row_for_each_user(database: str, trace: Trace, want: list[str]) -> None:
    sink = store(database, [traced(INVITE, trace=trace), traced(RINGING, trace=trace)])
    assert rows(database, USER_ROWS) == [(user, status, "call-1") for status in ("", "180") for user in want]
    assert (sink.sent, handled(sink)) == (2, 2)


def test_a_trace_without_any_row_is_counted(sqlite_url: str) -> None:
    sink = store(sqlite_url, [traced(INVITE, trace=Trace(plain_row=False)), traced(RINGING)])
    assert (sink.sent, sink.rejected) == (1, {"no_user": 1})
    assert rows(sqlite_url, "status") == [("180",)]


def test_a_user_longer_than_the_column(database: str) -> None:
    sink = store(database, [traced(INVITE, trace=Trace(users=("u" * 300, "bob")))])
    length = 300 if database.startswith("sqlite") else 255
    assert rows(database, "traced_user") == [("",), ("u" * length,), ("bob",)]
    assert (sink.sent, sink.cut) == (1, {} if length == 300 else {"traced_user": 1})


def test_a_message_of_whose_rows_one_is_refused_has_none(database: str) -> None:
    create_tables(database)
    execute(database, "CREATE UNIQUE INDEX once ON sip_trace (callid, traced_user)")
    users = [("alice",), ("alice", "eve", "eve"), ("bob",)]
    batch = [traced(INVITE.replace(b"call-1", b"c%d" % n), trace=Trace(users=names)) for n, names in enumerate(users)]
    sink = store(database, batch)
    assert (sink.sent, sink.rejected) == (2, {"refused": 1})
    assert rows(database, "callid, traced_user") == [("c0", ""), ("c0", "alice"), ("c2", ""), ("c2", "bob")]


def test_tables_of_traces(database: str, caplog: pytest.LogCaptureFixture) -> None:
    create_tables(database, "trace_alt")
    tables = ["", "trace_alt", "missing", "trace_alt", "sip_trace", "missing", "x; DROP TABLE sip_trace", ""]
    batch = [traced(INVITE.replace(b"call-1", b"c%d" % n), trace=Trace(table=name)) for n, name in enumerate(tables)]
    sink = store(database, batch)
    assert rows(database, "callid") == [("c0",), ("c4",), ("c7",)]
    assert rows(database, "callid", "trace_alt") == [("c1",), ("c3",)]
    assert (sink.sent, sink.rejected) == (5, {"table": 3})
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("table missing does not exist in ")
    assert said[0].endswith("--table missing`; messages traced into it are not stored")


def test_tables_that_are_configured_are_looked_for_at_once(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    create_tables(sqlite_url)
    create_tables(sqlite_url, "trace_alt")
    sink = SqlSink(SqlTarget(sqlite_url), ["trace_alt", "missing"])
    sink.open()
    assert [record.message.partition(" does")[0] for record in caplog.records] == ["table missing"]
    sink.close()


def test_names_of_tables_are_bounded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture_agent.sinks.sql.trace_tables.MOST_TABLES", 5)
    sink = store(sqlite_url, [traced(INVITE, trace=Trace(table=f"t{n}")) for n in range(20)])
    assert (len(sink._tables._found), sink.rejected) == (5, {"table": 20})


@pytest.mark.parametrize(
    ("sizes", "want"),
    [
        ([], [0]),
        ([100, 100, 100], [3]),
        ([400, 400, 400, 1100, 100], [2, 1, 1, 1]),
        ([1100], [1]),
    ],
)
def test_a_transaction_is_bounded_in_bytes(sizes: list[int], want: list[int]) -> None:
    batch = [traced(b"OPTIONS sip:b SIP/2.0\r\n\r\n" + bytes(size - 25)) for size in sizes]
    parts = list(within(batch, 1000))
    assert [len(part) for part in parts] == want
    assert [one for part in parts for one in part] == batch


def test_long_messages_are_stored_in_several_transactions(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture_agent.sinks.sql.sql_sink.BYTES_AT_ONCE", 5000)
    create_tables(sqlite_url)
    stored: list[int] = []
    real = SqlSink.store
    monkeypatch.setattr(SqlSink, "store", lambda self, part: stored.append(len(part)) or real(self, part))  # type: ignore[func-returns-value]
    sink = store(sqlite_url, [traced(numbered(n, 1000)) for n in range(20)])
    assert (sink.sent, stored) == (20, [4] * 5)
