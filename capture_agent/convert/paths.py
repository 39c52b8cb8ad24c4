"""Walks through a route: every path that a message can take, with the calls of siptrace's functions on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, groupby

from capture_agent.convert.outcomes import BothOutcomes as BothHold
from capture_agent.convert.outcomes import Formula, Negation, TooMuch
from capture_agent.convert.reading import Note, ScriptPlace
from capture_agent.convert.relevance import (
    ARMING,
    ASKING,
    RESETTING,
    SENDING,
    SETTING,
    TRACING,
    Relevance,
    arms,
    atoms,
    call_in,
    flag_in,
    traces,
)
from capture_agent.convert.rule_matchers import Inexpressible, Matcher, narrowed
from capture_agent.convert.script import Script
from capture_agent.convert.script_assignments import ScriptAssignments
from capture_agent.convert.script_conditions import formula
from capture_agent.convert.script_paths import BRANCHES, Choice, Doubt, ScriptPath, TraceCall
from capture_agent.convert.syntax import (
    Assignment,
    Atom,
    Both,
    Breakable,
    Condition,
    End,
    FunctionCall,
    If,
    Not,
    Statement,
)
from capture_agent.convert.variables import EVENT, REQUEST

EVERYTHING, CALLS, ARMED = "everything", "calls", "armed"
MOST_WAYS = 500
MOST_STEPS = 100_000
MOST_CHOICES = 60
DEEPEST = 20  # routes that call each other


@dataclass
class Walker:
    """`kind`: the route's, `packet`: the message that its variables refer to, `failed`: the transaction has a status.

    asks     for calls, for armed routes, or for both: anything else does not split paths
    numbers  of choices, unique over all walks that continue one another
    """

    script: Script
    relevance: Relevance
    trace_flag: str = ""
    kind: str = "request_route"
    packet: str = REQUEST
    failed: bool = False
    asks: str = EVERYTHING
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    notes: list[Note] = field(default_factory=list)
    _steps: int = 0
    _depth: int = 0

    def __post_init__(self) -> None:
        self._values = ScriptAssignments(self.relevance, self.packet, self.failed)

    def ways(self, statements: tuple[Statement, ...], starts: list[ScriptPath]) -> list[ScriptPath]:
        """The paths in order. Raises TooMuch."""
        return self._all(statements, starts)

    def _all(self, statements: Iterable[Statement], ways: list[ScriptPath]) -> list[ScriptPath]:
        for statement in statements:
            if all(way.ended for way in ways):
                break
            ways = [after for way in ways for after in ([way] if way.ended else self._one(statement, way))]
            if len(ways) > MOST_WAYS:
                raise TooMuch
        return ways

    def _one(self, statement: Statement, way: ScriptPath) -> list[ScriptPath]:
        self._steps += 1
        if self._steps > MOST_STEPS or len(way.path) > MOST_CHOICES:
            raise TooMuch
        if isinstance(statement, If):
            return self._if(statement, way)
        if isinstance(statement, End):
            return [replace(way, ended=statement.how)]
        if isinstance(statement, Breakable):
            found = self._all(statement.statements, [way])
            return [replace(each, ended="") if each.ended == "break" else each for each in found]
        if isinstance(statement, Assignment):
            return [self._values.assign(statement, way)]
        return self._call(statement, way)

    def _if(self, statement: If, way: ScriptPath) -> list[ScriptPath]:
        """Both branches; a single path if they do the same."""
        decided = list(self._decide(statement.condition, way))
        found: list[ScriptPath] = []
        for each, holds in decided:
            found += self._all(statement.then if holds else statement.otherwise, [each])
        if len({each.effects for each in found}) == 1 and found:
            return [replace(found[0], matchers=way.matchers, path=way.path, doubts=way.doubts)]
        return self._without_vain(found, way)

    def _without_vain(self, found: list[ScriptPath], before: ScriptPath) -> list[ScriptPath]:
        """If a condition is unknown and one branch only ends, that branch adds nothing: one path fewer continues."""
        level = len(before.path)
        kept: list[ScriptPath] = []
        for number, group in groupby(found, lambda way: way.path[level].number if len(way.path) > level else 0):
            ways = list(group)
            vain = {
                side: all(self._is_vain(way, before) for way in ways if way.path[level].holds is side)
                for side in (True, False)
                if number
            }
            if not number or vain[True] == vain[False]:
                kept += ways
                continue
            for way in ways:
                choice = way.path[level]
                if not vain[choice.holds]:
                    path = (*way.path[:level], *way.path[level + 1 :])
                    calls = -1 if self.packet == EVENT else len(before.calls)
                    kept.append(replace(way, path=path, doubts=(*way.doubts, Doubt(choice.atom, calls))))
        return kept

    def _is_vain(self, way: ScriptPath, before: ScriptPath) -> bool:
        """Whether it has ended with nothing traced or armed; if messages are traced anyway, only a drop does that."""
        ended = way.ended == "drop" if self.packet == EVENT else bool(way.ended)
        return ended and way.calls == before.calls and way.armed == before.armed

    def _decide(self, condition: Condition, way: ScriptPath) -> Iterator[tuple[ScriptPath, bool]]:
        if isinstance(condition, Not):
            for each, holds in self._decide(condition.inner, way):
                yield each, not holds
        elif isinstance(condition, Both):
            for each, holds in self._decide(condition.left, way):
                if holds == condition.is_and and not each.ended:
                    yield from self._decide(condition.right, each)
                else:
                    yield each, holds
        else:
            yield from self._decide_atom(condition, way)

    def _decide_atom(self, atom: Atom, way: ScriptPath) -> Iterator[tuple[ScriptPath, bool]]:
        call = call_in(atom)
        if call is not None and call.name in ASKING and flag_in(call):
            yield way, flag_in(call) in way.flags
            return
        afterwards = [way] if call is None else self._call(call, way)
        for each in afterwards:
            if call is not None and call.name in TRACING:
                yield each, True
                continue
            asked = (
                None if call is not None and call.name == "route" else formula(atom.tokens, self._values.scope(each))
            )
            try:
                yield from self._unknown(atom, each) if asked is None else list(self._ask(asked, each))
            except Inexpressible:
                yield from self._unknown(atom, each)

    def _unknown(self, atom: Atom, way: ScriptPath) -> Iterator[tuple[ScriptPath, bool]]:
        number = next(self.numbers)
        for holds in (True, False):
            yield replace(way, path=(*way.path, Choice(number, atom, holds))), holds

    def _ask(self, asked: Formula, way: ScriptPath) -> Iterator[tuple[ScriptPath, bool]]:
        """Raises Inexpressible."""
        if isinstance(asked, bool):
            yield way, asked
        elif isinstance(asked, Negation):
            for each, holds in self._ask(asked.inner, way):
                yield each, not holds
        elif isinstance(asked, BothHold):
            for each, holds in self._ask(asked.left, way):
                if holds == asked.is_and:
                    yield from self._ask(asked.right, each)
                else:
                    yield each, holds
        else:
            yield from self._ask_matcher(asked, way)

    def _ask_matcher(self, asked: Matcher, way: ScriptPath) -> Iterator[tuple[ScriptPath, bool]]:
        matchers = narrowed(way.matchers, asked)
        if matchers is not None:
            yield replace(way, matchers=matchers), True
        if matchers is None or set(matchers) != set(way.matchers):
            yield way, False

    def _call(self, call: FunctionCall, way: ScriptPath) -> list[ScriptPath]:
        if call.name in TRACING and self.asks == ARMED:
            return [way]
        if call.name in TRACING:
            flagged = bool(self.trace_flag) and self.trace_flag in way.flags
            return [replace(way, calls=(*way.calls, TraceCall(call, self._values.scope(way), flagged, self.kind)))]
        if call.name in SETTING | RESETTING:
            flag = frozenset((flag_in(call),)) & self.relevance.flags
            return [replace(way, flags=way.flags | flag if call.name in SETTING else way.flags - flag)]
        if call.name == "route" and call.arguments:
            return self._route("".join(token.text for token in call.arguments[0]), call.place, way)
        if call.name in ARMING and call.arguments:
            return [self._arm(ARMING[call.name], call, way)]
        return [self._values.store(call, way)]

    def _arm(self, kind: str, call: FunctionCall, way: ScriptPath) -> ScriptPath:
        name = "".join(token.text for token in call.arguments[0])
        if self.asks == CALLS and kind != BRANCHES:
            return way
        if "$" in name:
            self.notes.append(Note(call.place, f"{call.name}({name}): a route known only at run time: left out"))
            return way
        event = f"tm:branch-failure:{name}"
        leads_on = any(
            route.name in (name, event) and (traces(route, self.script) or arms(route)) for route in self.script.routes
        )
        return way.arm(kind, name if leads_on else "")

    def _route(self, name: str, place: ScriptPlace, way: ScriptPath) -> list[ScriptPath]:
        route = self.script.route(name)
        if route is None or self._depth >= DEEPEST:
            self.notes.append(Note(place, f"route({name}): {'no such route' if route is None else 'too deep'}"))
            return [way]
        self._depth += 1
        found = self._all(route.statements, [way])
        self._depth -= 1
        # return goes back; exit and drop end the script.
        return [replace(each, ended="") if each.ended in ("return", "break") else each for each in found]


def other_calls(statements: Iterable[Statement]) -> Iterator[FunctionCall]:
    """All calls of hlog() and sip_trace_msg()."""
    waiting = list(statements)
    while waiting:
        statement = waiting.pop(0)
        if isinstance(statement, FunctionCall) and statement.name in SENDING:
            yield statement
        elif isinstance(statement, Breakable):
            waiting = [*statement.statements, *waiting]
        elif isinstance(statement, If):
            yield from (call for atom in atoms(statement.condition) if (call := call_in(atom)) and call.name in SENDING)
            waiting = [*statement.then, *statement.otherwise, *waiting]
