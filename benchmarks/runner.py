"""Runs all cases, interleaved, so that a slow minute of the machine affects all, and repeated."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.building import built
from benchmarks.captures import ONE, made
from benchmarks.cases import (
    AEAD,
    AGENT,
    DRIVER,
    FILES,
    FIRST_LIVE,
    FROM_KAFKA,
    JSONL,
    LISTING,
    LIVE,
    LIVE_SQLITE,
    RELAY,
    REPLAYS,
    SPOOL,
    STORED,
    TO_KAFKA,
    Case,
    kafka_sink,
)
from benchmarks.checks import check_books, check_collector, check_list, check_packets, needs_collector
from benchmarks.collector import collecting
from benchmarks.measure import Usage, measure
from benchmarks.stores import COPIED, Stores, check_rows
from benchmarks.tansu import GROUP, free_port, topic
from benchmarks.wire import STORED_RATE, when_ready, wire

PARTITIONS = 6  # of the topic of one case


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
        self._file = folder / "trace"
        self.sink = built("sink", folder)
        self.limit = built("limit", folder)
        self.sender = built("send", folder)
        self._stores = Stores(folder)

    def close(self) -> None:
        self._stores.close()

    def run(self, case: Case) -> Sample:
        if case.work in FIRST_LIVE:
            return self._live(case)
        if case.work == RELAY:
            return self._relayed(case)
        if case.work == TO_KAFKA:
            return self._to_topic(case)
        if case.work == FROM_KAFKA:
            return self._from_topic(case)
        if case.work == SPOOL or case.who == AEAD:
            usage = self._measured(case)
            cpu, wall = map(float, (self._folder / "out").read_text().split())
            return Sample(case.key, cpu, wall, usage.memory)
        if needs_collector(case):
            return self._to_collector(case)
        if case.work == LIVE_SQLITE:
            return self._live_into_table(case)
        if case.work in STORED:
            return self._into_table(case)
        if case.work in FILES:
            return self._into_file(case)
        usage = self._measured(case)
        check_list(case, self._folder / "out")
        return Sample(case.key, usage.cpu, usage.wall, usage.memory)

    def _into_file(self, case: Case) -> Sample:
        """Not rotated: one file has all."""
        self._file.unlink(missing_ok=True)
        usage = self._measured(case)
        (check_list if case.work == JSONL else check_packets)(case, self._file)
        self._file.unlink()
        return Sample(case.key, usage.cpu, usage.wall, usage.memory)

    def _into_table(self, case: Case) -> Sample:
        """The driver alone stores the rows of a replay again, in the same database: it reports its inserts itself."""
        with self._stores.empty(case.work, clean_environment()) as url:
            if case.who != DRIVER:
                usage = self._measured(case, database=url)
                check_rows(case.key, url, case.capture.sip)
                return Sample(case.key, usage.cpu, usage.wall, usage.memory)
            self._measured(replace(case, command=(AGENT, "replay", "{capture}", *REPLAYS[case.work])), database=url)
            usage = self._measured(case, database=url)
            check_rows(case.key, url, case.capture.sip, COPIED)
            cpu, wall = map(float, (self._folder / "out").read_text().split())
            return Sample(case.key, cpu, wall, usage.memory)

    def _live_into_table(self, case: Case) -> Sample:
        with self._stores.empty(case.work, clean_environment()) as url, wire() as wires:
            usage = self._measured(
                case,
                database=url,
                namespace=wires.agents,
                meanwhile=when_ready(
                    self._folder / "err", lambda: wires.send(self.sender, made(case.capture), STORED_RATE)
                ),
            )
            lost = check_rows(case.key, url, case.capture.sip, may_lack=True)
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, lost=lost)

    def _to_collector(self, case: Case) -> Sample:
        with collecting(self.sink) as collector:
            usage = self._measured(case, port=str(collector.port))
            dropped, lost = check_collector(case, collector.counts())
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, dropped, lost)

    def _relayed(self, case: Case) -> Sample:
        listen = str(free_port())
        with collecting(self.sink) as collector:
            usage = self._measured(case, port=str(collector.port), listen=listen, meanwhile=self._sending(case, listen))
            dropped, lost = check_collector(case, collector.counts())
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, dropped, lost)

    def _sending(self, case: Case, listen: str) -> Callable[[], None]:
        def send() -> None:
            command = [str(self.limit), "tcp", listen, str(made(case.capture))]
            subprocess.run(command, check=True, capture_output=True)

        return when_ready(self._folder / "err", send)

    def _to_topic(self, case: Case) -> Sample:
        listen = str(free_port())
        with topic(self._folder, PARTITIONS) as records:
            usage = self._measured(case, listen=listen, broker=records.address, meanwhile=self._sending(case, listen))
            records.wait_written(case.capture.sip)
        return Sample(case.key, usage.cpu, usage.wall, usage.memory)

    def _from_topic(self, case: Case) -> Sample:
        """An agent that is not measured has filled the topic."""
        with topic(self._folder, PARTITIONS) as records, collecting(self.sink) as collector:
            filling = replace(
                case, work=TO_KAFKA, command=(AGENT, "replay", "{capture}"), environment=kafka_sink("{broker}")
            )
            self._measured(filling, broker=records.address)
            usage = self._measured(
                case,
                port=str(collector.port),
                broker=records.address,
                meanwhile=when_ready(self._folder / "err", lambda: records.wait_committed(GROUP, case.capture.sip)),
            )
            dropped, lost = check_collector(case, collector.counts())
        return Sample(case.key, usage.cpu, usage.wall, usage.memory, dropped, lost)

    def _live(self, case: Case) -> Sample:
        with wire() as wires, collecting(self.sink, *wires.beside_agent()) as collector:

            def send() -> None:
                with nullcontext() if case.work == LIVE else wires.scraping():
                    wires.send(self.sender, made(case.capture), FIRST_LIVE[case.work])

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
        listen: str = "",
        broker: str = "",
        meanwhile: Callable[[], None] | None = None,
    ) -> Usage:
        words = {
            "capture": str(made(case.capture)),
            "keys": str(made(case.capture).with_suffix(".keys")),
            "sip": str(case.capture.sip),
            "port": port,
            "database": database,
            "copied": COPIED,
            "limit": str(self.limit),
            "namespace": namespace,
            "listen": listen,
            "broker": broker,
            "file": str(self._file),
            "folder": str(self._folder),
        }
        command = [word.format_map(words) for word in case.command]
        environment = clean_environment() | {name: value.format_map(words) for name, value in case.environment.items()}
        tells = case.work in (LISTING, SPOOL) or case.who in (DRIVER, AEAD)
        usage = measure(command, self._folder, environment, tells, meanwhile)
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
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, closing(Runner(Path(folder))) as runner:
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
