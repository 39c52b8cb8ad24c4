"""Tries each destination in its own thread, so that a slow one does not delay the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from capture_agent.app.extensions import Extensions
from capture_agent.config import Config
from capture_agent.config.configured_sinks import ConfiguredSink, ConfiguredSinks
from capture_agent.doctor import advice
from capture_agent.doctor.finding import Finding, broken
from capture_agent.doctor.receivers import try_any, try_collector, try_server
from capture_agent.doctor.table_trial import try_table
from capture_agent.hooks.guard import kind_of, raised_at
from capture_agent.sinks import imported
from capture_agent.sinks.sink import Sink

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case


@dataclass(frozen=True, slots=True)
class Wanted:
    """The input of a trial. `tables`: those that rules name; `make`: creates the sink. Raises SinkError."""

    target: Any
    tables: tuple[str, ...]
    test_message: bool
    make: Callable[[], Sink]


# By section of the configuration: yields a finding for each step, and ends with one that is broken. Sinks of other
# sections are opened and closed.
TRIALS: dict[str, Callable[[Wanted], Iterator[Finding]]] = {
    "hep": lambda wanted: try_collector(wanted.target, wanted.test_message),
    "sip": lambda wanted: try_server(wanted.target),
    "sql": lambda wanted: try_table(wanted.target, wanted.tables),
    "kafka": lambda wanted: try_any(wanted.make, advice.KAFKA),
}


@dataclass
class Trial:
    name: str
    steps: Callable[[], Iterator[Finding]]
    findings: list[Finding] = field(default_factory=list)
    ended: bool = False

    def run(self) -> None:
        """Never raises."""
        try:
            for finding in self.steps():
                self.findings.append(finding)
        except Exception as error:
            text = f"the check has failed: {kind_of(error)}{raised_at(error)}"
            self.findings.append(broken(text, "this is a bug of the doctor, or of the sink's package"))
        self.ended = True


def open_and_close(wanted: Wanted) -> Iterator[Finding]:
    return try_any(wanted.make)


def trials_of(config: Config, extensions: Extensions, test_message: bool) -> list[Trial]:
    sinks = ConfiguredSinks(config)
    brought = iter(extensions.sinks)
    return [trial_of(sink, sinks, test_message, None if sink.kind.sink else next(brought)) for sink in sinks]


def trial_of(sink: ConfiguredSink, sinks: ConfiguredSinks, test_message: bool, brought: Sink | None) -> Trial:
    def make() -> Sink:
        if brought is not None:
            return brought
        made: Sink = imported(sink.kind.sink)(sink.target, *((tables,) if sink.kind.tables else ()))
        return made

    tables = sinks.tables_of(sink)
    wanted = Wanted(sink.target, tables, test_message, make)
    trial = TRIALS.get(sink.section, open_and_close)
    return Trial(str(sink.target), lambda: trial(wanted))


def are_reached(case: Case) -> Iterator[Finding]:
    """The findings of the trials so far: an unfinished trial is a finding, too."""
    for trial in case.trials:
        for one in list(trial.findings):
            yield Finding(one.status, one.found, one.to_do, trial.name, one.check)
        if not trial.ended:
            yield broken(
                "no answer in time",
                "check the address, and firewalls between the hosts; a database may wait for a lock",
                trial.name,
            )
