"""Tries a database's table: it exists as it should, and accepts a row, which is rolled back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from capture_agent.config import SqlTarget
from capture_agent.doctor import advice
from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.doctor.receivers import said
from capture_agent.events import message_event, parse_place
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.database import db_command, parse_url
from capture_agent.sinks.sql.sql_sink import SqlSink

MESSAGE = (
    b"OPTIONS sip:doctor@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKdoctor\r\n"
    b"From: <sip:doctor@192.0.2.2>;tag=1\r\nTo: <sip:doctor@192.0.2.1>\r\n"
    b"Call-ID: capture-agent-doctor\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
HINT = ": run `"  # how a SinkError gives advice


def try_table(target: SqlTarget, tables: tuple[str, ...]) -> Iterator[Finding]:
    here, there = parse_place("udp:192.0.2.2:5060"), parse_place("udp:192.0.2.1:5060")
    row = message_event(MESSAGE, here, there, time.time_ns())
    sink: SqlSink | None = None
    if_it_fails = advice.DATABASE
    try:
        sink = SqlSink(target, tables)
        for name, problem in sink.table_problems():
            to_do = f"`{db_command('upgrade', parse_url(target.url), name)}`" if problem.mended else advice.COLUMN
            if problem.extra:
                to_do = if_it_fails = advice.EXTRA_COLUMN
            yield warning(f"table {name}: {problem}", to_do, check="table")
        absent, unsafe = sink.rehearse(row)
    except SinkError as error:
        found, hint, command = said(error, sink).partition(HINT)
        yield broken(found, f"run `{command}" if hint else if_it_fails, check="table")
        return
    finally:
        if sink is not None:
            sink.close()
    for name in absent:
        yield warning(
            f"table {name}, which a rule names, cannot be used: its messages are not stored",
            f"`capture-agent db create --table {name}`",
            check="table",
        )
    for name in unsafe:
        yield warning(
            f"table {name} has no transactions: it was not tried, and writing to it is slow",
            f"`ALTER TABLE {name} ENGINE=InnoDB`",
            check="table",
        )
    if target.table not in unsafe:
        yield ok(f"table {target.table} takes rows (one was inserted and rolled back)", check="table")
