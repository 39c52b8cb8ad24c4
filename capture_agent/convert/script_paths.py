"""The paths that a message can take through a script, reduced if only one of them can be taken.

Paths are ordered: of two paths, the one on which a condition holds comes first. With rules in that order, the first
match decides, so no condition needs to be negated. If it is unknown whether a condition holds, the path splits in two,
and both join again at the end: more is traced than by Kamailio, never less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from capture_agent.convert.outcomes import MOST, TooMuch
from capture_agent.convert.rule_matchers import Inexpressible, Matchers, covers, narrowed_by_all
from capture_agent.convert.syntax import Atom, FunctionCall
from capture_agent.convert.values import NONE_STORED, Scope, Stored

REPLIES, BRANCHES, FAILURES, BRANCH_FAILURES = "onreply_route", "branch_route", "failure_route", "branch_failure"


@dataclass(frozen=True, slots=True)
class TraceCall:
    """A call of sip_trace() or sip_trace_mode(), with the values the script has set before."""

    call: FunctionCall
    scope: Scope
    flagged: bool = False  # the trace flag is set
    kind: str = ""  # of its route


@dataclass(frozen=True, slots=True)
class Choice:
    """An unknown condition, and this branch of it."""

    number: int
    atom: Atom
    holds: bool


@dataclass(frozen=True, slots=True)
class Armed:
    """A route that the transaction will run, with the values set then: t_on_reply("NAME") and similar calls."""

    kind: str
    name: str
    stored: Stored = NONE_STORED
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Doubt:
    """A condition that might have excluded messages; it counts if more than `calls` are made."""

    atom: Atom
    calls: int = -1


@dataclass(frozen=True, slots=True)
class ScriptPath:
    """`armed`: by kind."""

    matchers: Matchers = ()
    calls: tuple[TraceCall, ...] = ()
    stored: Stored = NONE_STORED
    flags: frozenset[str] = frozenset()
    armed: tuple[Armed, ...] = ()
    ended: str = ""  # exit, return, drop, break; empty: it continues
    path: tuple[Choice, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    @property
    def effects(self) -> tuple[object, ...]:
        """Everything except the path's conditions."""
        return self.calls, self.stored, self.flags, self.armed, self.ended

    def arm(self, kind: str, name: str) -> ScriptPath:
        """`0` disarms it."""
        others = tuple(each for each in self.armed if each.kind != kind)
        return replace(self, armed=others if name in ("", "0") else (*others, Armed(kind, name)))

    def finished(self) -> ScriptPath:
        """The armed routes will find the current values."""
        armed = tuple(replace(each, stored=self.stored, flags=self.flags) for each in self.armed)
        return replace(self, armed=armed, stored=NONE_STORED, flags=frozenset(), ended="")


def settled(ways: list[ScriptPath], depth: int = 0) -> list[ScriptPath]:
    """Without choices: joins both branches of a path. Raises TooMuch."""
    found: list[ScriptPath] = []
    at = 0
    while at < len(ways):
        if len(ways[at].path) <= depth:
            found.append(ways[at])
            at += 1
            continue
        number = ways[at].path[depth].number
        end = at
        while end < len(ways) and len(ways[end].path) > depth and ways[end].path[depth].number == number:
            end += 1
        group = ways[at:end]
        holds, fails = (
            settled([way for way in group if way.path[depth].holds is side], depth + 1) for side in (True, False)
        )
        found += union(holds, fails, ways[at].path[depth].atom)
        at = end
        if len(found) > MOST:
            raise TooMuch
    return found


def union(holds: list[ScriptPath], fails: list[ScriptPath], atom: Atom) -> list[ScriptPath]:
    """Each message gets what either branch gives it; it is dropped if both drop it."""
    if not holds or not fails:
        return [doubted(way, atom) for way in holds or fails]
    if {outcome(way) for way in holds} == {outcome(way) for way in fails} and len({*map(outcome, holds)}) == 1:
        return [replace(holds[0], matchers=shared(holds + fails))]
    found: list[ScriptPath] = []
    for way in holds:
        for other in fails:
            try:
                matchers = narrowed_by_all(way.matchers, other.matchers)
            except Inexpressible:
                found.append(together(way, fails, way.matchers, atom))
                break
            if matchers is not None and not any(covers(before.matchers, matchers) for before in found):
                found.append(together(way, [other], matchers, atom))
            if len(found) > MOST:
                raise TooMuch
    return found


def together(way: ScriptPath, others: list[ScriptPath], matchers: Matchers, atom: Atom) -> ScriptPath:
    same = all(outcome(way) == outcome(other) for other in others)
    calls = dict.fromkeys((*way.calls, *(call for other in others for call in other.calls)))
    armed = dict.fromkeys((*way.armed, *(each for other in others for each in other.armed)))
    doubts = dict.fromkeys((*way.doubts, *(each for other in others for each in other.doubts)))
    dropped = way.ended == "drop" and all(other.ended == "drop" for other in others)
    ended = "drop" if dropped else way.ended if way.ended != "drop" else ""
    found = replace(way, matchers=matchers, calls=tuple(calls), armed=tuple(armed), doubts=tuple(doubts), ended=ended)
    return found if same else doubted(found, atom)


def outcome(way: ScriptPath) -> tuple[object, ...]:
    return way.calls, way.armed, way.ended == "drop"


def doubted(way: ScriptPath, atom: Atom) -> ScriptPath:
    return way if Doubt(atom) in way.doubts else replace(way, doubts=(*way.doubts, Doubt(atom)))


def shared(ways: Iterable[ScriptPath]) -> Matchers:
    """The conditions that all of them have."""
    first, *others = [way.matchers for way in ways]
    return tuple(each for each in first if all(each in other for other in others))
