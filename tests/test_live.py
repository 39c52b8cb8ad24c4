"""`capture-agent run` with real calls: SIPp on loopback and between two hosts, every message once.

The two hosts are network namespaces joined by a veth pair; the agent listens on one end of it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.peers import end_process
from free_ports import free_port

CALLS = 20
# sipp's own scenarios: INVITE, 180, 200, ACK, BYE, 200
PER_CALL = Counter({("INVITE", ""): 1, ("INVITE", "180"): 1, ("INVITE", "200"): 1, ("ACK", ""): 1, ("BYE", ""): 1,
                    ("BYE", "200"): 1})  # fmt: skip
PATIENCE = 60

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root")
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="no sipp: apt install sip-tester")
needs_ip = pytest.mark.skipif(shutil.which("ip") is None, reason="no ip: apt install iproute2")


@dataclass
class Host:
    """Where a program runs: here, or in a network namespace."""

    name: str = ""
    address: str = "127.0.0.1"

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words] if self.name else list(words)


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two namespaces and a veth pair between them."""
    mark = f"ca{os.getpid()}"
    one, other = Host(f"{mark}a", "192.0.2.1"), Host(f"{mark}b", "192.0.2.2")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", one.name)
        ip("netns", "add", other.name)
        ip("link", "add", "eth1", "netns", one.name, "type", "veth", "peer", "name", "eth1", "netns", other.name)
        for host in (one, other):
            ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth1")
            ip("-n", host.name, "link", "set", "eth1", "up")
            ip("-n", host.name, "link", "set", "lo", "up")
        yield one, other
    finally:
        for host in (one, other):
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


class Agent:
    """A running `capture-agent run`."""

    def __init__(self, host: Host, *options: str) -> None:
        self.process = subprocess.Popen(
            host.command(sys.executable, "-m", "capture_agent", "run", *options),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.ready = self.process.stderr.readline()

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit status and what it has printed."""
        self.process.send_signal(number)
        _, text = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, text

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def calls(uac: Host, uas: Host, port: int, folder: Path, family: str = "-i") -> None:
    """CALLS calls, without SIP retransmissions: a message seen twice was sent once."""
    server = subprocess.Popen(
        uas.command("sipp", "-sn", "uas", "-i", uas.address, "-p", str(port), "-nostdin", "-nr"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        client = uac.command(
            "sipp", "-sn", "uac", f"{uas.address}:{port}", "-i", uac.address, "-p", str(port + 1), "-m", str(CALLS),
            "-r", "50", "-d", "50", "-nostdin", "-nr", "-timeout", "50", "-timeout_error",
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while True:  # the server may not listen yet
            done = subprocess.run(client, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder, check=False)
            if done.returncode == 0 or time.monotonic() > deadline:
                break
        assert done.returncode == 0, done.stderr
    finally:
        end_process(server, PATIENCE)


def check_each_message_once(database: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select callid, method, status, direction, fromip, toip from sip_trace").fetchall()
    by_call: dict[str, Counter[tuple[str, str]]] = {}
    for call_id, method, status, *_ in rows:
        by_call.setdefault(call_id, Counter())[method, status] += 1
    assert len(by_call) == CALLS
    assert all(counts == PER_CALL for counts in by_call.values()), by_call
    return [(direction, source, destination) for *_, direction, source, destination in rows]


def books(text: str) -> dict[str, str]:
    return dict(re.findall(r"^capture-agent: ([^\n]+): (\d+ seen.*)$", text, re.MULTILINE))


@needs_root
@needs_sipp
def test_on_loopback(tmp_path: Path) -> None:
    port = free_port()
    url = f"sqlite:///{tmp_path}/trace.db"
    subprocess.run([sys.executable, "-m", "capture_agent", "db", "create", "--db", url], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        hep = f"hep:127.0.0.1:{collector.getsockname()[1]}"
        # Without the filter the agent would find its own HEP, too: it is none of SIP, and counted so.
        with Agent(
            Host(), "-i", "lo", "--filter", f"udp portrange {port}-{port + 1}", "--db", url, "--hep", hep
        ) as agent:
            assert "capturing on lo" in agent.ready
            calls(Host(), Host(), port, tmp_path)
            status, text = agent.stop()
        received = receive_all(collector)
    assert status == 0, text
    check_each_message_once(tmp_path / "trace.db")
    assert len(received) == CALLS * 6
    assert len(set(received)) == CALLS * 6
    assert f"messages: {CALLS * 6} seen, {CALLS * 6} traced" in text
    assert "does not balance" not in text


def receive_all(collector: socket.socket) -> list[bytes]:
    collector.settimeout(1)
    received = []
    try:
        while True:
            received.append(collector.recv(65536))
    except TimeoutError:
        return received


@needs_root
@needs_sipp
@needs_ip
def test_between_two_hosts(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    url = f"sqlite:///{tmp_path}/trace.db"
    subprocess.run([sys.executable, "-m", "capture_agent", "db", "create", "--db", url], check=True)
    with Agent(other, "-i", "eth1", "--db", url) as agent:
        assert "capturing on eth1" in agent.ready
        calls(one, other, 5060, tmp_path)
        status, text = agent.stop(signal.SIGTERM)
    assert status == 0, text
    paths = Counter(check_each_message_once(tmp_path / "trace.db"))
    # Addresses of the host that the agent runs on are the server's.
    assert paths == {
        ("in", "udp:192.0.2.1:5061", "udp:192.0.2.2:5060"): CALLS * 3,
        ("out", "udp:192.0.2.2:5060", "udp:192.0.2.1:5061"): CALLS * 3,
    }
    assert "does not balance" not in text


@needs_root
@needs_sipp
@needs_ip
def test_both_ends_of_a_wire_at_once(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    """Two interfaces: each sees every message."""
    one, other = hosts
    url = f"sqlite:///{tmp_path}/trace.db"
    subprocess.run([sys.executable, "-m", "capture_agent", "db", "create", "--db", url], check=True)
    with Agent(other, "-i", "eth1", "-i", "any", "--db", url) as agent:
        assert "capturing on eth1, any" in agent.ready
        calls(one, other, 5060, tmp_path)
        status, text = agent.stop()
    assert status == 0, text
    assert f"messages: {CALLS * 12} seen, {CALLS * 12} traced" in text
    assert "does not balance" not in text
