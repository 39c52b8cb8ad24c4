"""Commands: siptrace.status with the answers recorded from Kamailio, and the books."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from figure_samples import figures

from capture_agent.books import Books, Ledger
from capture_agent.control.commands import COMMANDS, FAULT, Fault, methods_of
from capture_agent.control.onlookers import Onlookers
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import AgentFigures, GroupFigures, SinkFigures
from capture_agent.metrics.health import HealthReason

pytestmark = pytest.mark.once


class Agent:
    def __init__(self, tracing: bool = False) -> None:
        self.tracing = tracing

    onlookers = Onlookers()

    def groups(self) -> list[GroupFigures]:
        return [GroupFigures("homers", "hash", True, {"hep:h:9060": True})]

    def books(self) -> Books:
        ledger = Ledger("messages", 3, {"traced": 1, "not_traced": 1}, Counter(rtp=1, stun=0), Counter())
        return Books([ledger], Counter(no_via=1))


def call(agent: Agent, name: str, *parameters: object) -> object:
    try:
        return COMMANDS[name](agent, parameters)
    except Fault as fault:
        return fault.code, fault.message


BAD = (FAULT, "Bad parameter (on, off or check)")
NONE = (FAULT, "Not enough parameters (on, off or check)")


@pytest.mark.parametrize(
    ("before", "parameters", "answer", "after"),
    [
        (False, ["check"], "Disabled", False),
        (True, ["check"], "Enabled", True),
        (False, ["on"], "Enabled", True),
        (True, ["on"], "Enabled", True),
        (True, ["off"], "Disabled", False),
        (False, ["online"], "Enabled", True),
        (False, ["ON"], "Enabled", True),
        (True, ["oFfice"], "Disabled", False),
        (True, ["CHECKED"], "Enabled", True),
        (True, ["on", "off"], "Enabled", True),
        (False, [], NONE, False),
        (True, [""], BAD, True),
        (True, ["o"], BAD, True),
        (True, ["chec"], BAD, True),
        (False, [" on"], BAD, False),
        (False, [1], BAD, False),
        (False, [None], BAD, False),
        (False, [["on"]], BAD, False),
    ],
)
def test_status(before: bool, parameters: list[object], answer: object, after: bool) -> None:
    agent = Agent(before)
    assert (call(agent, "siptrace.status", *parameters), agent.tracing) == (answer, after)


def test_status_as_recorded(shared: Path) -> None:
    """Case 22: trace_on=0 at the start."""
    recorded = json.loads((shared / "siptrace/vectors/5.6.3/22-mode1-off-at-start/result.json").read_text())["rpc"]
    agent = Agent()
    for command, text, _, _ in recorded:
        name, *parameters = command.split()
        answer = call(agent, name, *parameters)
        assert text == (answer if isinstance(answer, str) else f"error: {answer[0]} - {answer[1]}")  # type: ignore[index]
    assert len(recorded) == 10


def test_stats() -> None:
    assert call(Agent(True), "stats") == {
        "tracing": True,
        "ledgers": [
            {"name": "messages", "seen": 3, "traced": 1, "not_traced": 1, "rejected": {"rtp": 1}, "lost": {}},
        ],
        "groups": [{"name": "homers", "mode": "hash", "up": True, "active": {"hep:h:9060": True}}],
        "malformed": {"no_via": 1},
    }


class Whole(Agent):
    """One that answers every command."""

    exposition = Exposition(figures)

    def __init__(self) -> None:
        super().__init__(tracing=True)
        self.reload = lambda: ["http.listen"]

    def figures(self) -> AgentFigures:
        return figures()

    def health(self) -> tuple[list[SinkFigures], list[HealthReason]]:
        return [], []


# By command: parameters, and what its answer contains. A command that is added needs a line.
ANSWERS: dict[str, tuple[list[object], object]] = {
    "siptrace.status": (["check"], "Enabled"),
    "stats": ([], "ledgers"),
    "reload": ([], "restart"),
    "metrics": ([], "# TYPE capture_agent_"),
    "agent.stats": ([], "uuid"),
    "agent.health": ([], "status"),
    "messages": ([], "next"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers(name: str) -> None:
    assert name in ANSWERS, f"tests/control/test_commands.py: add to ANSWERS what {name} is called with, and its answer"
    parameters, part = ANSWERS[name]
    answer = call(Whole(), name, *parameters)
    assert part in answer  # type: ignore[operator]
    json.dumps(answer)


def test_every_command_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "control.md").read_text()
    documented = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert set(COMMANDS) - documented == set(), "docs/control.md: add a row to the table of methods"
    assert documented - set(COMMANDS) == set(), "capture_agent/control/commands.py: COMMANDS has no such method"


def test_methods() -> None:
    find = methods_of(Agent(True))
    status = find("siptrace.status")
    assert status is not None
    assert (status(["check"]), find("siptrace.Status"), find("__class__")) == ("Enabled", None, None)
