"""A fleet: agents -> relays -> partitions of Kafka -> workers. How many are needed, and is that true?

    python -m benchmarks.fleet [--agents 10] [--relays 2] [--workers 3] [--seconds 20] [--rate 1000]

An agent is `benchmarks/limit.c`, which sends `--rate` messages at the beginning of each second. Two runs, of one relay
and one worker at their share of the load, tell what a message costs each of them. From that the program predicts the
CPU seconds of a third run, of the whole fleet. It prints the prediction beside what was measured, and the table of
docs/operate/sizing.md. Status 1: something was lost, or a prediction is more than 20 % away.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.building import NoCompiler, built
from benchmarks.captures import Capture, made
from benchmarks.cases import AGENT, kafka_relay, kafka_worker
from benchmarks.collector import collecting
from benchmarks.fleet_model import PER_WORKER, TOLERANCE, Cost, Spent, deviation, fitted, planned, table
from benchmarks.measure import Failed, Usage, measure
from benchmarks.runner import clean_environment
from benchmarks.tansu import GROUP, free_port, topic
from benchmarks.wire import when_ready

MILLIONS = (10, 100, 1000)  # messages an hour
SHORT = 4  # the short run has a quarter of the messages
JOINING = 4.0  # seconds: then the workers usually have their partitions; otherwise messages wait for them


@dataclass(frozen=True, slots=True)
class Fleet:
    agents: int
    relays: int
    workers: int
    seconds: int
    rate: int  # messages per second, of each agent

    @property
    def messages(self) -> int:
        return self.agents * self.seconds * self.rate

    @property
    def partitions(self) -> int:
        return PER_WORKER * self.workers

    def alone(self, seconds: int) -> Fleet:
        """One relay and one worker, with the load of one relay."""
        return Fleet(max(1, self.agents // self.relays), 1, 1, seconds, self.rate)

    def __str__(self) -> str:
        return (
            f"{self.agents} agents, {self.relays} relays, {self.partitions} partitions, {self.workers} workers, "
            f"{self.messages:,} messages in {self.seconds} s"
        )


@dataclass(frozen=True, slots=True)
class Run:
    relays: Spent
    workers: Spent
    sending: float  # seconds: more than those of the fleet if the relays made the agents wait


class Processes:
    """Agents of one kind that run until `end`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._kind = folder, kind
        self._end = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        self._usages: list[Future[Usage]] = []

    def start(self, command: Sequence[str], environment: dict[str, str]) -> None:
        own = self._folder / f"{self._kind}{len(self._usages)}"
        own.mkdir()
        everything = clean_environment() | environment
        self._usages.append(self._pool.submit(measure, command, own, everything, meanwhile=self._wait))

    def wait_ready(self) -> None:
        """Raises Failed."""
        for number in range(len(self._usages)):
            when_ready(self._folder / f"{self._kind}{number}" / "err", lambda: None)()

    def spent(self, messages: int) -> Spent:
        """End them. Raises Failed."""
        self.close()
        return Spent(len(self._usages), messages, sum(one.result().cpu for one in self._usages))

    def _wait(self) -> None:
        self._end.wait()

    def close(self) -> None:
        self._end.set()
        self._pool.shutdown()


def send(limit: Path, port: int, fleet: Fleet) -> None:
    """What one agent sends: it does not catch up what the relay made it wait."""
    command = [str(limit), "tcp", str(port), str(made(Capture(fleet.rate)))]
    for _ in range(fleet.seconds):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        time.sleep(max(0.0, began + 1 - time.monotonic()))


def run(fleet: Fleet, folder: Path) -> Run:
    """Raises Failed if a message did not arrive, or twice."""
    limit = built("limit", folder)
    made(Capture(fleet.rate))
    with ExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        records = stack.enter_context(topic(own, fleet.partitions))
        collector = stack.enter_context(collecting(built("sink", folder)))
        relays, workers = Processes(own, "relay"), Processes(own, "worker")
        stack.callback(relays.close)
        stack.callback(workers.close)
        for _ in range(fleet.workers):
            workers.start([AGENT, *kafka_worker(records.address, str(collector.port))], {})
        ports = [free_port() for _ in range(fleet.relays)]
        for port in ports:
            relays.start([AGENT, "run", "--control", ""], kafka_relay(records.address, str(port)))
        relays.wait_ready()
        workers.wait_ready()
        time.sleep(JOINING)
        began = time.monotonic()
        with ThreadPoolExecutor(fleet.agents) as agents:
            sent = [agents.submit(send, limit, ports[n % len(ports)], fleet) for n in range(fleet.agents)]
        for one in sent:
            one.result()
        sending = time.monotonic() - began
        records.wait_committed(GROUP, fleet.messages)
        done = Run(relays.spent(fleet.messages), workers.spent(fleet.messages), sending)
        counts = collector.counts()
        if counts.packets != fleet.messages or counts.broken:
            raise Failed(f"the sink has {counts}, not {fleet.messages:,} messages")
    return done


def shown(kind: str, cost: Cost, spent: Spent) -> str:
    return (
        f"{kind}: {cost.message * 1e6:.2f} s per million messages, {cost.process:.2f} s for a process; "
        f"predicted {cost.predicted(spent.processes, spent.messages):.2f} s, measured {spent.cpu:.2f} s "
        f"({deviation(cost, spent):+.0%})"
    )


def confirmed(fleet: Fleet, folder: Path) -> bool:
    """Measure, predict, and compare. Raises Failed, or ValueError if the runs are too short."""
    short, long = (run(fleet.alone(seconds), folder) for seconds in (max(1, fleet.seconds // SHORT), fleet.seconds))
    costs = fitted(short.relays, long.relays), fitted(short.workers, long.workers)
    whole = run(fleet, folder)
    print(f"{fleet}; sent in {whole.sending:.1f} s")
    runs = ("relays", costs[0], whole.relays), ("workers", costs[1], whole.workers)
    for one in runs:
        print(shown(*one))
    print(table([planned(millions, *costs) for millions in MILLIONS]))
    return all(abs(deviation(cost, spent)) <= TOLERANCE for _, cost, spent in runs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description="Size a fleet, and confirm it.")
    for name, default in (("agents", 10), ("relays", 2), ("workers", 3), ("seconds", 20), ("rate", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default:,}")
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        try:
            is_confirmed = confirmed(Fleet(**vars(parser.parse_args())), Path(folder))
        except (Failed, NoCompiler, ValueError) as error:
            print(f"no figures: {error}", file=sys.stderr)
            return 1
    return 0 if is_confirmed else 1


if __name__ == "__main__":
    sys.exit(main())
