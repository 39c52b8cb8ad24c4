"""An agent with groups, as users run it: collectors die and come back, the configuration changes, a replay fails over."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from cli_samples import capture_agent
from faults.peers import Read, nobody
from sink_samples import eventually, numbered

from hep import StreamDecoder

pytestmark = pytest.mark.once


class Running:
    """`capture-agent run` with a listener for duplicates and collectors over TCP."""

    def __init__(self, folder: Path, text: str) -> None:
        self.port = nobody(socket.SOCK_DGRAM)
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
    ports = [nobody(), nobody()]
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
            agent.write(group.replace("failover", "mirror"))
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
    ports = [nobody(), nobody()]
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
    ports = [nobody(), nobody()]
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
    file.write_text(RULES.format(nobody(), nobody()))
    ended = capture_agent("replay", "pcaps/calls.pcap", "--config", file)
    assert ended.status == 1
    assert "connection refused" in ended.err
