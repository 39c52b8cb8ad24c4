"""Databases that end connections, restart, do not answer, refuse rows: nothing is lost, and nothing is stored twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.databases import KINDS, SERVERS, CuttingProxy, Database, can_mount, small_disk
from sink_samples import INVITE, batch_of, eventually, numbered, traced
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from capture_agent.config.targets import SqlTarget
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.sink import handled
from capture_agent.sinks.sql import dividing
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.deadlines import connect_arguments
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

on_all = pytest.mark.parametrize("faulty", KINDS, indirect=True)
on_servers = pytest.mark.parametrize("faulty", SERVERS, indirect=True)
on_sqlite = pytest.mark.parametrize("faulty", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("faulty", ["mariadb"], indirect=True)
on_postgresql = pytest.mark.parametrize("faulty", ["postgresql"], indirect=True)


@contextmanager
def sink_to(database: Database, url: str = "") -> Iterator[SqlSink]:
    create_tables(database.url)
    sink = SqlSink(SqlTarget(url or database.url))
    sink.open()
    try:
        yield sink
    finally:
        sink.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture_agent.sinks.sql.deadlines.CONNECT_SECONDS", 2)
    monkeypatch.setattr("capture_agent.sinks.sql.deadlines.BUSY_SECONDS", 1)
    monkeypatch.setattr("capture_agent.sinks.sql.sql_sink.WRITE_SECONDS", 1)


def names(*numbers: int) -> list[str]:
    return [f"call-{n}" for n in numbers]


@on_servers
def test_an_ended_connection_costs_nothing(faulty: Database, caplog: pytest.LogCaptureFixture) -> None:
    with sink_to(faulty) as sink:
        sink.send(batch_of(2))
        assert faulty.end_connections() == 1
        sink.send(batch_of(3, first=2))
        assert (sink.sent, handled(sink), faulty.rows()) == (5, 5, names(*range(5)))
    assert caplog.records == []


@on_servers
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_server_that_goes_away_is_waited_for(faulty: Database, how: str) -> None:
    assert faulty.server is not None
    with sink_to(faulty) as sink:
        outbox = Outbox(sink, first_delay=0.05)
        outbox.put(batch_of(50))
        eventually(lambda: sink.sent == 50)
        faulty.server.kill() if how == "kill" else faulty.server.stop()
        outbox.put(batch_of(50, first=50))
        eventually(lambda: outbox.down() is not None)
        faulty.server.start()
        outbox.put(batch_of(10, first=100))
        eventually(lambda: sink.sent == 110, 60)
        outbox.close(30)
        assert outbox.ledger().lost == {}
        # PostgreSQL runs without fsync here; a killed process is not a power cut.
        assert faulty.rows() == names(*range(110))


@on_servers
def test_a_stopped_server_is_noticed(faulty: Database, impatient: None) -> None:
    assert faulty.server is not None
    with sink_to(faulty) as sink:
        sink.send(batch_of(2))
        faulty.server.freeze()
        with pytest.raises(SinkError) as caught:
            sink.send(batch_of(3, first=2))
        with pytest.raises(SinkError):
            sink.send(batch_of(3, first=2))
        assert str(caught.value).startswith(sink.name + ": ")
        assert (sink.sent, handled(sink)) == (2, 2)
        faulty.server.thaw()
        sink.send(batch_of(3, first=2))
        assert (sink.sent, faulty.rows()) == (5, names(*range(5)))


@on_servers
def test_a_replay_into_a_stopped_server_ends(faulty: Database, impatient: None) -> None:
    assert faulty.server is not None
    with sink_to(faulty) as sink:
        faulty.server.freeze()
        direct = Direct(sink)
        direct.put(batch_of(3))
        direct.close()
        faulty.server.thaw()
        assert direct.failure is not None
        assert direct.ledger().lost == {"unreachable": 3}


@on_servers
def test_making_tables_on_a_stopped_server_ends(faulty: Database, impatient: None) -> None:
    assert faulty.server is not None
    faulty.server.freeze()
    with pytest.raises(SinkError, match=r"(?i)time|no answer"):
        create_tables(faulty.url)


@on_all
def test_a_locked_table_is_waited_for(faulty: Database, impatient: None) -> None:
    with sink_to(faulty) as sink:
        sink.send(batch_of(1))
        with faulty.locked():
            for _ in range(2):
                with pytest.raises(SinkError):
                    sink.send(batch_of(20, first=1))
        assert handled(sink) == 1
        sink.send(batch_of(20, first=1))
        assert (sink.sent, faulty.rows()) == (21, names(*range(21)))


def deliver(sink: SqlSink, batch: list[TracedMessage]) -> None:
    """Like an outbox: a busy server may take a while to end the transaction of a broken connection."""
    before = handled(sink)
    for _ in range(50):
        try:
            sink.send(batch[handled(sink) - before :])
            return
        except SinkError:
            time.sleep(0.2)
    raise AssertionError("the sink stays down")


@on_servers
@pytest.mark.parametrize("after", [True, False], ids=["stored", "not stored"])
@pytest.mark.parametrize("cuts", [1, 2])
def test_a_commit_without_an_answer_stores_once(
    faulty: Database, after: bool, cuts: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert faulty.server is not None
    port = faulty.server.installed.port
    proxy = CuttingProxy(port, after, cuts)
    with sink_to(faulty, faulty.url.replace(f":{port}/", f":{proxy.port}/")) as sink:
        for first in range(0, 40, 20):
            batch = batch_of(20, first)
            batch[3] = traced(INVITE.replace(b"From:", b"X-From:"))
            deliver(sink, batch)
        stored = [n for n in range(40) if n not in (3, 23)]
        assert (sink.sent, sink.rejected, faulty.rows()) == (38, {"headers": 2}, names(*stored))
    proxy.close()
    assert caplog.records == []


@on_mariadb
def test_a_commit_that_is_interrupted_after_it_has_stored(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by KILL: error 1317, on a connection that may still answer."""
    commit, killed = Connection.commit, [False]

    def interrupted(self: Connection) -> None:
        commit(self)
        if not killed[0]:
            killed[0] = True
            error = self.dialect.loaded_dbapi.OperationalError(1317, "Query execution was interrupted")
            raise OperationalError("COMMIT", None, error)

    with sink_to(faulty) as sink:
        sink.send(batch_of(1))
        monkeypatch.setattr(Connection, "commit", interrupted)
        deliver(sink, batch_of(20, first=1))
        assert (sink.sent, faulty.rows()) == (21, names(*range(21)))
    assert killed[0]


