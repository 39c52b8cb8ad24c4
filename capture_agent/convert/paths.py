"""The ways that a message can take through a route, and the calls of siptrace's functions on each.

A route is a tree of conditions. Its ways are put in such an order that of two the first is the one on which a
condition holds: rules in that order, of which the first that matches decides, need none that must not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from capture_agent.convert.conditions import Matcher, matcher, narrowed
from capture_agent.convert.reading import Note, Place
from capture_agent.convert.script import Route, Script
from capture_agent.convert.syntax import Assignment, Atom, Both, Breakable, Call, Condition, End, If, Not, Statement
from capture_agent.convert.tokens import Token

TRACING = {"sip_trace", "sip_trace_mode"}
SENDING = {"sip_trace_msg", "hlog"}  # they send something else than the message
MOST_WAYS = 500
MOST_STEPS = 100_000
DEEPEST = 20  # routes that call each other


class TooMuch(Exception):
    """A script whose ways are too many to be rules."""


@dataclass(frozen=True, slots=True)
class TraceCall:
    """sip_trace() or sip_trace_mode(), with what the script has set before it."""

    call: Call
    users: tuple[str, ...] = ()  # the last assigned first
    table: str = ""
    flagged: bool = False  # the trace flag is set


@dataclass(frozen=True, slots=True)
class Way:
    matchers: tuple[Matcher, ...] = ()
    calls: tuple[TraceCall, ...] = ()
    users: tuple[str, ...] = ()
    table: str = ""
    flags: frozenset[str] = frozenset()
    ended: str = ""  # exit, return, drop, break; empty: it goes on

    @property
    def effects(self) -> tuple[object, ...]:
        """All but where it has come along."""
        return self.calls, self.users, self.table, self.flags, self.ended


@dataclass
class Walker:
    """`user_variable`, `table_variable`: siptrace's traced_user_avp and trace_table_avp."""

    script: Script
    user_variable: str = ""
    table_variable: str = ""
    trace_flag: str = ""
    notes: list[Note] = field(default_factory=list)
    _steps: int = 0
    _depth: int = 0

    def ways(self, route: Route, start: Way) -> list[Way]:
        """In order. Raises TooMuch."""
        return self._all(route.statements, [start])

    def _all(self, statements: Iterable[Statement], ways: list[Way]) -> list[Way]:
        for statement in statements:
            if all(way.ended for way in ways):
                break
            ways = [after for way in ways for after in ([way] if way.ended else self._one(statement, way))]
            if len(ways) > MOST_WAYS:
                raise TooMuch
        return ways

    def _one(self, statement: Statement, way: Way) -> list[Way]:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuch
        if isinstance(statement, If):
            return self._if(statement, way)
        if isinstance(statement, End):
            return [replace(way, ended=statement.how)]
        if isinstance(statement, Breakable):
            found = self._all(statement.statements, [way])
            return [replace(each, ended="") if each.ended == "break" else each for each in found]
        if isinstance(statement, Assignment):
            return [self._assign(statement, way)]
        return self._call(statement, way)

    def _if(self, statement: If, way: Way) -> list[Way]:
        """Both sides; as one where they do the same."""
        unknown = [atom for atom in atoms(statement.condition) if not self._is_known(atom)]
        if unknown:
            return self._if_unknown(statement, way, unknown)
        found = self._sides(statement, way, True)
        same = {each.effects for each in found}
        if len(same) == 1:
            return [replace(found[0], matchers=way.matchers)]
        return found

    def _sides(self, statement: If, way: Way, unknown: bool) -> list[Way]:
        found = []
        for each, holds in self._decide(statement.condition, way, unknown):
            found += self._all(statement.then if holds else statement.otherwise, [each])
        return found

    def _if_unknown(self, statement: If, way: Way, unknown: list[Atom]) -> list[Way]:
        """What cannot be known: the side is taken on which something is traced, else the one that goes on."""
        tries = []
        for holds in (True, False):
            before = len(self.notes)
            found = self._sides(statement, way, holds)
            notes, self.notes[before:] = self.notes[before:], []
            tries.append((found, notes, holds))
        (if_true, _, _), (if_false, _, _) = tries
        effects = {each.effects for each in (*if_true, *if_false)}
        if len(effects) == 1:
            return [replace(if_true[0], matchers=way.matchers)]
        found, notes, holds = max(tries, key=lambda each: (traces(each[0], way), goes_on(each[0])))
        self.notes += notes
        words = "true" if holds else "false"
        for atom in unknown:
            self.notes.append(Note(atom.place, f"{shown(atom.tokens)}: not known from outside, taken for {words}"))
        return found

    def _decide(self, condition: Condition, way: Way, unknown: bool) -> Iterator[tuple[Way, bool]]:
        if isinstance(condition, Not):
            for each, holds in self._decide(condition.inner, way, unknown):
                yield each, not holds
        elif isinstance(condition, Both):
            for each, holds in self._decide(condition.left, way, unknown):
                if holds == condition.is_and and not each.ended:
                    yield from self._decide(condition.right, each, unknown)
                else:
                    yield each, holds
        else:
            yield from self._decide_atom(condition, way, unknown)

    def _decide_atom(self, atom: Atom, way: Way, unknown: bool) -> Iterator[tuple[Way, bool]]:
        if (call := call_in(atom)) is not None and call.name in TRACING:
            for each in self._call(call, way):
                yield each, True
        elif call is not None and call.name == "isflagset":
            yield way, flag_in(call) in way.flags
        elif (read := matcher(atom.tokens)) is not None:
            condition, must_hold = read
            matchers = narrowed(way.matchers, condition)
            if matchers is not None:
                yield replace(way, matchers=matchers), must_hold
            if matchers is None or set(matchers) != set(way.matchers):
                yield way, not must_hold
        else:
            yield way, unknown

    def _is_known(self, atom: Atom) -> bool:
        call = call_in(atom)
        return (call is not None and call.name in TRACING | {"isflagset"}) or matcher(atom.tokens) is not None

    def _assign(self, statement: Assignment, way: Way) -> Way:
        value = "".join(token.text for token in statement.value if token.kind == "string")
        if self.user_variable and statement.variable == self.user_variable:
            return replace(way, users=(value, *way.users)[:16])
        if self.table_variable and statement.variable == self.table_variable:
            return replace(way, table=value)
        return way

    def _call(self, call: Call, way: Way) -> list[Way]:
        if call.name in TRACING:
            flagged = bool(self.trace_flag) and self.trace_flag in way.flags
            return [replace(way, calls=(*way.calls, TraceCall(call, way.users, way.table, flagged)))]
        if call.name in ("setflag", "resetflag"):
            flag = frozenset((flag_in(call),))
            return [replace(way, flags=way.flags | flag if call.name == "setflag" else way.flags - flag)]
        if call.name == "route" and call.arguments:
            return self._route("".join(token.text for token in call.arguments[0]), call.place, way)
        return [way]

    def _route(self, name: str, place: Place, way: Way) -> list[Way]:
        route = self.script.route(name)
        if route is None or self._depth >= DEEPEST:
            self.notes.append(Note(place, f"route({name}): {'no such route' if route is None else 'too deep'}"))
            return [way]
        self._depth += 1
        found = self._all(route.statements, [way])
        self._depth -= 1
        # return leads back; exit and drop are the end.
        return [replace(each, ended="") if each.ended in ("return", "break") else each for each in found]


