"""Call-IDs of every kind, in databases of every encoding and collation: stored, listed separately and found again."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from sink_samples import INVITE, RINGING, captured, new_database, traced
from sqlalchemy import Engine, event, text
from table_samples import stored_messages

from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import listing
from capture_agent.sinks.sql.database import make_engine, parse_url
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from capture_agent.sip.headers import text as header_text

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"

# A server, and what its database, or the table in it, is made with.
KINDS = {
    "sqlite": ("", ""),
    "postgresql": ("postgresql", ""),
    "postgresql SQL_ASCII": ("postgresql", "ENCODING 'SQL_ASCII' TEMPLATE template0"),
    "postgresql LATIN1": ("postgresql", "ENCODING 'LATIN1' TEMPLATE template0"),
    "mariadb": ("mariadb", ""),
    **{
        f"mariadb {collation}": ("mariadb", f"CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}")
        for collation in (
            "utf8mb4_general_ci",
            "utf8mb4_unicode_ci",
            "utf8mb3_general_ci",
            "latin1_swedish_ci",
            "latin1_german1_ci",
            "ascii_general_ci",
        )
    },
}


def execute(url: str, statement: str) -> None:
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> SqlTarget:
    server, options = KINDS[request.param]
    if not server:
        url = f"sqlite:///{tmp_path}/trace.db"
    else:
        url = new_database(request.getfixturevalue(server), options if server == "postgresql" else "")
    create_tables(url)
    if server == "mariadb" and options:
        execute(url, f"ALTER TABLE sip_trace CONVERT TO {options}")
    return SqlTarget(url)


def store(target: SqlTarget, *messages: bytes) -> SqlSink:
    sink = SqlSink(target)
    sink.send([traced(message) for message in messages])
    sink.close()
    return sink


LONG = b"L" * 299
CALL_IDS = [
    *(b"AbC@x", b"abc@x", b"ABC@X"),
    *("straße@x".encode(), b"strasse@x"),
    *("resumé@x".encode(), "resume\u0301@x".encode(), b"resume@x", "résumé@x".encode("latin-1")),
    *("emoji😀@x".encode(), "emoji😁@x".encode(), "日本@x".encode(), "日本".encode("utf-16-be") + b"@x"),
    *(LONG + b"-1", LONG + b"-2", b"L" * 254, b"L" * 255, b"L" * 256, b"l" * 256),
    *("é".encode() * 254 + b"-1", "é".encode() * 254 + b"-2", b"\xff" * 100 + b"-1", b"\xff" * 100 + b"-2"),
    *(b"bin\xff\xfe@x", b"bin\xff@x", rb"\xff@x", rb"back\slash@x", b"tab\x1b[2J@x", b"\x80@x"),
    *(b"100%@x", b"100_@x", b"100a@x", b"' OR 1 = 1 --"),
]


def test_every_call_id_is_a_call_of_its_own_and_is_found(target: SqlTarget) -> None:
    messages = [part.replace(b"call-1", call_id) for call_id in CALL_IDS for part in (INVITE, RINGING)]
    assert store(target, *messages).sent == len(messages)
    calls = listing(target).calls
    assert Counter(header_text(call.call_id) for call in calls) == Counter(
        call_id.decode("utf-8", "backslashreplace") for call_id in CALL_IDS
    )
    assert {call.messages for call in calls} == {2}
    for call_id in CALL_IDS:
        for shown in {call_id.decode("utf-8", "backslashreplace"), call_id.decode("utf-8", "replace")}:
            found = stored_messages(target, shown)
            expected = {one for one in CALL_IDS if shown == one.decode("utf-8", "backslashreplace")} or {
                one for one in CALL_IDS if shown == one.decode("utf-8", "replace")
            }
            assert {message.message for message in found} == {
                part.replace(b"call-1", one) for one in expected for part in (INVITE, RINGING)
            }, shown


def test_blanks_at_the_end_of_a_stored_call_id(target: SqlTarget) -> None:
    """Padding collations treat these as equal; Kamailio's parser removes blanks, other writers may not."""
    store(target, INVITE)
    execute(target.url, "UPDATE sip_trace SET callid = 'call-1 '")
    store(target, INVITE.replace(b"alice", b"carol"))
    assert {(header_text(call.call_id), call.from_user) for call in listing(target).calls} == {
        ("call-1 ", "alice"),
        ("call-1", "carol"),
    }
    assert [b"carol" in message.message for message in stored_messages(target, "call-1")] == [True]