@on_mariadb
@pytest.mark.parametrize("after", [True, False], ids=["stored", "not stored"])
def test_an_insert_without_an_answer_stores_once_without_transactions(faulty: Database, after: bool) -> None:
    assert faulty.server is not None
    port = faulty.server.installed.port
    create_tables(faulty.url)
    faulty.execute("ALTER TABLE sip_trace ENGINE=MyISAM")
    proxy = CuttingProxy(port, after, 1, "INSERT INTO")
    with sink_to(faulty, faulty.url.replace(f":{port}/", f":{proxy.port}/")) as sink:
        sink.send(batch_of(5))
        sink.send(batch_of(5))
        assert (sink.sent, faulty.rows()) == (10, names(*range(5), *range(5)))
    proxy.close()


CAPTURE = Path(__file__).parents[2] / "pcaps" / "calls.pcap"


@on_servers
@pytest.mark.parametrize("command", ["replay", "calls", "flow", "db create"])
def test_commands_end_when_a_server_is_stopped(faulty: Database, command: str) -> None:
    """The URL's own timeouts count."""
    assert faulty.server is not None
    create_tables(faulty.url)
    faulty.server.freeze()
    extra = {"replay": [str(CAPTURE)], "flow": ["call-1"]}.get(command, [])
    url = f"{faulty.url}?connect_timeout=1&read_timeout=1"
    ended = subprocess.run(
        [sys.executable, "-m", "capture_agent", *command.split(), *extra, "--db", url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    faulty.server.thaw()
    assert ended.returncode == 1
    assert "127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("sqlite:///x?timeout=3", {"check_same_thread": False}),
        ("mysql://h/d", {"connect_timeout": 5, "read_timeout": 7, "write_timeout": 7}),
        ("mariadb://h/d?read_timeout=3&connect_timeout=1", {"write_timeout": 7}),
        ("postgresql://h/d?connect_timeout=1&keepalives_idle=1&tcp_user_timeout=0", {"client_encoding": "utf8", "keepalives_interval": 10, "keepalives_count": 3}),
    ],
)  # fmt: skip
def test_options_of_the_url_come_first(url: str, want: dict[str, object]) -> None:
    assert connect_arguments(parse_url(url), 7) == want


