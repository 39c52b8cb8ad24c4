"""What is asked about a running agent: its sources and sinks at this moment, all its figures, and its health."""

from __future__ import annotations

import logging
import platform
import socket
import time
import uuid
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from capture_agent import __version__
from capture_agent.addresses import endpoint_text
from capture_agent.app.open_sources import MOST_NAMES, OTHERS
from capture_agent.books import Account, joined
from capture_agent.build import flavour
from capture_agent.config import Config
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.metrics.figures import (
    About,
    AgentFigures,
    GroupFigures,
    Reloaded,
    SinkFigures,
    SourceFigures,
    guards_of,
    rules_of,
)
from capture_agent.metrics.health import Health, HealthReason
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import Frames
from capture_agent.sources.source import Source, lost_frames

if TYPE_CHECKING:
    from capture_agent.delivery.routes import Routes
    from capture_agent.pipeline import Pipeline

_log = logging.getLogger(__name__)

MACHINE = Path("/etc/machine-id")


@dataclass(slots=True)
class Read:
    """What came from the sources of one name. Times are of time.monotonic()."""

    packets: int = 0
    bytes: int = 0
    at: float = field(default_factory=time.monotonic)  # the last packet, or the beginning
    sip_at: float = field(default_factory=time.monotonic)


class Observer:
    """Of one agent. The threads of sources count in it, once per batch; any thread may ask."""

    def __init__(self, config: Config) -> None:
        self.about = about(config)
        self.reloaded = Reloaded(True, self.about.started_at)
        self.asks_for_sip = config.health.no_sip_seconds > 0
        self.health = Health(config.health.no_packets_seconds, config.health.no_sip_seconds)
        self.broken: set[str] = set()  # listeners and sources of packages that do not come back
        self._listeners = set(map(str, config.listeners))
        self._read: dict[str, Read] = {}

    def opened(self, sources: Iterable[Source]) -> None:
        """Under a common name, when there have been very many."""
        for source in sources:
            name = source.name if source.name in self._read or len(self._read) < MOST_NAMES else OTHERS
            self._read.setdefault(name, Read())

    def _of(self, name: str) -> Read:
        return self._read.get(name) or self._read.setdefault(OTHERS, Read())

    def took(self, source: Source, frames: Frames) -> None:
        """A source has read this batch."""
        if frames.count:
            read = self._of(source.name)
            read.packets += frames.count
            read.bytes += len(frames.data)
            read.at = time.monotonic()

    def saw(self, messages: Iterable[CapturedMessage]) -> None:
        """SIP, of interfaces that it says."""
        for seen_on in {one.datagram.interface for one in messages}:
            if seen_on is not None:
                self._of(seen_on.name).sip_at = time.monotonic()

    def sources(
        self, states: Mapping[str, bool], opened: Set[str], lost: Mapping[str, Mapping[str, int]]
    ) -> list[SourceFigures]:
        """By name. `states`: of the interfaces that are wanted; `opened`: all sources that are open."""
        now = time.monotonic()
        found: list[SourceFigures] = []
        for name in dict.fromkeys([*states, *self._read, *lost]):
            read = self._read.get(name) or Read()
            up = states.get(name)
            if up is None and (name in opened or name in self.broken):
                up = name in opened
            captured = name in states or name in self._listeners  # of others it is normal that nothing comes
            quiet, sip_quiet = (now - read.at, now - read.sip_at) if captured else (0.0, 0.0)
            asked = sip_quiet if self.asks_for_sip else None
            found.append(SourceFigures(name, read.packets, read.bytes, lost.get(name, {}), up, quiet, asked))
        return found

    def reasons(
        self, sources: list[SourceFigures], sinks: list[SinkFigures], in_batch: float = 0.0
    ) -> list[HealthReason]:
        """Why the agent is degraded; the log has a line when that changes."""
        reasons = self.health.look(sources, sinks, time.monotonic(), in_batch)
        if self.health.is_news(reasons):
            if reasons:
                _log.warning("health: degraded (%s)", "; ".join(map(str, reasons)))
            else:
                _log.info("health: ok")
        return reasons


def sink_figures(configured: ConfiguredSinks, routes: Routes) -> list[SinkFigures]:
    """Those in use, with what others of their name have counted before; then those that are not in use any more."""
    active = dict(routes.items())
    sinks = [sink for sink in configured if sink.id in active]  # while a reload is under way
    ledgers = routes.ledgers()
    found: list[SinkFigures] = []
    for sink in sinks:
        outbox = active[sink.id]
        ledger = next((one for one in ledgers if one.name == outbox.sink.name), None)
        if ledger is None:  # another of the same name has them all
            ledger = Account(outbox.sink.name).ledger()
        else:
            ledgers.remove(ledger)
        address = transport = ""
        if isinstance(sink.target, HepTarget | SipTarget):
            address, transport = endpoint_text(sink.target.host, sink.target.port), sink.target.transport
        found.append(SinkFigures(ledger.name, sink.section, ledger, outbox.standing(), address, transport))
    return [*found, *(SinkFigures(ledger.name, "", ledger, None) for ledger in ledgers)]


def group_figures(routes: Routes) -> list[GroupFigures]:
    names = {id_: outbox.sink.name for id_, outbox in routes.items()}
    found: list[GroupFigures] = []
    for group in routes.groups():
        active = {names[id_]: gets for id_, gets in group.members.items() if id_ in names}
        found.append(GroupFigures(group.name, group.mode, group.up, active))
    return found


def figures(
    observer: Observer,
    pipeline: Pipeline,
    sources: list[SourceFigures],
    sinks: list[SinkFigures],
    groups: list[GroupFigures],
) -> AgentFigures:
    """All of them, of sources as Observer.sources has them."""
    lost = lost_frames(source.lost for source in sources)
    return AgentFigures(
        about=observer.about,
        now=time.time(),
        tracing=pipeline.policy.on,
        reloaded=observer.reloaded,
        ledgers=joined([lost, *pipeline.ledgers()]),
        problems=dict(pipeline.problems()),
        streams=dict(pipeline.streams.notes()),
        tables=tuple(pipeline.tables()),
        rules=rules_of(pipeline.policy.decisions()),
        guards=tuple(guards_of(pipeline.policy.guards())),
        sources=sources,
        sinks=sinks,
        groups=groups,
        counted=pipeline.counted(),
    )


def about(config: Config) -> About:
    first = next(iter(config.hep), None)
    node_name = (first.node_name if first is not None else "") or socket.gethostname()
    node_id = first.capture_id if first is not None else 0
    return About(
        version=__version__,
        build=flavour(),
        python=platform.python_version(),
        started_at=time.time(),
        node_name=node_name,
        node_id=node_id,
        uuid=identity(f"{node_name} {node_id}"),
    )


def identity(text: str) -> str:
    """The same after a restart, where the host has an identity of its own. That one cannot be computed from it."""
    try:
        machine = uuid.UUID(hex=MACHINE.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return str(uuid.uuid4())
    return str(uuid.uuid5(machine, f"capture-agent {text}"))
