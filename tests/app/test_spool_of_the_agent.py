"""An agent with a spool: a stop, a kill and a reload while the collector is down lose nothing."""

from __future__ import annotations

import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.collectors import Collector
from faults.peers import Read
from free_ports import free_port
from sink_samples import eventually, numbered

from hep import StreamDecoder

pytestmark = pytest.mark.once


class Running:
    """`capture-agent run` with a listener for duplicates, a HEP collector over TCP and a spool."""

    def __init__(self, folder: Path, collector: int, extra: str = "") -> None:
        self.port = free_port()
        self.file = folder / "agent.toml"
        self.file.write_text(
            f'[capture]\nlisten = ["sip:127.0.0.1:{self.port}"]\n'
            f'[[hep]]\nuri = "hep+tcp:127.0.0.1:{collector}"\n'
            f'[spool]\ndirectory = "{folder}/spool"\n[control]\nsocket = ""\n'
            f"[queue]\ndrain_seconds = 0.3\n{extra}"
        )
        self.error = folder / "stderr"
        with self.error.open("a") as error:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "capture_agent", "run", "--config", str(self.file)], stderr=error
            )
        eventually(self.listens, 20)

    def listens(self) -> bool:
        inodes = Path("/proc/net/udp").read_text()
        return f"0100007F:{self.port:04X}" in inodes

    def feed(self, first: int, count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for n in range(first, first + count):
                sender.sendto(numbered(n), ("127.0.0.1", self.port))
                if n % 50 == 49:
                    time.sleep(0.01)

    def end(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


def stored(folder: Path) -> int:
    files = sorted((folder / "spool").glob("*.spool"))
    if not files:
        return 0
    database = sqlite3.connect(files[0])
    try:
        (found,) = database.execute("SELECT coalesce(sum(messages - done), 0) FROM batches").fetchone()
        return int(found)
    except sqlite3.OperationalError:  # it has just been made
        return 0
    finally:
        database.close()


def received(peer: Read) -> list[bytes]:
    return [packet.payload or b"" for stream in peer.streams for packet in StreamDecoder().feed(bytes(stream))]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_collector_that_is_down_until_the_next_start(tmp_path: Path, how: int) -> None:
    collector = free_port()
    agent = Running(tmp_path, collector)
    agent.feed(0, 1000)
    if how == signal.SIGKILL:
        eventually(lambda: stored(tmp_path) == 1000, 20)
    agent.end(how)
    assert stored(tmp_path) == 1000
    assert oct((tmp_path / "spool").stat().st_mode & 0o777) == "0o700"
    with Read(collector) as peer:
        agent = Running(tmp_path, collector)
        agent.feed(1000, 100)
        eventually(lambda: len(received(peer)) == 1100, 30)
        agent.end()
        assert received(peer) == [numbered(n) for n in range(1100)]
    books = agent.error.read_text()
    assert f"hep+tcp:127.0.0.1:{collector}: 1100 seen, 1100 sent, 0 waiting" in books


def test_a_reload_keeps_the_spool(tmp_path: Path) -> None:
    collector = free_port()
    agent = Running(tmp_path, collector)
    agent.feed(0, 300)
    eventually(lambda: stored(tmp_path) == 300, 20)
    agent.file.write_text(agent.file.read_text().replace("[control]", "mib = 5\n[control]"))
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: "is reloaded" in agent.error.read_text())
    agent.feed(300, 100)
    with Read(collector) as peer:
        eventually(lambda: len(received(peer)) == 400, 60)
        agent.end()
        assert received(peer) == [numbered(n) for n in range(400)]


def test_a_sink_without_a_spool_and_one_with_its_own_limits(tmp_path: Path) -> None:
    """Three collectors are down: each has what `spool` of its sink says, also after a reload."""
    ports = [free_port() for _ in range(3)]
    others = "".join(
        f'[[hep]]\nuri = "hep+tcp:127.0.0.1:{port}"\nspool = {{ {spool} }}\n'
        for port, spool in zip(ports[1:], ("on = false", "max_age_hours = 24"), strict=True)
    )
    agent = Running(tmp_path, ports[0], others)
    agent.feed(0, 200)
    files = tmp_path / "spool"
    eventually(lambda: stored(tmp_path) == 200, 20)
    assert len(list(files.glob("*.spool"))) == 2
    agent.file.write_text(agent.file.read_text().replace("max_age_hours = 24", "max_age_hours = 0.00001"))
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: "is reloaded" in agent.error.read_text())
    time.sleep(0.1)
    agent.feed(200, 1)
    name = f"hep+tcp:127.0.0.1:{ports[2]}"
    agent.end()
    books = [line for line in agent.error.read_text().splitlines() if line.startswith("hep+tcp:") and "seen" in line]
    assert len(books) == 3
    assert any(line.startswith(name) and "expired" in line for line in books), books
    assert any(f":{ports[1]}:" in line and "201 lost (unreachable 201)" in line for line in books), books
    assert any(f":{ports[0]}:" in line and "201 waiting" in line for line in books), books