def test_a_wrong_option_is_not_repeated() -> None:
    for url in ("postgresql://h/d?read_timeout=hidden", "mysql://h/d?read_timeout=hidden"):
        with pytest.raises(SinkError, match="an option of the URL has a wrong value$"):
            SqlSink(SqlTarget(url)).open()


# --- rows that are refused


def refused_at(batch: list[TracedMessage], *numbers: int) -> list[str]:
    return names(*(n for n in range(len(batch)) if n not in numbers))


@on_all
@pytest.mark.parametrize("how", ["check", "trigger"])
def test_a_refused_row_costs_no_other(faulty: Database, how: str, caplog: pytest.LogCaptureFixture) -> None:
    with sink_to(faulty) as sink:
        (faulty.refuse_by_check if how == "check" else faulty.refuse_by_trigger)("call-7")
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected, faulty.rows()) == (39, {"refused": 1}, refused_at(batch_of(40), 7))
    [line] = [record.message for record in caplog.records]
    assert line.startswith(f"{sink.name}: refused a message: ")
    assert "call-7" not in line


def raising(database: Database, number: str, words: str = "no") -> str:
    if database.kind == "postgresql":
        return f"RAISE EXCEPTION '{words}' USING ERRCODE = '{number}';"
    return f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{words}';"


SAID_TO_BE_NO_REFUSAL = {
    "postgresql": ["40001", "57014", "53100", "55P03", "08006", "25006", "57P01", "XX001"],
    "mariadb": ["1205", "1213", "1290", "1317", "1021", "1114", "1047", "1158", "1927", "1969", "2006", "2013"],
}
on_each_number = pytest.mark.parametrize(
    ("faulty", "number"),
    [(kind, number) for kind, numbers in SAID_TO_BE_NO_REFUSAL.items() for number in numbers],
    indirect=["faulty"],
)


@on_each_number
def test_a_trigger_that_calls_its_refusal_an_outage_costs_no_other(faulty: Database, number: str) -> None:
    """One `send`, as in a replay."""
    bad = [0, 1, 7, *range(12, 24), 39]
    callids = ", ".join(f"'call-{n}'" for n in bad)
    with sink_to(faulty) as sink:
        faulty.trigger(f"IF NEW.callid IN ({callids}) THEN {raising(faulty, number)} END IF;")
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected) == (40 - len(bad), {"refused": len(bad)})
        assert faulty.rows() == refused_at(batch_of(40), *bad)


@on_servers
def test_a_lone_row_of_which_a_trigger_says_an_outage_does_not_block(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        sink.send(batch_of(3))
        number = SAID_TO_BE_NO_REFUSAL[faulty.kind][0]
        faulty.trigger(f"IF NEW.callid = 'call-7' THEN {raising(faulty, number)} END IF;")
        sink.send(batch_of(1, first=7))
        assert (sink.sent, sink.rejected, faulty.rows()) == (3, {"refused": 1}, names(0, 1, 2))


@on_mariadb
@pytest.mark.parametrize("number", ["1205", "1213", "1317"])
def test_a_trigger_that_says_an_outage_on_a_table_without_transactions(faulty: Database, number: str) -> None:
    with sink_to(faulty) as sink:
        faulty.execute("ALTER TABLE sip_trace ENGINE=MyISAM")
        faulty.trigger(f"IF NEW.callid = 'call-7' THEN {raising(faulty, number)} END IF;")
        sink.close()
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected, faulty.rows()) == (39, {"refused": 1}, refused_at(batch_of(40), 7))


