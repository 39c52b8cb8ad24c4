"""Live capture: a pair of network namespaces, a wire between them, and a sender that keeps its rate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Failed

RATE = 200_000  # frames per second
STORED_RATE = 50_000  # into a database
HOST_RATE = 1_000  # of a busy SIP server
INTERFACE = "eth1"
SCRAPE = Path(__file__).with_name("scrape.py")
# The agent has a core to itself. The sender, whose system calls include the kernel's path to the agent's ring, shares
# another one with the collector.
AGENTS_CORE, OTHERS_CORE = 1, 0
PATIENCE = 60.0  # seconds for the agent to become ready
METRICS_PORT = 9096  # of the agent
DRAINED = 1.0  # seconds for the agent to take waiting frames: twenty times as long as the kernel may keep one


def usable() -> bool:
    """Whether this host can do it: root, two cores, ip and taskset."""
    return os.geteuid() == 0 and (os.cpu_count() or 1) > 1 and all(map(shutil.which, ("ip", "taskset")))


@dataclass(frozen=True, slots=True)
class Wire:
    agents: str  # namespace
    senders: str  # namespace

    def beside_agent(self) -> tuple[str, ...]:
        """The words before the collector's command."""
        return _within(self.agents, OTHERS_CORE)

    @contextmanager
    def scraping(self) -> Iterator[subprocess.Popen[str]]:
        """Each second /metrics is read; its standard output is that of scrape.py."""
        command = [*self.beside_agent(), sys.executable, "-I", "-S", str(SCRAPE), str(METRICS_PORT)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()

    def send(self, sender: Path, capture: Path, rate: int = RATE) -> None:
        """Send all frames at this rate, and wait until they are taken. Raises Failed if the sender was too slow."""
        command = [*_within(self.senders, OTHERS_CORE), str(sender), INTERFACE, str(rate), str(capture)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        sent, seconds = done.stdout.split()
        if int(sent) > rate // 10 and int(sent) / float(seconds) < 0.9 * rate:
            raise Failed(f"the sender reached {int(sent) / float(seconds):,.0f} frames per second, expected {rate:,}")
        time.sleep(DRAINED)


def agents_prefix(namespace: str, alone: bool = True) -> tuple[str, ...]:
    """`alone`: on a core of its own; otherwise on both, beside the sender."""
    return _within(namespace, AGENTS_CORE) if alone else ("ip", "netns", "exec", namespace)


def _within(namespace: str, core: int) -> tuple[str, ...]:
    return "ip", "netns", "exec", namespace, "taskset", "-c", str(core)


@contextmanager
def wire() -> Iterator[Wire]:
    made = Wire(f"bench{os.getpid()}a", f"bench{os.getpid()}b")
    ends = made.agents, made.senders
    try:
        for name in ends:
            _ip("netns", "add", name)
            # Only our frames are on the wire.
            _ip("netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        link = ("type", "veth", "peer", "name", INTERFACE, "netns", made.senders)
        _ip("link", "add", INTERFACE, "netns", made.agents, *link)
        for name in ends:
            for interface in ("lo", INTERFACE):
                _ip("-n", name, "link", "set", interface, "up")
        yield made
    finally:
        for name in ends:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def when_ready(errors: Path, then: Callable[[], None]) -> Callable[[], None]:
    """Call `then` once the agent reports that it is capturing."""

    def run() -> None:
        end = time.monotonic() + PATIENCE
        while not errors.exists() or "capturing on" not in errors.read_text(errors="replace"):
            if time.monotonic() > end:
                raise Failed("the agent did not begin to capture")
            time.sleep(0.02)
        then()

    return run


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
