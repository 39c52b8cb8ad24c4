"""The outcomes of the routes as [[rule]]s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from capture_agent.convert.actions import Actions
from capture_agent.convert.modparams import DATABASE, DUPLICATE, HEP, Parameters
from capture_agent.convert.outcomes import Action, Outcome, TooMuch, fewest, union
from capture_agent.convert.paths import other_calls
from capture_agent.convert.reading import Note
from capture_agent.convert.relevance import shown
from capture_agent.convert.script import Script
from capture_agent.convert.script_routes import CORE_EVENT, ScriptRoutes
from capture_agent.convert.simplify import DraftRule, overlap, simplified, without_repeated, without_unreached
from capture_agent.convert.sink_output import Sinks, SinkTable

INSTEAD = {"hlog": "`capture-agent hlog`", "sip_trace_msg": "`capture-agent trace-msg`"}


@dataclass
class RuleMaker:
    """`core`: the sinks that get every message, `match`: as in [trace] match."""

    script: Script
    parameters: Parameters
    sinks: Sinks
    core: tuple[int, ...] = ()
    match: str = "first"
    is_scripted: bool = False  # whether the script's functions trace
    is_doubled: bool = False  # whether both the core and the script trace something
    traces_absorbed_acks: bool = False  # by a function of the script
    notes: list[Note] = field(default_factory=list)
    doubts: list[Note] = field(default_factory=list)  # unknown conditions

    def make(self) -> list[DraftRule]:
        """The rules in order; none if every message is traced anyway."""
        self.core = self._core_sinks()
        actions = Actions(self.script, self.parameters, self.sinks)
        routes = ScriptRoutes(self.script, self.parameters, actions)
        try:
            outcomes = self._of_both(routes)
        except (TooMuch, RecursionError):
            place = next((route.place for route in self.script.routes if route.kind == "request_route"), None)
            self.notes.append(Note(place, "request_route: too many paths: write its rules by hand"))
            outcomes = []
        self._name_the_rest()
        self.traces_absorbed_acks = routes.absorbed_acks
        self.notes += [*routes.notes, *actions.notes]
        why = "not known from outside: tracing both branches"
        self.doubts = [Note(atom.place, f"{shown(atom.tokens)}: {why}") for atom in routes.doubts]
        if any(len(outcome.actions) > 1 for outcome in outcomes):
            self.match = "all"
            return of_all(outcomes)
        return simplified([rule for outcome in outcomes for rule in rules_of(outcome)])

    @property
    def has_core_event(self) -> bool:
        return any(route.name == CORE_EVENT for route in self.script.routes)

    def _of_both(self, routes: ScriptRoutes) -> list[Outcome]:
        """Raises TooMuch."""
        scripted = routes.outcomes()
        traced = any(outcome.actions for outcome in scripted)
        self.is_scripted = traced
        self.is_doubled = bool(self.core and traced)
        ways = routes.dropped() if self.core else []
        if not self.core or not (traced or ways):
            return scripted
        everything = Action("message", self.core, place=self.parameters.place("trace_mode"))
        if not ways:
            return self._with_core(scripted, everything)
        kept = [Outcome(way.matchers, () if way.ended == "drop" else (everything,)) for way in ways]
        return union(scripted, kept)

    def _with_core(self, scripted: list[Outcome], everything: Action) -> list[Outcome]:
        """Each message is sent there once: with the script's action, if there is only one."""
        found = []
        for outcome in scripted:
            actions: tuple[Action, ...] = (*outcome.actions, everything)
            if len(outcome.actions) == 1:
                (action,) = outcome.actions
                actions = (replace(action, sinks=tuple(sorted({*action.sinks, *self.core}))),)
            found.append(Outcome(outcome.matchers, actions))
        return [*found, Outcome((), (everything,))]

    def _core_sinks(self) -> tuple[int, ...]:
        bits, uri = self.parameters.core, self.parameters.text("duplicate_uri")
        place = self.parameters.place("duplicate_uri")
        found: list[SinkTable] = []
        if bits & HEP and uri:
            found += self.sinks.hep(uri, place)
        if bits & DATABASE:
            found += self.sinks.sql()
        if bits & DUPLICATE and uri:
            wanted = bool(self.parameters.number("xheaders_write"))
            if wanted and not self.has_core_event:
                why = "trace_mode writes none without event_route[siptrace:msg]: left out"
                self.notes.append(self.parameters.note("xheaders_write", why))
            found += self.sinks.sip(uri, place, wanted and self.has_core_event)
        if bits & (HEP | DUPLICATE) and not uri:
            self.notes.append(self.parameters.note("trace_mode", "no duplicate_uri to send to"))
        return tuple(self.sinks.found.index(sink) for sink in found)

    def _name_the_rest(self) -> None:
        """Note hlog() and sip_trace_msg(), which do not send the message."""
        for route in self.script.routes:
            for call in other_calls(route.statements):
                note = Note(
                    call.place, f"{call.name}(): not about a message, so no rule: {INSTEAD[call.name]} sends one"
                )
                if note not in self.notes:
                    self.notes.append(note)


def rules_of(outcome: Outcome) -> list[DraftRule]:
    """A rule per action; without an action, one that keeps the message from later rules."""
    return [
        DraftRule(
            outcome.matchers, action.trace, action.place, action.sinks, action.correlation_id, action.users,
            action.table, action.lookback,
        )
        for action in outcome.actions
    ] or [DraftRule(outcome.matchers, "none")]  # fmt: skip


def of_all(outcomes: Iterable[Outcome]) -> list[DraftRule]:
    """For match = "all": after an outcome's rules, one that keeps the message from later outcomes' rules."""
    groups = [rules_of(outcome) for outcome in fewest(list(outcomes), lambda outcome: frozenset(outcome.actions))]
    reached = without_unreached([group[0] for group in groups])
    groups = [group for group in groups if group[0] in reached]
    return without_repeated(with_stops(groups))


def with_stops(groups: list[list[DraftRule]]) -> list[DraftRule]:
    found: list[DraftRule] = []
    for number, group in enumerate(groups):
        later = [rule for other in groups[number + 1 :] for rule in other if rule.trace != "none"]
        actions = {rule.action for rule in group}
        stop = any(overlap(group[0], rule) and rule.action not in actions for rule in later)
        found += [rule for rule in group if rule.trace != "none"]
        if stop:
            found.append(DraftRule(group[0].matchers, "none"))
    return found
