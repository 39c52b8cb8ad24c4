"""Real agents in trouble, scraped by Debian's Prometheus: the alerts of restarts, of spools, of a collector that takes
slowly and of descriptors fire, for the agent or the sink that has the trouble, and end with it.

In the copies of the rules that are used here, a minute is 0.8 seconds.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from faults.collectors import Collector
from faults.disks import can_mount, full, small_disk
from faults.interfaces import Namespace, wires
from monitoring_files import quick
from test_live import Agent, Host, needs_ip, needs_root
from test_monitoring_live import INTERVAL, INVITE, Ask
from test_prometheus import eventually, needs_prometheus, prometheus, value

pytestmark = [
    pytest.mark.once,
    needs_root,
    needs_ip,
    needs_prometheus,
    pytest.mark.skipif(not can_mount(), reason="needs mount"),
]

SPOOLING, SLOW, RESTARTED = 9101, 9102, 9103  # where each agent answers Prometheus
AWAY, SLOWLY, HEP = 9061, 9062, 9063  # the two collectors, and a listener of the agent with the slow one
SLOW_BYTES = 60_000  # twenty times a second
COMMON = "[http]\nlisten = '127.0.0.1:{door}'\n[control]\nsocket = '{folder}/control'\n[queue]\ndrain_seconds = 0\n"
CONFIGURATIONS = {
    SPOOLING: "[capture]\ninterfaces = ['eth1']\n[spool]\ndirectory = '{disk}/spool'\nmib = {mib}\n"
    f"[[hep]]\nuri = 'hep+tcp:127.0.0.1:{AWAY}'\n",
    SLOW: f"[capture]\ninterfaces = ['eth1']\nlisten = ['hep+tcp:127.0.0.1:{HEP}']\n"
    f"[[hep]]\nuri = 'hep+tcp:127.0.0.1:{SLOWLY}'\n",
    RESTARTED: "[capture]\ninterfaces = ['eth1']\n[[hep]]\nuri = 'hep:127.0.0.1:9'\n",
}
BURST, BACKLOG = 200, 20_000  # messages: twenty times a second, and at first at once
FILLING = ("CaptureAgentSpoolFilling", f"hep+tcp:127.0.0.1:{AWAY}")
CAUSED = {
    FILLING,
    ("CaptureAgentRestarting", f"127.0.0.1:{RESTARTED}"),
    ("CaptureAgentSpoolFailing", f"hep+tcp:127.0.0.1:{AWAY}"),
    ("CaptureAgentSinkBehind", f"hep+tcp:127.0.0.1:{SLOWLY}"),
    ("CaptureAgentSinkLag", f"hep+tcp:127.0.0.1:{SLOWLY}"),
    ("CaptureAgentFewDescriptors", f"127.0.0.1:{SLOW}"),
}


def firing(asked: Ask) -> set[tuple[str, str]]:
    """Each with its sink, or else with its agent."""
    data = asked("alerts")
    assert data is None or isinstance(data, dict)
    alerts = [one["labels"] for one in data["alerts"] if one["state"] == "firing"] if data else []
    return {(labels["alertname"], labels.get("sink") or labels["instance"]) for labels in alerts}


@contextmanager
def traffic(host: Namespace) -> Iterator[None]:
    """INVITEs, all different, which do not compress."""
    ended = threading.Event()

    def send() -> None:
        with host.udp("192.0.2.1") as sender:
            for sent in itertools.count():
                text = INVITE.replace(b"%d", b"%d" % sent)
                sender.sendto(text[:-2] + b"X: %b\r\n\r\n" % os.urandom(100).hex().encode(), ("192.0.2.2", 5060))
                if not sent % BURST and ended.wait(0.05 if sent >= BACKLOG else 0.0):
                    return

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ended.set()
        sending.join()


class Agents:
    """By the port of their doors."""

    def __init__(self, host: Host, folder: Path, disk: Path) -> None:
        self._host = host
        self._folder = folder
        self._disk = disk
        self._running: dict[int, Agent] = {}

    def start(self, door: int) -> None:
        self._running[door] = Agent(self._host, "--config", str(self._write(door, 2)))

    def reload_with(self, door: int, mib: int) -> None:
        """Of the spool."""
        self._write(door, mib)
        self._running[door].process.send_signal(signal.SIGHUP)

    def _write(self, door: int, mib: int) -> Path:
        folder = self._folder / str(door)
        folder.mkdir(exist_ok=True)
        file = folder / "agent.toml"
        file.write_text((COMMON + CONFIGURATIONS[door]).format(door=door, folder=folder, disk=self._disk, mib=mib))
        return file

    def kill(self, door: int) -> None:
        self._running.pop(door).__exit__()

    def pid(self, door: int) -> int:
        return self._running[door].process.pid

    def __enter__(self) -> Agents:
        for door in CONFIGURATIONS:
            self.start(door)
        return self

    def __exit__(self, *_: object) -> None:
        for door in list(self._running):
            self.kill(door)


def hold_descriptors(pid: int, host: Namespace, held: ExitStack) -> None:
    """Of an agent whose limit is a little above what it has open, connections to its listener take most of the rest."""
    few = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 30
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
    for _ in range(26):
        held.enter_context(host.run(lambda: socket.create_connection(("127.0.0.1", HEP))))


def starts(asked: Ask) -> float | None:
    return value(asked, f'capture_agent_start_time_seconds{{instance="127.0.0.1:{RESTARTED}"}}')


def test_alerts_fire_in_trouble_and_end_with_it(tmp_path: Path) -> None:
    with ExitStack() as stack, ExitStack() as troubles:
        one, other = stack.enter_context(wires())
        host = Host(other.name, "192.0.2.2")
        disk = stack.enter_context(small_disk(tmp_path / "disk", "48m"))

        def collector(port: int, folder: str, slowly: int = 0) -> Collector:
            return Collector(tmp_path / folder, port, inside=other.command(), slowly=slowly)

        troubles.enter_context(collector(SLOWLY, "slow", SLOW_BYTES))
        agents = stack.enter_context(Agents(host, tmp_path, disk))
        targets = " ".join(f"127.0.0.1:{door}" for door in CONFIGURATIONS)
        asked = stack.enter_context(prometheus(host, targets, tmp_path, quick(tmp_path, 800), INTERVAL))
        eventually(lambda: value(asked, "sum(up)"), 3.0)
        troubles.enter_context(traffic(one))
        hold_descriptors(agents.pid(SLOW), other, troubles)
        fired = set[tuple[str, str]]()
        seen = list[float | None]()

        def missing() -> set[tuple[str, str]]:
            before = set(fired)
            fired.update(firing(asked))
            if FILLING in fired - before:
                troubles.enter_context(full(disk))
            if (now := starts(asked)) not in [None, *seen[-1:]] and len(seen) < 5:
                seen.append(now)
                agents.kill(RESTARTED)
                agents.start(RESTARTED)
            return CAUSED - fired

        eventually(missing, set())
        troubles.close()
        agents.reload_with(SPOOLING, 16)
        stack.enter_context(collector(SLOWLY, "quick"))
        end_at_once = {one for one in CAUSED if one[0] != "CaptureAgentRestarting"}
        eventually(lambda: firing(asked) & end_at_once, set())
