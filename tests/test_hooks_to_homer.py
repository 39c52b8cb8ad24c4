"""Hooks' decisions take effect: log lines and messages at a HEP collector, rows in a table, masked and with other addresses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from test_siptrace_vectors import receiver

import hep
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import load
from capture_agent.sinks.sql.schema import create_tables

HOOK = """
def on_message(message):
    if message.method == "OPTIONS":
        message.hlog(f"saw {message.status or message.method} from alice")
        message.drop()
    elif message.method == "REGISTER":
        message.trace("homer", users="alice", correlation_id="mine")
    elif message.method == "INVITE" and message.is_request and not message.to_tag and message.to_user == "bob":
        message.trace("table", mode="dialog", users=["a", "b"])
"""
TOML = """
[capture]
local = ["192.0.2.10"]
[hooks]
modules = ["on.py"]
[privacy]
mask = ["users:truncate", "authorization"]
[trace]
advertise = ["*=203.0.113.5:5099"]
{rule}
[[hep]]
uri = "hep:127.0.0.1:{port}"
name = "homer"
[[sql]]
url = "sqlite:///{folder}/trace.db"
name = "table"
default = false
"""
ONLY_ANSWERED = '[[rule]]\nstatus = "200"\ntrace = "dialog"\nlookback = 60\n'


@pytest.mark.parametrize(
    ("rule", "messages", "rows"),
    [
        # 59, less the two of OPTIONS; and bob's 13 in the table, a row for each user and one without.
        pytest.param("", 57, 39, id="all traced"),
        # REGISTER by the hook; by the rule the calls of bob and frank, carol's for the 200 that her CANCEL has, MESSAGE.
        pytest.param(ONLY_ANSWERED, 50, 39, id="by a rule"),
    ],
)
def test_all_of_it(tmp_path: Path, pcaps: Path, rule: str, messages: int, rows: int) -> None:
    (tmp_path / "on.py").write_text(HOOK)
    create_tables(f"sqlite:///{tmp_path}/trace.db", "sip_trace")
    with receiver() as (port, packets):
        (tmp_path / "agent.toml").write_text(TOML.format(rule=rule, port=port, folder=tmp_path))
        agent = Agent(load(tmp_path / "agent.toml"), lossless=True)
        replay(agent, [pcaps / "demo.pcap"])
        books = agent.close()
    assert books.balanced
    decoded = [hep.decode(packet) for packet in packets]
    lines = [packet for packet in decoded if packet.protocol_type == 100]
    sip = [packet for packet in decoded if packet.protocol_type == 1]
    assert [(line.payload, line.correlation_id) for line in lines] == [
        (b"saw OPTIONS from alice", b"1-14803@198.51.100.20"),
        (b"saw 200 from alice", b"1-14803@198.51.100.20"),
    ]
    assert len(sip) == messages
    assert b"sip:alice@" not in b"".join(packet.payload or b"" for packet in sip)
    assert {str(a) for p in sip for a in (p.source_address, p.destination_address)} >= {"203.0.113.5", "198.51.100.20"}
    assert "192.0.2.10" not in {str(a) for p in sip for a in (p.source_address, p.destination_address)}
    assert [p.correlation_id for p in sip].count(b"mine") == 4
    with closing(sqlite3.connect(tmp_path / "trace.db")) as connection:
        users = connection.execute("select traced_user, count(*) from sip_trace group by 1 order by 1").fetchall()
    assert users == [("", rows // 3), ("a", rows // 3), ("b", rows // 3)]
