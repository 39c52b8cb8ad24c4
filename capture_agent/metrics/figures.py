"""All counters of an agent at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from capture_agent.books import Account, HeldTable, Ledger
from capture_agent.delivery.standing import Standing
from capture_agent.histogram import Distribution


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the agent runs. Times are seconds since the epoch.

    `node_name`, `node_id`: of the first HEP sink.
    """

    version: str
    build: str  # compiled or plain
    python: str
    started_at: float
    node_name: str = ""
    node_id: int = 0
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """An interface, a listener, or a source of a package.

    up                 whether it is captured from; None: nobody wants it any more
    quiet_seconds      since its last packet, or since it was opened
    sip_quiet_seconds  the same of SIP; None: nobody has asked for it
    """

    name: str
    packets: int = 0
    bytes: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)  # by place
    up: bool | None = True
    quiet_seconds: float = 0.0
    sip_quiet_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SinkFigures:
    """`kind`: its section of the configuration; `address` and `transport`: of one that sends packets.

    standing  None: it is not configured any more; its counts stay
    """

    name: str
    kind: str
    ledger: Ledger
    standing: Standing | None
    address: str = ""
    transport: str = ""


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """`up`: whether any member is; `active`: by the name of a member's sink, whether it gets messages now."""

    name: str
    mode: str
    up: bool
    active: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class RuleFigures:
    name: str
    mode: str
    decisions: int


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """A hook or a condition. `off`: it has failed too often, and is called no more."""

    kind: str  # as its ledger says
    name: str
    off: bool


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The last time that the configuration was read. `at`: the last time that this succeeded."""

    success: bool
    at: float


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """`now`: seconds since the epoch; `ledgers`: of the stages, in the order of the data's way.

    `streams`: what Streams.notes() has; `counted`: of SIP and calls, by metric and the values of its labels.
    """

    about: About
    now: float
    tracing: bool
    reloaded: Reloaded
    ledgers: Sequence[Ledger] = ()
    problems: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, int] = field(default_factory=dict)
    tables: Sequence[HeldTable] = ()
    rules: Sequence[RuleFigures] = ()
    guards: Sequence[GuardFigures] = ()
    sources: Sequence[SourceFigures] = ()
    sinks: Sequence[SinkFigures] = ()
    groups: Sequence[GroupFigures] = ()
    counted: Mapping[str, Mapping[tuple[str, ...], float | Distribution]] = field(default_factory=dict)

    def ledger(self, name: str) -> Ledger:
        """An empty one, where a stage has nothing to say yet."""
        return next((ledger for ledger in self.ledgers if ledger.name == name), Account(name).ledger())


class Counted(Protocol):
    """A user's function, as hooks/guard.py has it."""

    @property
    def name(self) -> str: ...
    @property
    def off(self) -> bool: ...
    @property
    def answers(self) -> bool: ...


def rules_of(decisions: Iterable[tuple[str, str, int]]) -> list[RuleFigures]:
    return [RuleFigures(*one) for one in decisions]


def guards_of(guards: Iterable[Counted]) -> Iterator[GuardFigures]:
    for guard in guards:
        yield GuardFigures("condition" if guard.answers else "hook", guard.name, guard.off)
