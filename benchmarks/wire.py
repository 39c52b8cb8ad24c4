"""Live capture: a pair of network namespaces, a wire between them, and a sender that keeps its rate."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Failed

RATE = 200_000  # frames in a second
INTERFACE = "eth1"
# The agent has one core to itself. The sender, and in its system calls the kernel's way to the agent's ring, has
# another one, together with the collector.
AGENTS_CORE, OTHERS_CORE = 1, 0
PATIENCE = 60.0  # seconds, for the agent to be ready
DRAINED = 1.0  # seconds in which the agent takes what waits: twenty times as long as the kernel may keep a frame


def usable() -> bool:
    """Is this host able to do it: root, two cores, ip and taskset?"""
    return os.geteuid() == 0 and (os.cpu_count() or 1) > 1 and all(map(shutil.which, ("ip", "taskset")))


@dataclass(frozen=True, slots=True)
class Wire:
    agents: str  # namespace
    senders: str  # namespace

    def beside_agent(self) -> tuple[str, ...]:
        """What stands before the command of the collector."""
        return _within(self.agents, OTHERS_CORE)

    def send(self, sender: Path, capture: Path) -> None:
        """All frames at RATE, and the time to take them. Raises Failed where the sender was too slow."""
        command = [*_within(self.senders, OTHERS_CORE), str(sender), INTERFACE, str(RATE), str(capture)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        sent, seconds = done.stdout.split()
        if int(sent) > RATE // 10 and int(sent) / float(seconds) < 0.9 * RATE:
            raise Failed(f"the sender came to {int(sent) / float(seconds):,.0f} frames in a second, not to {RATE:,}")
        time.sleep(DRAINED)


def agents_prefix(namespace: str) -> tuple[str, ...]:
    return _within(namespace, AGENTS_CORE)


def _within(namespace: str, core: int) -> tuple[str, ...]:
    return "ip", "netns", "exec", namespace, "taskset", "-c", str(core)


@contextmanager
def wire() -> Iterator[Wire]:
    made = Wire(f"bench{os.getpid()}a", f"bench{os.getpid()}b")
    ends = made.agents, made.senders
    try:
        for name in ends:
            _ip("netns", "add", name)
            # Nothing but our frames is on the wire.
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
    """`then`, once the agent has said that it captures."""

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
