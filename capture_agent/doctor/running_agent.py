"""A running agent with this configuration: its answers on the control socket."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture_agent.config import Config
from capture_agent.config.endpoints import AUTO
from capture_agent.control import client, place
from capture_agent.control.commands import Fault
from capture_agent.doctor.finding import Finding, ok, warning

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

PATIENCE = 2.0  # seconds for its answer
Losses = Counter[tuple[str, str]]  # by ledger and place


@dataclass
class RunningAgent:
    path: Path
    tracing: bool
    before: Losses
    after: Losses = field(default_factory=Counter)

    def look_again(self, config: Config) -> None:
        if (now := find_agent(config)) is not None:
            self.after = now.before


def socket_path(config: Config) -> Path | None:
    """Where the agent of this configuration listens; None: it has no socket."""
    wanted = config.control.socket
    if wanted == AUTO:
        return place.where_to_ask(os.environ, os.geteuid())
    return Path(wanted) if wanted else None


def find_agent(config: Config) -> RunningAgent | None:
    path = socket_path(config)
    if path is None:
        return None
    try:
        said = client.ask(path, "stats", [], PATIENCE)
    except (place.ControlError, Fault):
        return None
    return RunningAgent(path, *read_stats(said)) if isinstance(said, dict) else None


def read_stats(said: Mapping[str, Any]) -> tuple[bool, Losses]:
    losses: Losses = Counter()
    for ledger in said.get("ledgers", []):
        for where, count in ledger.get("lost", {}).items():
            losses[str(ledger.get("name")), str(where)] += int(count)
    return bool(said.get("tracing", True)), losses


def runs_well(case: Case) -> Iterator[Finding]:
    found = case.agent
    if found is None:
        yield ok("none answers on the control socket: its losses cannot be asked for")
        return
    of = str(found.path)
    if not found.tracing:
        yield warning("the running agent does not trace", "`capture-agent status on`", of)
    new = found.after - found.before
    if new:
        yield warning(
            f"the running agent is losing: {in_words(new)}",
            "frames (kernel): raise capture.buffer_mib or leave RTP out; a destination: see its check; docs/books.md"
            " explains each name",
            of,
        )
    elif found.tracing:
        since = f"; since its start it has lost {in_words(found.after)}" if found.after else ""
        yield ok(f"runs, and loses nothing{since}", of)


def in_words(losses: Losses) -> str:
    return ", ".join(f"{name}: {count:,} ({where})" for (name, where), count in losses.most_common(5))
