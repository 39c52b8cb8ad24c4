"""Runs all cases, interleaved, so that a slow minute of the machine affects all, and repeated."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.building import built
from benchmarks.captures import ONE, made
from benchmarks.cases import AGENT, LISTING, LIVE, SCRAPED, SQLITE, Case
from benchmarks.checks import check_books, check_collector, check_list, check_table, needs_collector
from benchmarks.collector import collecting
from benchmarks.measure import Usage, measure
from benchmarks.wire import when_ready, wire


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one case."""

    case: str
    cpu: float  # seconds
    wall: float  # seconds
    memory: int  # bytes
    dropped: int = 0  # by the kernel at the sink
    lost: int = 0  # by the program


class Runner:
    """Runs cases in a temporary folder. Raises Failed if anything was lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sink = built("sink", folder)
        self.limit = built("limit", folder)
        self.sender = built("send", folder)

    def run(self, case: Case) -> Sample:
        if case.work in (LIVE, SCRAPED):
            return self._live(case)
        if needs_collector(case):
            return self._to_collector(case)
        database = self._folder / "trace.db"
        if case.work == SQLITE:
            command = [AGENT, "db", "create", "--db", f"sqlite:///{database}"]
            subprocess.run(command, check=True, capture_output=True, env=clean_environment())
        try:
            usage = self._measured(case, database=str(database))
            if case.work == SQLITE:
                check_table(case, database)
            else:
                check_list(case, self._folder / "out")
        finally:
            for file in self._folder.glob("trace.db*"):
                file.unlink()
        return Sample(case.key, usage.cpu, usage.wall, usage.memory)

    def _to_collector(self, case: Case) -> Sample:
        with collecting(self.sink) as collector:
            usage = self._measured(case, port=str(collector.port))
            dropped, lost = check_collector(case, collector.counts())
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, dropped, lost)

    def _live(self, case: Case) -> Sample:
        with wire() as wires, collecting(self.sink, *wires.beside_agent()) as collector:

            def send() -> None:
                with wires.scraping() if case.work == SCRAPED else nullcontext():
                    wires.send(self.sender, made(case.capture))

            usage = self._measured(
                case,
                port=str(collector.port),
                namespace=wires.agents,
                meanwhile=when_ready(self._folder / "err", send),
            )
            dropped, lost = check_collector(case, collector.counts())
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, dropped, lost)

    def _measured(
        self,
        case: Case,
        port: str = "",
        database: str = "",
        namespace: str = "",
        meanwhile: Callable[[], None] | None = None,
    ) -> Usage:
        words = {
            "capture": str(made(case.capture)),
            "sip": str(case.capture.sip),
            "port": port,
            "database": database,
            "limit": str(self.limit),
            "namespace": namespace,
        }
        command = [word.format_map(words) for word in case.command]
        environment = clean_environment() | case.environment
        usage = measure(command, self._folder, environment, case.work == LISTING, meanwhile)
        check_books(case, usage)
        return usage


def clean_environment() -> dict[str, str]:
    """Our environment, without variables that configure the agent or Python: users have cached bytecode."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CAPTURE_AGENT_", "PYTHON"))}


def start_up(case: Case) -> Case:
    """The same command on a one-message capture."""
    return replace(case, capture=replace(ONE, carrier=case.capture.carrier))


def run_all(cases: Iterable[Case], repeats: int, told: Callable[[str], None]) -> list[Sample]:
    """Each round runs every case once, after its start-up."""
    cases = list(cases)
    for capture in {one.capture for case in cases for one in (case, start_up(case))}:
        made(capture)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        runner = Runner(Path(folder))
        # A program's first run reads it from the disk.
        for case in {start_up(case).key: start_up(case) for case in cases}.values():
            runner.run(case)
        for number in range(1, repeats + 1):
            known: set[str] = set()
            for case in cases:
                for one in (start_up(case), case):
                    if one.key not in known:
                        known.add(one.key)
                        told(f"round {number} of {repeats}: {one.key}")
                        samples.append(runner.run(one))
    return samples