@pytest.mark.parametrize("name", ["callid_long", "pg_sql_ascii", "mysql_case.case"])
def test_captures_of_odd_call_ids(target: SqlTarget, name: str) -> None:
    sink = SqlSink(target)
    messages = captured(INPUTS / f"{name}.pcap")
    sink.send(messages)
    sink.close()
    want = Counter(message.message.sip.call_id for message in messages)
    assert sink.sent == len(messages)
    assert Counter({header_text(call.call_id): call.messages for call in listing(target).calls}) == Counter(
        {(call_id or b"").decode("utf-8", "backslashreplace"): count for call_id, count in want.items()}
    )
    for call_id, count in want.items():
        assert call_id is not None
        assert len(stored_messages(target, call_id.decode("utf-8", "replace"))) == count


def test_a_tag_that_its_column_cannot_hold_is_escaped(mariadb_url: str) -> None:
    create_tables(mariadb_url)
    execute(mariadb_url, "ALTER TABLE sip_trace MODIFY fromtag VARCHAR(128) CHARACTER SET utf8mb3 NOT NULL DEFAULT ''")
    sink = store(SqlTarget(mariadb_url), INVITE.replace(b"from-1", "from-😀".encode()))
    [message] = stored_messages(SqlTarget(mariadb_url), "call-1")
    assert (sink.sent, message.from_tag) == (1, r"from-\U0001f600")


def test_what_kamailio_has_stored_as_bytes(mariadb_url: str) -> None:
    """Over a latin1 connection, into latin1 columns: every byte unchanged."""
    create_tables(mariadb_url)
    execute(mariadb_url, "ALTER TABLE sip_trace CONVERT TO CHARACTER SET latin1")
    for call_id in ("straße@x".encode(), b"stra\xdfe@x", b"strasse@x"):
        store(SqlTarget(mariadb_url), INVITE.replace(b"call-1", call_id))
        number = "(SELECT MAX(id) FROM sip_trace AS every)"
        execute(mariadb_url, f"UPDATE sip_trace SET callid = x'{call_id.hex()}' WHERE id = {number}")
    assert sorted(header_text(call.call_id) for call in listing(SqlTarget(mariadb_url)).calls) == [
        r"stra\xdfe@x",
        "strasse@x",
        "straße@x",
    ]
    for call_id in (r"stra\xdfe@x", "stra\ufffde@x", "strasse@x", "straße@x"):
        assert len(stored_messages(SqlTarget(mariadb_url), call_id)) == 1


def test_new_tables_compare_bytes(mariadb: str) -> None:
    url = new_database(mariadb, "CHARACTER SET latin1")
    create_tables(url)
    engine = make_engine(parse_url(url))
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
                " AND table_name = 'sip_trace' AND data_type = 'varchar'"
            )
        )
        assert found.scalars().all() == ["utf8mb4_bin"]
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "mariadb latin1_swedish_ci"])
def test_call_ids_are_looked_up_by_their_index(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    server, options = KINDS[kind]
    url = new_database(request.getfixturevalue(server)) if server else f"sqlite:///{tmp_path}/trace.db"
    create_tables(url)
    if options:
        execute(url, f"ALTER TABLE sip_trace CONVERT TO {options}")
    store(SqlTarget(url), *(INVITE.replace(b"call-1", b"call-%d" % n) for n in range(3000)))
    statements: list[tuple[str, object]] = []

    def note(connection: object, cursor: object, statement: str, values: object, *_: object) -> None:
        if "FROM sip_trace" in statement and "callid IN" in statement:
            statements.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert len(stored_messages(SqlTarget(url), "call-1")) == 1
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    engine = make_engine(parse_url(url))
    explain = "EXPLAIN QUERY PLAN " if kind == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        if server == "postgresql":
            connection.exec_driver_sql("ANALYZE sip_trace")
        for statement, values in statements:
            plan = connection.exec_driver_sql(explain + statement, values).all()  # type: ignore[arg-type]
            assert "callid_idx" in str(plan)
    engine.dispose()
    assert statements


def test_a_job_that_deletes_meanwhile(database: str) -> None:
    """Each listing is a snapshot: complete calls or none, and no error."""
    create_tables(database)
    target = SqlTarget(database)
    if target.url.startswith("sqlite"):
        execute(target.url, "PRAGMA journal_mode=WAL")
    for n in range(20):
        store(
            target, *(part.replace(b"call-1", b"call-%d-%d" % (n, m)) for m in range(50) for part in (INVITE, RINGING))
        )
    stop = threading.Event()
    failed: list[BaseException] = []

    def delete() -> None:
        try:
            for row in range(1, 2000, 40):
                execute(target.url, f"DELETE FROM sip_trace WHERE id < {row}")
        except BaseException as error:
            failed.append(error)
        finally:
            stop.set()

    job = threading.Thread(target=delete)
    job.start()
    seen = set()
    while not stop.is_set():
        calls = listing(target).calls
        seen.add(len(calls))
        assert {call.messages for call in calls[1:]} <= {2}
    job.join()
    assert failed == []
    assert listing(target).calls
