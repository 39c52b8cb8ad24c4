"""The paths that a message can take through a script, reduced where only one of them can be taken.

Paths are ordered: of two paths, the one on which a condition holds comes first. In rules in that order, of which the
first that matches decides, no condition needs to be negated. If it is not known whether a condition holds, the path
splits in two, and both meet again at the end: more is traced than Kamailio did, and never less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from capture_agent.convert.outcomes import MOST, TooMuch
from capture_agent.convert.rule_matchers import Inexpressible, Matchers, covers, narrowed_by_all
from capture_agent.convert.syntax import Atom, Call
from capture_agent.convert.values import NONE_STORED, Scope, Stored

REPLIES, BRANCHES, FAILURES, BRANCH_FAILURES = "onreply_route", "branch_route", "failure_route", "branch_failure"


@dataclass(frozen=True, slots=True)
class TraceCall:
    """sip_trace() or sip_trace_mode(), with what the script has set before it."""

    call: Call
    scope: Scope
    flagged: bool = False  # the trace flag is set
    kind: str = ""  # of the route that it is in


@dataclass(frozen=True, slots=True)
class Choice:
    """A condition that is not known, and which side of it this is."""

    number: int
    atom: Atom
    holds: bool


@dataclass(frozen=True, slots=True)
class Armed:
    """A route that the transaction will go through, with what it will find set: t_on_reply("NAME") and its kin."""

    kind: str
    name: str
    stored: Stored = NONE_STORED
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Doubt:
    """A condition without which fewer messages might have come along; it counts where more than `calls` are made."""

    atom: Atom
    calls: int = -1


@dataclass(frozen=True, slots=True)
class Way:
    """`armed`: by kind."""

    matchers: Matchers = ()
    calls: tuple[TraceCall, ...] = ()
    stored: Stored = NONE_STORED
    flags: frozenset[str] = frozenset()
    armed: tuple[Armed, ...] = ()
    ended: str = ""  # exit, return, drop, break; empty: it goes on
    path: tuple[Choice, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    @property
    def effects(self) -> tuple[object, ...]:
        """All but where it has come along."""
        return self.calls, self.stored, self.flags, self.armed, self.ended

    def arm(self, kind: str, name: str) -> Way:
        """`0` disarms it."""
        others = tuple(each for each in self.armed if each.kind != kind)
        return replace(self, armed=others if name in ("", "0") else (*others, Armed(kind, name)))

    def finished(self) -> Way:
        """What is set now is what the armed routes will find."""
        armed = tuple(replace(each, stored=self.stored, flags=self.flags) for each in self.armed)
        return replace(self, armed=armed, stored=NONE_STORED, flags=frozenset(), ended="")


def settled(ways: list[Way], depth: int = 0) -> list[Way]:
    """Without choices: where a way has gone on twice, both as one. Raises TooMuch."""
    found: list[Way] = []
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


def union(holds: list[Way], fails: list[Way], atom: Atom) -> list[Way]:
    """Each message gets what it got on one of both sides; it is dropped where it was on both."""
    if not holds or not fails:
        return [doubted(way, atom) for way in holds or fails]
    if {outcome(way) for way in holds} == {outcome(way) for way in fails} and len({*map(outcome, holds)}) == 1:
        return [replace(holds[0], matchers=shared(holds + fails))]
    found: list[Way] = []
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


def together(way: Way, others: list[Way], matchers: Matchers, atom: Atom) -> Way:
    same = all(outcome(way) == outcome(other) for other in others)
    calls = dict.fromkeys((*way.calls, *(call for other in others for call in other.calls)))
    armed = dict.fromkeys((*way.armed, *(each for other in others for each in other.armed)))
    doubts = dict.fromkeys((*way.doubts, *(each for other in others for each in other.doubts)))
    dropped = way.ended == "drop" and all(other.ended == "drop" for other in others)
    ended = "drop" if dropped else way.ended if way.ended != "drop" else ""
    found = replace(way, matchers=matchers, calls=tuple(calls), armed=tuple(armed), doubts=tuple(doubts), ended=ended)
    return found if same else doubted(found, atom)


def outcome(way: Way) -> tuple[object, ...]:
    return way.calls, way.armed, way.ended == "drop"


def doubted(way: Way, atom: Atom) -> Way:
    return way if Doubt(atom) in way.doubts else replace(way, doubts=(*way.doubts, Doubt(atom)))


def shared(ways: Iterable[Way]) -> Matchers:
    """What all of them ask for."""
    first, *others = [way.matchers for way in ways]
    return tuple(each for each in first if all(each in other for other in others))
