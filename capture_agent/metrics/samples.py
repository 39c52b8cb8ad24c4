"""The samples of metrics, out of the figures: for the table in families.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from capture_agent.books import Ledger
from capture_agent.delivery.sink_account import ACCOUNT as OF_SINKS
from capture_agent.delivery.standing import SpoolStanding
from capture_agent.histogram import Distribution
from capture_agent.metrics.figures import AgentFigures

REJECTED, LOST = "rejected", "lost"
OTHER = "other"
MOST_REASONS = 40  # of one ledger that packages or user code name reasons in: the rest is `other`
# Entries of ledgers that go down again: they are gauges.
NOW: Final = ("waiting", "held")
REMEMBERED: Final = ("calls", "transactions", "dialogs", "counted_calls", "counted_exchanges", "bindings")
BYTES = "_bytes"  # the end of the names of notes that count them

Labels = tuple[str, ...]
Value = float | Distribution
Samples = Iterable[tuple[Labels, Value]]
Read: TypeAlias = Callable[[AgentFigures], Samples]


def entries(ledger: Ledger) -> Iterator[tuple[str, str, int]]:
    """Outcome, reason and count of all that never goes down. Nothing: no reason."""
    for outcome, count in ledger.outcomes.items():
        if outcome not in NOW:
            yield str(outcome), "", count
    yield from ((REJECTED, reason, count) for reason, count in bounded(ledger.rejected).items())
    yield from ((LOST, place, count) for place, count in bounded(ledger.lost).items())


def bounded(counts: Mapping[str, int]) -> Mapping[str, int]:
    """The first MOST_REASONS; the others together are `other`."""
    if len(counts) <= MOST_REASONS:
        return {str(name): count for name, count in counts.items()}
    kept: Counter[str] = Counter()
    for number, (name, count) in enumerate(list(counts.items())):
        kept[str(name) if number < MOST_REASONS else OTHER] += count
    return kept


def apart(names: Sequence[str]) -> list[str]:
    """The same names; of those that are alike, all but the first with a number."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def stage(name: str) -> Read:
    """The ledger of one stage."""

    def read(figures: AgentFigures) -> Samples:
        return [((outcome, reason), count) for outcome, reason, count in entries(figures.ledger(name))]

    return read


def remembered(figures: AgentFigures) -> Samples:
    for name in REMEMBERED:
        for outcome, reason, count in entries(figures.ledger(name)):
            yield (name, outcome, reason), count


def user_code(kind: str) -> Read:
    """The ledgers of hooks or conditions."""

    def read(figures: AgentFigures) -> Samples:
        ledgers = [ledger for ledger in figures.ledgers if ledger.name.partition(" ")[0] == kind]
        for name, ledger in zip(apart([one.name.partition(" ")[2] for one in ledgers]), ledgers, strict=True):
            for outcome, reason, count in entries(ledger):
                yield (name, outcome, reason), count

    return read


def off(kind: str) -> Read:
    def read(figures: AgentFigures) -> Samples:
        guards = [guard for guard in figures.guards if guard.kind == kind]
        names = apart([guard.name for guard in guards])
        return [((name,), float(guard.off)) for name, guard in zip(names, guards, strict=True)]

    return read


def sink_entries(figures: AgentFigures) -> Samples:
    """With a zero for each place where messages may be lost before any sink: an alert needs a beginning."""
    for name, sink in zip(sink_names(figures), figures.sinks, strict=True):
        found = {(LOST, str(place)): 0 for place in OF_SINKS.lost}
        found.update(((outcome, reason), count) for outcome, reason, count in entries(sink.ledger))
        yield from (((name, *labels), count) for labels, count in found.items())


def sink_names(figures: AgentFigures) -> list[str]:
    return apart([sink.name for sink in figures.sinks])


def sinks(value: Callable[..., Value]) -> Read:
    """A value of each sink's figures."""
    return lambda figures: [
        ((name,), value(sink)) for name, sink in zip(sink_names(figures), figures.sinks, strict=True) if sink.standing
    ]


def spools(value: Callable[[SpoolStanding], Value]) -> Read:
    """A value of each sink's spool, of those that have one."""
    return lambda figures: [
        ((name,), value(sink.standing.spool))
        for name, sink in zip(sink_names(figures), figures.sinks, strict=True)
        if sink.standing and sink.standing.spool
    ]


def groups(figures: AgentFigures) -> Samples:
    return [((group.name,), group.up) for group in figures.groups]


def active(figures: AgentFigures) -> Samples:
    for group in figures.groups:
        for name, gets in zip(apart(list(group.active)), group.active.values(), strict=True):
            yield (group.name, name), gets


def sources(value: Callable[..., Value]) -> Read:
    return lambda figures: [((source.name,), value(source)) for source in figures.sources]


def up(figures: AgentFigures) -> Samples:
    return [((source.name,), source.up) for source in figures.sources if source.up is not None]


def dropped(figures: AgentFigures) -> Samples:
    for source in figures.sources:
        for place, count in bounded(source.lost).items():
            yield (source.name, place), count


def one(value: Callable[[AgentFigures], float]) -> Read:
    """A metric without labels."""
    return lambda figures: [((), value(figures))]


def events(figures: AgentFigures) -> Samples:
    """Of streams, what is not counted in bytes."""
    return [((name,), count) for name, count in figures.streams.items() if not name.endswith(BYTES)]


def stream_bytes(figures: AgentFigures) -> Samples:
    return [((name.removesuffix(BYTES),), count) for name, count in figures.streams.items() if name.endswith(BYTES)]


def problems(figures: AgentFigures) -> Samples:
    return [((problem,), count) for problem, count in figures.problems.items()]


def held(figures: AgentFigures) -> Samples:
    return [((table.name,), table.held) for table in figures.tables]


def evicted(figures: AgentFigures) -> Samples:
    return [((table.name,), table.evicted) for table in figures.tables if table.evicted is not None]


def decisions(figures: AgentFigures) -> Samples:
    return [((rule.name, rule.mode), rule.decisions) for rule in figures.rules]


def build(figures: AgentFigures) -> Samples:
    return [((figures.about.version, figures.about.build, figures.about.python), 1)]


def counted(name: str) -> Read:
    """Of SIP or calls; nothing where these are not counted."""
    return lambda figures: figures.counted.get(name, {}).items()