@on_servers
@pytest.mark.parametrize("rows", [0, 5])
def test_a_trigger_that_says_an_outage_for_every_row_is_waited_for(faulty: Database, rows: int) -> None:
    number = {"postgresql": "25006", "mariadb": "1290"}[faulty.kind]
    with sink_to(faulty) as sink:
        sink.send(batch_of(rows))
        faulty.trigger(raising(faulty, number, "closed for maintenance"))
        for _ in range(dividing.TRIES + 2):
            with pytest.raises(SinkError, match="closed for maintenance"):
                sink.send(batch_of(40, first=rows))
        assert (sink.sent, sink.rejected) == (rows, {})
        faulty.execute("DROP TRIGGER refuse" + (" ON sip_trace" if faulty.kind == "postgresql" else ""))
        sink.send(batch_of(40, first=rows))
        assert (sink.sent, sink.rejected, faulty.rows()) == (rows + 40, {}, names(*range(rows + 40)))


@on_sqlite
@pytest.mark.parametrize("how", ["ABORT", "FAIL", "ROLLBACK"])
def test_each_way_to_refuse_a_row_in_sqlite_costs_no_other(faulty: Database, how: str) -> None:
    with sink_to(faulty) as sink:
        faulty.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON sip_trace WHEN NEW.callid IN ('call-7', 'call-39')"
            f" BEGIN SELECT RAISE({how}, 'database is locked'); END"
        )
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected, faulty.rows()) == (38, {"refused": 2}, refused_at(batch_of(40), 7, 39))


SKIPPING = {
    "postgresql": "IF NEW.callid = 'call-7' THEN RETURN NULL; END IF;",
    "sqlite": "CREATE TRIGGER skip BEFORE INSERT ON sip_trace WHEN NEW.callid = 'call-7' BEGIN SELECT RAISE(IGNORE); END",
}


@pytest.mark.parametrize("faulty", SKIPPING, indirect=True)
def test_a_row_that_a_trigger_leaves_out_counts_as_sent(faulty: Database) -> None:
    """No database reports whether such a trigger has stored it elsewhere: docs/databases.md."""
    with sink_to(faulty) as sink:
        (faulty.execute if faulty.kind == "sqlite" else faulty.trigger)(SKIPPING[faulty.kind])
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected, faulty.rows()) == (40, {}, refused_at(batch_of(40), 7))


