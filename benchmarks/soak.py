"""`make soak`: a long run of live capture. Memory, descriptors and threads stay flat, and no counter drifts.

    python -m benchmarks.soak                                    15 minutes, 20 million messages
    python -m benchmarks.soak --seconds 120 --messages 2000000

Every message belongs to a new call: nothing is sent twice. The agent follows dialogs, sends HEP over TCP to the sink,
and its /metrics is scraped each second. Needs root, as the live row of `make bench`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from statistics import median

from benchmarks.building import built
from benchmarks.cases import AGENT
from benchmarks.collector import Counts, collecting
from benchmarks.held_process import timed_frames, write
from benchmarks.measure import Failed
from benchmarks.runner import clean_environment
from benchmarks.wire import INTERFACE, METRICS_PORT, agents_prefix, usable, when_ready, wire

SECONDS, MESSAGES = 900, 20_000_000
CALLS_HELD = 10_000  # begun and not ended, at any time
PART = 250_000  # messages in a capture: while one is sent, the next is written
WARM_UP_SECONDS = 120.0  # ended calls are remembered for 40 s: then as many leave as come
GROWTH = 1.02  # of the resident memory, from the first quarter after the warm-up to the last
PATIENCE = 60.0
TRACED = 'capture_agent_messages_total{outcome="traced",reason=""}'
CARRIED = 'capture_agent_frames_total{outcome="carried",reason=""}'
SENT = 'capture_agent_sink_messages_total{outcome="sent",reason="",sink="hep+tcp:127.0.0.1:%d"}'


@dataclass(frozen=True, slots=True)
class Sample:
    """The agent at one moment. `memory` in bytes, `at` in seconds."""

    at: float
    memory: int
    descriptors: int
    threads: int


@dataclass(slots=True)
class Soaked:
    """`counters`: those of the last scrape; `fell`: the names of those that have gone down."""

    messages: int = 0
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)
    fell: set[str] = field(default_factory=set)
    books: str = ""
    status: int = 0
    counts: Counts = field(default_factory=lambda: Counts(0, 0, 0, 0))


def sample(pid: int, at: float) -> Sample:
    folder = Path("/proc", str(pid))
    lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    memory = int(lines["VmRSS"].split()[0]) * 1024
    return Sample(at, memory, sum(1 for _ in (folder / "fd").iterdir()), int(lines["Threads"]))


class Watch(threading.Thread):
    """Scrapes the agent, and samples its process after each answer, until the scraper ends."""

    def __init__(self, scraper: subprocess.Popen[str], pid: int, soaked: Soaked) -> None:
        super().__init__(daemon=True)
        self._scraper = scraper
        self._pid = pid
        self._soaked = soaked
        self._began = time.monotonic()
        self.start()

    def run(self) -> None:
        assert self._scraper.stdout is not None
        for line in self._scraper.stdout:
            counters = {
                name: value for name, value in json.loads(line).items() if "_total" in name or "_bucket" in name
            }
            before = self._soaked.counters
            self._soaked.fell |= {name for name, value in before.items() if counters.get(name, -1.0) < value}
            self._soaked.counters = counters
            self._soaked.samples.append(sample(self._pid, time.monotonic() - self._began))

    def wait_for(self, name: str, value: float) -> None:
        """Until a counter has this value, or no more of it comes."""
        deadline = time.monotonic() + PATIENCE
        while self._soaked.counters.get(name) != value and time.monotonic() < deadline:
            time.sleep(0.1)


def captures(folder: Path, messages: int) -> Iterator[Path]:
    """Captures with so many messages together; each is written while the one before it is sent."""
    frames = timed_frames(CALLS_HELD)
    sizes = [min(PART, messages - begun) for begun in range(0, messages, PART)]
    paths = [folder / f"{number}.pcap" for number in range(len(sizes))]
    writer = threading.Thread(target=write, args=(paths[0], frames, sizes[0]))
    writer.start()
    for path, following, size in zip_longest(paths, paths[1:], sizes[1:]):
        writer.join()
        if following is not None:
            writer = threading.Thread(target=write, args=(following, frames, size))
            writer.start()
        yield path
        path.unlink()


def soak(seconds: float, messages: int, folder: Path) -> Soaked:
    """Raises Failed if the agent does not begin."""
    soaked, errors = Soaked(), folder / "err"
    sender, rate = built("send", folder), max(1, round(messages / seconds))
    with (
        wire() as wires,
        collecting(built("sink", folder), *wires.beside_agent()) as collector,
        errors.open("w") as err,
    ):
        options = ("--interface", INTERFACE, "--trace", "dialog", "--hep", f"hep+tcp:127.0.0.1:{collector.port}")
        command = [
            *agents_prefix(wires.agents),
            AGENT,
            "run",
            *options,
            "--http",
            f"127.0.0.1:{METRICS_PORT}",
            "--control",
            "",
        ]
        agent = subprocess.Popen(command, stderr=err, env=clean_environment())
        try:
            began = time.monotonic()
            when_ready(errors, lambda: None)()
            with wires.scraping() as scraper:
                watch = Watch(scraper, agent.pid, soaked)
                for path in captures(folder, messages):
                    wires.send(sender, path, rate)
                    show(soaked, time.monotonic() - began)
                soaked.seconds = time.monotonic() - began
                watch.wait_for(SENT % collector.port, messages)
                scraper.terminate()
                watch.join(PATIENCE)
            agent.terminate()
            soaked.status = agent.wait(PATIENCE)
        finally:
            if agent.poll() is None:
                agent.kill()
                agent.wait()
        soaked.messages, soaked.books, soaked.counts = messages, errors.read_text(), collector.counts()
        # Its port is in the name of the sink.
        soaked.counters[SENT] = soaked.counters.get(SENT % collector.port, 0.0)
    return soaked


def show(soaked: Soaked, seconds: float) -> None:
    if soaked.samples:
        last = soaked.samples[-1]
        print(
            f"{seconds:6.0f} s {soaked.counters.get(TRACED, 0):12,.0f} traced {last.memory / 1e6:8.1f} MB"
            f" {last.descriptors:4} descriptors {last.threads:3} threads",
            flush=True,
        )


def quarters(samples: Sequence[Sample], warm_up: float) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The first and the last quarter of those after the warm-up."""
    warm = [one for one in samples if one.at >= warm_up]
    size = max(1, len(warm) // 4)
    return warm[:size], warm[-size:]


def flat(samples: Sequence[Sample], warm_up: float) -> list[str]:
    """What has grown."""
    first, last = quarters(samples, warm_up)
    if len(first) < 3:
        return [f"too short: {len(samples)} samples, {warm_up:g} s of them warm-up"]
    found = []
    before, after = (median(one.memory for one in part) for part in (first, last))
    if after > GROWTH * before:
        found.append(f"memory has grown from {before / 1e6:.1f} to {after / 1e6:.1f} MB")
    for what in ("descriptors", "threads"):
        before, after = (median(getattr(one, what) for one in part) for part in (first, last))
        if after >= before + 1:
            found.append(f"{what} have grown from {before:g} to {after:g}")
    return found


def drift(soaked: Soaked) -> list[str]:
    """Which counts are not what was sent."""
    wanted = soaked.messages
    counts = {
        "traced, in the last scrape": soaked.counters.get(TRACED, 0),
        "carried, in the last scrape": soaked.counters.get(CARRIED, 0),
        "sent, in the last scrape": soaked.counters.get(SENT, 0),
        "whole messages at the sink": soaked.counts.packets - soaked.counts.broken,
    }
    found = [f"{what}: {count:,.0f} of {wanted:,}" for what, count in counts.items() if count != wanted]
    found += [f"{name} has gone down" for name in sorted(soaked.fell)]
    lines = (f" {wanted} traced, 0 not traced, 0 duplicate", f": {wanted} seen, {wanted} sent, 0 waiting")
    found += [f"the books do not say: {line.strip(': ')}" for line in lines if line not in soaked.books]
    found += ["the books do not balance"] if "does not balance" in soaked.books else []
    return found + ([f"the agent ended with status {soaked.status}"] if soaked.status else [])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="A long run of live capture.")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="N", help=f"default {SECONDS}")
    parser.add_argument("--messages", type=int, default=MESSAGES, metavar="N", help=f"default {MESSAGES}")
    parser.add_argument(
        "--warm-up", type=float, default=WARM_UP_SECONDS, metavar="N", help=f"seconds; default {WARM_UP_SECONDS:g}"
    )
    asked = parser.parse_args()
    if not usable():
        print("it needs root, two cores, ip and taskset", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            soaked = soak(asked.seconds, asked.messages, Path(folder))
        except Failed as error:
            print(f"no soak: {error}", file=sys.stderr)
            return 1
    found = [*flat(soaked.samples, asked.warm_up), *drift(soaked)]
    print(soaked.books, end="")
    print(f"{soaked.messages:,} messages in {soaked.seconds:,.0f} s, {len(soaked.samples)} scrapes")
    print("\n".join(found) if found else "memory, descriptors and threads are flat; no counter has drifted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
