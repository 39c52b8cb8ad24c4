"""What happens to which messages: lists in which the first match decides, and combinations of two lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from capture_agent.convert.reading import ScriptPlace
from capture_agent.convert.rule_matchers import Inexpressible, Matcher, Matchers, covers, narrowed_by_all

MOST = 1000
STRENGTH = ["none", "message", "transaction", "dialog"]


class TooMuch(Exception):
    """The script has too many paths for rules."""


@dataclass(frozen=True, slots=True)
class Negation:
    inner: Formula


@dataclass(frozen=True, slots=True)
class BothOutcomes:
    """Left and right, or left or right."""

    left: Formula
    right: Formula
    is_and: bool


Formula = bool | Matcher | Negation | BothOutcomes  # a condition, as far as rules can express it


@dataclass(frozen=True, slots=True)
class Action:
    """A call of sip_trace(), or trace_mode. `lookback`: earlier messages of the transaction are traced, too."""

    trace: str  # message, transaction, dialog
    sinks: tuple[int, ...]  # by their index in Sinks.found
    correlation_id: str = ""
    users: tuple[str, ...] = ()
    table: str = ""
    lookback: bool = False
    place: ScriptPlace | None = None

    def does_all_of(self, other: Action) -> bool:
        return (
            set(other.sinks) <= set(self.sinks)
            and STRENGTH.index(other.trace) <= STRENGTH.index(self.trace)
            and other.correlation_id in ("", self.correlation_id)
            and (other.users, other.table) in (((), ""), (self.users, self.table))
            and other.lookback <= self.lookback
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    matchers: Matchers
    actions: tuple[Action, ...] = ()


NOTHING = Outcome(())


class Matching(Protocol):
    @property
    def matchers(self) -> Matchers: ...


T = TypeVar("T", bound=Matching)


def union(one: Iterable[Outcome], other: Iterable[Outcome]) -> list[Outcome]:
    """Each message gets the outcomes of both lists. Raises TooMuch."""
    left, right = list(one), list(other)
    if not left or not right:
        return left or right
    every = merged(tuple(action for outcome in right for action in outcome.actions))
    found: list[Outcome] = []
    for a in (*left, NOTHING):
        for b in (*right, NOTHING):
            try:
                matchers = narrowed_by_all(a.matchers, b.matchers)
            except Inexpressible:
                found.append(Outcome(a.matchers, merged(a.actions + every)))
                break
            if matchers is not None and not any(covers(before.matchers, matchers) for before in found):
                found.append(Outcome(matchers, merged(a.actions + b.actions)))
            if len(found) > MOST:
                raise TooMuch
    while found and not found[-1].actions:  # messages without an outcome are not traced
        found.pop()
    return found


def fewest(items: list[T], does: Callable[[T], object]) -> list[T]:
    """Without outcomes that a later one repeats, if none in between differs."""
    kept: list[T] = []
    for item in reversed(items):
        for other in kept:
            if does(other) == does(item) and covers(other.matchers, item.matchers):
                break
            if does(other) != does(item) and not exclude(other.matchers, item.matchers):
                kept.insert(0, item)
                break
        else:
            kept.insert(0, item)
    return kept


def exclude(one: Matchers, other: Matchers) -> bool:
    """Whether no message matches both."""
    try:
        return narrowed_by_all(one, other) is None
    except Inexpressible:
        return False


def merged(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """The fewest with the same result."""
    kept: list[Action] = []
    for action in actions:
        for number, other in enumerate(kept):
            if replace(other, sinks=(), place=None) == replace(action, sinks=(), place=None):
                kept[number] = replace(other, sinks=tuple(sorted({*other.sinks, *action.sinks})))
                break
        else:
            kept.append(action)
    return tuple(
        action
        for number, action in enumerate(kept)
        if not any(
            other.does_all_of(action) and (at < number or not action.does_all_of(other))
            for at, other in enumerate(kept)
            if at != number
        )
    )