def atoms(condition: Condition) -> Iterator[Atom]:
    if isinstance(condition, Not):
        yield from atoms(condition.inner)
    elif isinstance(condition, Both):
        yield from atoms(condition.left)
        yield from atoms(condition.right)
    else:
        yield condition


def call_in(atom: Atom) -> Call | None:
    """A condition that is nothing but a call."""
    tokens = atom.tokens
    if len(tokens) < 3 or tokens[0].kind != "name" or not tokens[1].is_sign("(") or not tokens[-1].is_sign(")"):
        return None
    arguments: list[tuple[Token, ...]] = []
    start = 2
    for at in range(2, len(tokens)):
        if tokens[at].is_sign(",") or at == len(tokens) - 1:
            arguments.append(tokens[start:at])
            start = at + 1
    return Call(tokens[0].text, tuple(arguments) if len(tokens) > 3 else (), tokens[0].place)


def flag_in(call: Call) -> str:
    return "".join(token.text for argument in call.arguments for token in argument)


def traces(found: list[Way], before: Way) -> bool:
    return any(len(way.calls) > len(before.calls) for way in found)


def goes_on(found: list[Way]) -> bool:
    return any(not way.ended for way in found)


def shown(tokens: tuple[Token, ...]) -> str:
    text = "".join(f'"{token.text}"' if token.kind == "string" else token.text for token in tokens)
    return text if len(text) <= 60 else f"{text[:60]}..."


def other_calls(statements: Iterable[Statement]) -> Iterator[Call]:
    """hlog() and sip_trace_msg(), wherever they stand."""
    waiting = list(statements)
    while waiting:
        statement = waiting.pop(0)
        if isinstance(statement, Call) and statement.name in SENDING:
            yield statement
        elif isinstance(statement, Breakable):
            waiting = [*statement.statements, *waiting]
        elif isinstance(statement, If):
            yield from (call for atom in atoms(statement.condition) if (call := call_in(atom)) and call.name in SENDING)
            waiting = [*statement.then, *statement.otherwise, *waiting]