def books_of(agent: Running) -> tuple[int, ...]:
    """Seen, sent and waiting of the sink, as its last run has printed them; nothing else."""
    (numbers,) = re.findall(
        r"^hep\+tcp:\S+: (\d+) seen, (\d+) sent, (\d+) waiting$", agent.error.read_text(), re.MULTILINE
    )
    return tuple(map(int, numbers))


def settled(collector: Collector) -> bool:
    """Whether it has read everything that was on its way."""
    before = collector.bytes_read
    time.sleep(0.2)
    return collector.bytes_read == before


def test_killed_at_any_moment_until_everything_is_sent(tmp_path: Path) -> None:
    """Each run stores more while the collector is down, and is killed while the spool is drained."""
    dice, each, rounds = random.Random(15), 1500, 3
    collector = Collector(tmp_path / "read", free_port(), slowly=1 << 16)
    for number in range(rounds):
        agent = Running(tmp_path, collector.port)
        before = stored(tmp_path)
        agent.feed(number * each, each)
        eventually(lambda before=before: stored(tmp_path) == before + each, 30)
        collector.start()
        time.sleep(dice.random() * 3)
        agent.end(signal.SIGKILL)
        eventually(lambda: settled(collector), 30)
        collector.kill()
    left = stored(tmp_path)
    with collector:
        agent = Running(tmp_path, collector.port)
        eventually(lambda: stored(tmp_path) == 0, 60)
        agent.end()
    assert books_of(agent) == (left, left, 0)
    end = -1
    for stream in collector.streams():
        assert stream == list(range(stream[0], stream[-1] + 1))
        assert stream[0] <= end + 1, "messages are missing"
        end = max(end, stream[-1])
    assert end == rounds * each - 1


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_the_last_writes_are_lost_with_the_power(tmp_path: Path, part: float) -> None:
    """What had reached the disk is sent first, then what comes; the rest is gone, and in nobody's books."""
    collector = free_port()
    agent = Running(tmp_path, collector)
    agent.feed(0, 2000)
    eventually(lambda: stored(tmp_path) == 2000, 30)
    agent.end(signal.SIGKILL)
    (log,) = (tmp_path / "spool").glob("*.spool-wal")
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(int(size * part))
    for index in (tmp_path / "spool").glob("*.spool-shm"):
        index.unlink()
    with Read(collector) as peer:
        agent = Running(tmp_path, collector)
        agent.feed(2000, 100)
        eventually(lambda: received(peer) and received(peer)[-1] == numbered(2099), 30)
        agent.end()
        found = len(received(peer)) - 100
        assert 0 < found < 2000
        assert received(peer) == [numbered(n) for n in [*range(found), *range(2000, 2100)]]
    assert books_of(agent) == (found + 100, found + 100, 0)
