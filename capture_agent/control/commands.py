"""The commands of a running agent, each defined once for servers and clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from capture_agent.books import Books
from capture_agent.control.onlookers import Onlookers
from capture_agent.metrics.agent_stats import agent_health, agent_stats
from capture_agent.metrics.exposition import PLAIN, Exposition
from capture_agent.metrics.figures import AgentFigures, GroupFigures, SinkFigures
from capture_agent.metrics.health import HealthReason

FAULT = 500  # the code of siptrace's faults


class Fault(Exception):
    """The answer to a command that fails."""

    def __init__(self, message: str, code: int = FAULT) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Controlled(Protocol):
    """The agent, as seen by commands."""

    tracing: bool
    reload: Callable[[], list[str]] | None
    onlookers: Onlookers

    @property
    def exposition(self) -> Exposition: ...
    @property
    def ready(self) -> bool: ...
    def books(self) -> Books: ...
    def figures(self) -> AgentFigures: ...
    def groups(self) -> list[GroupFigures]: ...
    def health(self) -> tuple[list[SinkFigures], list[HealthReason]]: ...


def switch(parameters: Sequence[object]) -> bool | None:
    """The request to siptrace.status: True is on, False is off, None is check. Raises Fault.

    Like siptrace, it compares only the first letters, in any case, so that `online` is on.
    """
    if not parameters:
        raise Fault("Not enough parameters (on, off or check)")
    word = str(parameters[0]).lower()
    for beginning, wanted in (("on", True), ("off", False), ("check", None)):
        if word.startswith(beginning):
            return wanted
    raise Fault("Bad parameter (on, off or check)")


def status(agent: Controlled, parameters: Sequence[object]) -> str:
    """Switch tracing, or report whether it is on. Not saved: the next start follows [trace] on."""
    wanted = switch(parameters)
    if wanted is not None:
        agent.tracing = wanted
    return "Enabled" if agent.tracing else "Disabled"


def stats(agent: Controlled, parameters: Sequence[object]) -> dict[str, Any]:
    """The books so far. Stages are read one after another, so messages may be in transit between them."""
    books = agent.books()
    ledgers = [
        {
            "name": ledger.name,
            "seen": ledger.seen,
            **ledger.outcomes,
            "rejected": some(ledger.rejected),
            "lost": some(ledger.lost),
        }
        for ledger in books.ledgers
    ]
    groups = [
        {"name": group.name, "mode": group.mode, "up": group.up, "active": dict(group.active)}
        for group in agent.groups()
    ]
    return {"tracing": agent.tracing, "ledgers": ledgers, "groups": groups, "malformed": some(books.problems)}


def reload(agent: Controlled, parameters: Sequence[object]) -> dict[str, Any]:
    """Read the configuration again. `restart`: the options that have changed and take effect after a restart alone.

    Raises Fault with all that is wrong with it; then everything is as it was.
    """
    if agent.reload is None:
        raise Fault("this agent cannot reload its configuration")
    return {"restart": agent.reload()}


def metrics(agent: Controlled, parameters: Sequence[object]) -> str:
    """What Prometheus would scrape: as text, or what a content type in the parameters names."""
    accept = str(parameters[0]) if parameters else PLAIN
    return agent.exposition.text(accept)[0].decode("utf-8")


def stats_of_agent(agent: Controlled, parameters: Sequence[object]) -> dict[str, Any]:
    """As Homer's `agent stats` reads it."""
    return agent_stats(agent.figures())


def health_of_agent(agent: Controlled, parameters: Sequence[object]) -> dict[str, Any]:
    return agent_health(*agent.health())


def messages(agent: Controlled, parameters: Sequence[object]) -> dict[str, Any]:
    """What was traced from a number on; without one, from now on. Raises Fault."""
    number = parameters[0] if parameters else None
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise Fault("Bad parameter (the number of a message)")
    return agent.onlookers.after(number)


def some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


Command = Callable[[Controlled, Sequence[object]], object]
COMMANDS: dict[str, Command] = {
    "siptrace.status": status,
    "stats": stats,
    "reload": reload,
    "metrics": metrics,
    "agent.stats": stats_of_agent,
    "agent.health": health_of_agent,
    "messages": messages,
}
SPOKEN = frozenset({"messages"})  # what people say: for who may open the socket; over HTTP where [http] allows it


def methods_of(
    agent: Controlled, without: frozenset[str] = frozenset()
) -> Callable[[str], Callable[[Sequence[object]], object] | None]:
    """The commands by name, bound to one agent."""

    def find(name: str) -> Callable[[Sequence[object]], object] | None:
        command = None if name in without else COMMANDS.get(name)
        return None if command is None else partial(command, agent)

    return find
