"""An agent with groups, as users run it: collectors die and come back, the configuration changes, a replay fails over."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from cli_samples import capture_agent
from faults.peers import Read
from free_ports import free_port
from sink_samples import eventually, numbered

from hep import StreamDecoder

pytestmark = pytest.mark.once


class Running:
    """`capture-agent run` with a listener for duplicates and collectors over TCP."""

    def __init__(self, folder: Path, text: str) -> None:
        self.port = free_port()
        self.socket = folder / "control.sock"
        self.file = folder / "agent.toml"
        self.write(text)
        self.error = folder / "stderr"
        with self.error.open("a") as error:
            command = [sys.executable, "-m", "capture_agent", "run", "--config", str(self.file)]
            self.process = subprocess.Popen(command, stderr=error)
        eventually(self.socket.exists, 20)

    def write(self, text: str) -> None:
        self.file.write_text(
            f'[capture]\nlisten = ["sip:127.0.0.1:{self.port}"]\n[control]\nsocket = "{self.socket}"\n{text}'
        )

    def feed(self, first: int, count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for n in range(first, first + count):
                sender.sendto(numbered(n), ("127.0.0.1", self.port))
                if n % 50 == 49:
                    time.sleep(0.01)

    def stats(self) -> str:
        return capture_agent("stats", "--control", self.socket).out

    def metrics(self) -> str:
        return capture_agent("stats", "--prometheus", "--control", self.socket).out

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return self.error.read_text()


def received(*peers: Read) -> list[bytes]:
    return [
        packet.payload or b"" for peer in peers for one in peer.streams for packet in StreamDecoder().feed(bytes(one))
    ]


def once(count: int) -> Counter[bytes]:
    return Counter(numbered(n) for n in range(count))


def test_failover_and_a_reload(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    members = [f"hep+tcp:127.0.0.1:{port}" for port in ports]
    group = f'[[group]]\nname = "homers"\nmode = "failover"\nback_after_seconds = 60\nmembers = {json.dumps(members)}\n'
    with Read(ports[1]) as second:
        agent = Running(tmp_path, group)
        agent.feed(0, 500)
        eventually(lambda: len(received(second)) == 500, 30)
        assert f"group homers (failover): up, active: {members[1]}" in agent.stats()
        with Read(ports[0]) as first:
            eventually(lambda: first.connections, 60)
            agent.feed(500, 100)
            eventually(lambda: len(received(second)) == 600, 30)
            metrics = agent.metrics()
            assert f'capture_agent_group_active{{group="homers",sink="{members[1]}"}} 1' in metrics
            assert f'capture_agent_group_active{{group="homers",sink="{members[0]}"}} 0' in metrics
            assert 'capture_agent_group_up{group="homers"} 1' in metrics
            agent.write(group.replace("failover", "mirror").replace("back_after_seconds = 60\n", ""))
            agent.process.send_signal(signal.SIGHUP)
            eventually(lambda: "is reloaded" in agent.error.read_text())
            agent.feed(600, 100)
            eventually(lambda: len(received(first)) == 100, 30)
            eventually(lambda: len(received(second)) == 700, 30)
            books = agent.end()
            assert Counter(received(second)) == once(700)
    assert f"{members[1]}: 700 seen, 700 sent, 0 waiting" in books
    assert "lost" not in books.partition("frames:")[2]


def test_a_stop_right_after_a_collector_has_died(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    members = [f"hep+tcp:127.0.0.1:{port}" for port in ports]
    with Read(ports[0]) as first, Read(ports[1]) as second:
        agent = Running(tmp_path, f'[[group]]\nname = "g"\nmode = "hash"\nmembers = {json.dumps(members)}\n')
        agent.feed(0, 500)
        eventually(lambda: len(received(first, second)) == 500, 30)
        first.close()
        agent.feed(500, 500)
        books = agent.end()
        found = Counter(received(first, second))
    assert set(found) == set(once(1000))
    assert "lost" not in books.partition("frames:")[2]


RULES = """
[[hep]]
uri = "hep+tcp:127.0.0.1:{0}"
name = "a"
[[hep]]
uri = "hep+tcp:127.0.0.1:{1}"
name = "b"
[[group]]
name = "pair"
mode = "failover"
members = ["a", "b"]
default = false
[[rule]]
method = "INVITE"
sinks = "pair"
"""


@pytest.mark.parametrize("up", [(0, 1), (1,)], ids=["both up", "the first is down"])
def test_a_replay_by_a_rule(up: tuple[int, ...], tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    file = tmp_path / "agent.toml"
    file.write_text(RULES.format(*ports))
    with Read(ports[up[0]]) as peer:
        ended = capture_agent("replay", "pcaps/calls.pcap", "--config", file)
        got = received(peer)
    assert ended.status == 0, ended.err
    assert got
    assert all(b"INVITE" in one for one in got)


def test_a_replay_when_all_are_down(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(RULES.format(free_port(), free_port()))
    ended = capture_agent("replay", "pcaps/calls.pcap", "--config", file)
    assert ended.status == 1
    assert "connection refused" in ended.err


def test_members_are_a_table_and_files(tmp_path: Path) -> None:
    """Until there is a table, `lines` has what the table should have: each message once, also if `shared` sends it there."""
    url = f"sqlite:///{tmp_path}/db/trace.db"
    text = (
        f'[[sql]]\nname = "table"\nurl = "{url}"\n'
        f'[[jsonl]]\nname = "lines"\nfile = "{tmp_path}/trace.jsonl"\n'
        f'[[pcap]]\nname = "packets"\nfile = "{tmp_path}/trace.pcapng"\n'
        '[[group]]\nname = "shared"\nmode = "hash"\nmembers = ["lines", "packets"]\n'
        '[[group]]\nname = "stored"\nmode = "failover"\nmembers = ["table", "lines"]\nback_after_seconds = 0\n'
        'default = false\n[[rule]]\nname = "all"\nsinks = ["shared", "stored"]\n'
    )
    agent = Running(tmp_path, text)
    agent.feed(0, 300)

    def has(sample: str) -> bool:
        return re.search(rf"^capture_agent_sink_{sample}$", agent.metrics(), re.MULTILINE) is not None

    eventually(lambda: has(r'messages_total\{outcome="sent",.*?sink="jsonl:.*?"\} 300\.0'), 30)
    (tmp_path / "db").mkdir()
    done = capture_agent("db", "create", "--db", url)
    assert done.status == 0, done.err
    eventually(lambda: has(r'up\{sink="sqlite:.*?"\} 1\.0'), 60)
    agent.feed(300, 300)
    books = agent.end()
    lines = [json.loads(line)["call_id"] for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    packets = capture_agent("decode", tmp_path / "trace.pcapng", "--format", "jsonl").out
    captured = [json.loads(line)["call_id"] for line in packets.splitlines()]
    with closing(sqlite3.connect(tmp_path / "db" / "trace.db")) as table:
        rows = [row for (row,) in table.execute("SELECT callid FROM sip_trace")]
    before, after = {f"call-{n}" for n in range(300)}, {f"call-{n}" for n in range(300, 600)}
    assert (set(rows), len(rows)) == (after, 300)
    assert len(lines) == len(set(lines))
    assert len(captured) == len(set(captured))
    assert before <= set(lines)  # in place of the table
    assert set(lines) | set(captured) == before | after
    assert not set(lines) & set(captured) & after  # the hash: one of them
    assert "does not balance" not in books
    assert not re.search(r"\d lost", books), books
