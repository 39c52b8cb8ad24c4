"""The highest rate that a relay sustains: HEP3/TCP in, HEP3/TCP out, with a core of its own.

    python -m benchmarks.relay_rate [--messages 20000000] [--rate 500000]

`benchmarks/limit.c` sends the same messages again and again, as fast as the relay reads; it shares the other core with
the sink. Time runs from the first message until the relay has sent the last one and has ended. Status 1: something was
lost, or the rate is below `--rate`. Needs two cores, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.building import NoCompiler, built
from benchmarks.captures import Capture, made
from benchmarks.cases import AGENT, listener
from benchmarks.collector import collecting
from benchmarks.measure import Failed, measure
from benchmarks.runner import clean_environment
from benchmarks.tansu import free_port
from benchmarks.wire import AGENTS_CORE, OTHERS_CORE, when_ready

AT_ONCE = 500_000  # messages of the capture, which is sent again and again


@dataclass(frozen=True, slots=True)
class Rate:
    messages: int
    seconds: float
    cpu: float  # seconds, of the relay

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds

    def __str__(self) -> str:
        share, cost = self.cpu / self.seconds, self.cpu / self.messages * 1e6
        return (
            f"{self.messages:,} messages in {self.seconds:.1f} s: {self.per_second:,.0f} messages/s sustained"
            f" on one core, of which the relay used {share:.0%} ({cost:.2f} CPU s per million); none lost"
        )


def on_core(core: int) -> tuple[str, ...]:
    return "taskset", "-c", str(core)


def run(messages: int, folder: Path, at_once: int = AT_ONCE) -> Rate:
    """Raises Failed if a message did not arrive."""
    capture, limit, port = str(made(Capture(at_once))), str(built("limit", folder)), free_port()
    times = -(-messages // at_once)
    began = 0.0

    def send() -> None:
        nonlocal began
        began = time.monotonic()
        for _ in range(times):
            command = [*on_core(OTHERS_CORE), limit, "tcp", str(port), capture]
            subprocess.run(command, check=True, capture_output=True)

    with collecting(built("sink", folder), *on_core(OTHERS_CORE)) as collector:
        relay = [*on_core(AGENTS_CORE), AGENT, "run", "--control", "", "--hep", f"hep+tcp:127.0.0.1:{collector.port}"]
        environment = clean_environment() | listener(str(port))
        usage = measure(relay, folder, environment, meanwhile=when_ready(folder / "err", send))
        ended = time.monotonic()
        counts = collector.counts()
    if counts.packets != times * at_once or counts.broken:
        raise Failed(f"the sink has {counts}, not {times * at_once:,} messages")
    return Rate(times * at_once, ended - began, usage.cpu)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay_rate", description="The rate of a relay.")
    parser.add_argument("--messages", type=int, default=20_000_000, metavar="N", help="default 20,000,000")
    parser.add_argument("--rate", type=int, default=500_000, metavar="N", help="messages/s expected, default 500,000")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        try:
            found = run(asked.messages, Path(folder))
        except (Failed, NoCompiler) as error:
            print(f"no figures: {error}", file=sys.stderr)
            return 1
    print(found)
    return 0 if found.per_second >= asked.rate else 1


if __name__ == "__main__":
    sys.exit(main())