@on_postgresql
def test_rows_that_a_trigger_stores_in_partitions_count_as_sent(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        faulty.execute("CREATE TABLE part (LIKE sip_trace)")
        faulty.trigger("INSERT INTO part VALUES (NEW.*); RETURN NULL;")
        sink.send(batch_of(5))
        assert (sink.sent, faulty.rows(), faulty.rows(table="part")) == (5, [], names(*range(5)))


@on_all
def test_whether_another_row_can_be_stored_is_asked_without_a_trace(faulty: Database) -> None:
    [long] = batch_of(1, size=20_000)
    with sink_to(faulty) as sink:
        assert not sink.takes_another(long), "there is none"
        sink.send(batch_of(2))
        assert sink.takes_another(long)
        assert faulty.rows() == names(0, 1)
        sink.send(batch_of(2, first=2))
        assert faulty.rows() == names(0, 1, 2, 3)


@on_servers
def test_a_row_without_a_partition(faulty: Database, caplog: pytest.LogCaptureFixture) -> None:
    with sink_to(faulty) as sink:
        faulty.partition("2099-01-01")
        batch = batch_of(40)
        batch[0] = traced(numbered(0), time_ns=4_102_531_200 * 10**9)
        sink.send(batch)
        assert (sink.sent, sink.rejected) == (39, {"refused": 1})
    assert "partition" in caplog.text


@on_all
def test_a_batch_of_refused_rows_costs_in_proportion(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = 0
    real = SqlSink.store

    def counted(self: SqlSink, part: list[TracedMessage]) -> object:
        nonlocal stored
        stored += 1
        return real(self, part)

    monkeypatch.setattr(SqlSink, "store", counted)
    with sink_to(faulty) as sink:
        faulty.refuse_by_trigger("call-%")
        sink.send(batch_of(200))
        assert (sink.sent, sink.rejected, faulty.rows()) == (0, {"refused": 200}, [])
    assert stored <= 400


@on_all
def test_lines_about_refused_rows_are_few_and_say_nothing_of_them(
    faulty: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with sink_to(faulty) as sink:
        faulty.refuse_by_trigger("secretcall%")
        sink.send([traced(numbered(n).replace(b"call-", b"secretcall")) for n in range(50)])
    [line] = [record.message for record in caplog.records]
    assert "we do not store this" in line
    assert "secret" not in line


@on_servers
def test_a_row_that_ends_the_connection_is_set_aside(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        faulty.end_connection_at("call-7")
        sink.send(batch_of(40))
        assert (sink.sent, sink.rejected, faulty.rows()) == (39, {"refused": 1}, refused_at(batch_of(40), 7))


@on_servers
def test_a_lone_row_that_ends_the_connection_does_not_block(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        faulty.end_connection_at("call-7")
        outbox = Outbox(sink, first_delay=0.01)
        outbox.put(batch_of(1, first=7))
        outbox.put(batch_of(3))
        eventually(lambda: sink.sent == 3, 30)
        assert sink.rejected == {"refused": 1}
        outbox.close(10)


@on_servers
def test_connections_that_end_for_every_row_are_an_outage(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        faulty.trigger(
            "PERFORM pg_terminate_backend(pg_backend_pid());"
            if faulty.kind == "postgresql"
            else "KILL CONNECTION_ID();"
        )
        for _ in range(dividing.TRIES - 1):
            with pytest.raises(SinkError):
                sink.send(batch_of(30))
        assert handled(sink) == 0
        faulty.execute("DROP TRIGGER refuse" + (" ON sip_trace" if faulty.kind == "postgresql" else ""))
        sink.send(batch_of(30))
        assert (sink.sent, faulty.rows()) == (30, names(*range(30)))


@on_all
def test_a_table_that_is_not_there_for_a_time(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        sink.send(batch_of(1))
        faulty.execute("ALTER TABLE sip_trace RENAME TO elsewhere")
        for _ in range(5):
            with pytest.raises(SinkError, match="sip_trace does not exist"):
                sink.send(batch_of(3, first=1))
        faulty.execute("ALTER TABLE elsewhere RENAME TO sip_trace")
        sink.send(batch_of(3, first=1))
        assert (sink.sent, faulty.rows()) == (4, names(0, 1, 2, 3))


@on_all
def test_a_rules_table_that_goes_away_costs_no_other(faulty: Database) -> None:
    create_tables(faulty.url, "other")
    batch = batch_of(9)
    batch[4] = traced(numbered(4), trace=Trace(table="other"))
    with sink_to(faulty) as sink:
        sink.send(batch)
        faulty.execute("DROP TABLE other")
        sink.send(batch)
        assert (sink.sent, sink.rejected) == (17, {"table": 1})


@on_postgresql
def test_a_forbidden_table_costs_no_other(faulty: Database) -> None:
    create_tables(faulty.url, "other")
    batch = batch_of(9)
    batch[4] = traced(numbered(4), trace=Trace(table="other"))
    create_tables(faulty.url)
    faulty.execute(
        "DROP ROLE IF EXISTS limited",
        "CREATE ROLE limited LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited",
        "GRANT INSERT ON sip_trace TO limited",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited",
    )
    with sink_to(faulty, faulty.url.replace("tester@", "limited@")) as sink:
        sink.send(batch)
        assert (sink.sent, sink.rejected) == (8, {"refused": 1})


@on_mariadb
def test_a_message_larger_than_a_packet(faulty: Database, caplog: pytest.LogCaptureFixture) -> None:
    faulty.execute("SET GLOBAL max_allowed_packet = 16384")
    try:
        with sink_to(faulty) as sink:
            batch = batch_of(40, size=2000)
            batch[7] = traced(numbered(7, size=40_000))
            sink.send(batch)
            assert (sink.sent, sink.rejected, faulty.rows()) == (39, {"refused": 1}, refused_at(batch, 7))
            sink.send([batch[7]])
            assert sink.rejected == {"refused": 2}
        assert "max_allowed_packet is 16384" in caplog.text
    finally:
        faulty.execute("SET GLOBAL max_allowed_packet = 16777216")


@on_mariadb
@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_a_table_without_transactions(faulty: Database, engine: str) -> None:
    users = Trace(users=("alice", "eve", "bob"))
    with sink_to(faulty) as sink:
        faulty.execute(f"ALTER TABLE sip_trace ENGINE={engine}", "ALTER TABLE sip_trace ADD CHECK (callid <> 'call-7')")
        faulty.trigger(
            "IF NEW.callid = 'call-20' AND NEW.traced_user = 'eve' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF;"
        )
        sink.close()
        batch = batch_of(40)
        batch[20] = traced(numbered(20), trace=users)
        batch[30] = traced(numbered(30), trace=users)
        sink.send(batch)
        assert (sink.sent, sink.rejected) == (38, {"refused": 2})
        wanted = [name for name in refused_at(batch, 7, 20) for _ in range(4 if name == "call-30" else 1)]
        assert faulty.rows() == wanted
        assert faulty.end_connections() == 1
        sink.send(batch_of(3, first=50))
        assert faulty.rows() == wanted + names(50, 51, 52)


@on_mariadb
def test_a_rules_table_without_transactions(faulty: Database) -> None:
    create_tables(faulty.url, "other")
    faulty.execute("ALTER TABLE other ENGINE=MyISAM", "ALTER TABLE other ADD CHECK (callid <> 'call-6')")
    batch = [traced(numbered(n), trace=Trace(table="other" if n % 2 == 0 else "")) for n in range(12)]
    with sink_to(faulty) as sink:
        sink.send(batch)
        assert (sink.sent, sink.rejected) == (11, {"refused": 1})
        assert faulty.rows(table="other") == names(0, 2, 4, 8, 10)
        assert faulty.rows() == names(1, 3, 5, 7, 9, 11)


@on_mariadb
def test_a_read_only_server_is_an_outage(faulty: Database) -> None:
    with sink_to(faulty) as sink:
        sink.send(batch_of(1))
        faulty.execute("CREATE USER IF NOT EXISTS plain@'127.0.0.1'")
        faulty.execute("GRANT SELECT, INSERT ON *.* TO plain@'127.0.0.1'", "SET GLOBAL read_only = 1")
        plain = SqlSink(SqlTarget(faulty.url.replace("tester:secret@", "plain@")))
        try:
            for _ in range(5):
                with pytest.raises(SinkError, match="read-only"):
                    plain.send(batch_of(20, first=1))
            assert handled(plain) == 0
        finally:
            faulty.execute("SET GLOBAL read_only = 0")
        plain.send(batch_of(20, first=1))
        assert faulty.rows() == names(*range(21))
        plain.close()


# --- SQLite's file


@pytest.mark.skipif(not can_mount(), reason="needs root")
@on_sqlite
def test_a_full_disk_is_waited_for(faulty: Database) -> None:
    with small_disk(faulty.path.parent / "disk") as folder:
        url = f"sqlite:///{folder}/trace.db"
        create_tables(url)
        sink = SqlSink(SqlTarget(url))
        sink.send(batch_of(1))
        filler = folder / "filler"
        filler.write_bytes(bytes(600_000))
        for _ in range(5):
            with pytest.raises(SinkError, match="full"):
                sink.send(batch_of(400, first=1, size=1000))
        stored = handled(sink)
        assert sink.rejected == {}
        filler.unlink()
        sink.send(batch_of(200, first=stored, size=1000))
        assert (sink.sent, sink.rejected) == (stored + 200, {})
        sink.close()


def fails() -> None:
    raise RuntimeError("the driver is broken")


@on_all
def test_closing_never_raises(faulty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with sink_to(faulty) as sink:
        connection = sink._opened()
        with monkeypatch.context() as broken:
            for method in ("close", "invalidate", "rollback"):
                broken.setattr(connection, method, fails, raising=True)
            sink.close()
        connection.close()
        sink.send(batch_of(2))
        assert sink.sent == 2
