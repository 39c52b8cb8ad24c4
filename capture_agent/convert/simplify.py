"""Reduces rules to the fewest and simplest with the same outcome for every message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from capture_agent.convert.reading import ScriptPlace
from capture_agent.convert.rule_matchers import EXACT, Matcher, contradict, covers, narrowed

REQUEST, INITIAL, IN_DIALOG = (Matcher("kind", (kind,)) for kind in ("request", "initial", "in-dialog"))


@dataclass(frozen=True, slots=True)
class DraftRule:
    matchers: tuple[Matcher, ...]
    trace: str  # none, message, transaction, dialog
    place: ScriptPlace | None = None
    sinks: tuple[int, ...] = ()  # by their index in Sinks.found
    correlation_id: str = ""
    users: tuple[str, ...] = ()
    table: str = ""
    lookback: bool = False

    @property
    def action(self) -> tuple[object, ...]:
        """Its action for a message."""
        return self.trace, frozenset(self.sinks), self.correlation_id, self.users, self.table, self.lookback

    def covers(self, other: DraftRule) -> bool:
        """Whether this one matches everything that the other does."""
        return covers(self.matchers, other.matchers)


def simplified(rules: list[DraftRule]) -> list[DraftRule]:
    """The first matching rule decides; a message without one is not traced."""
    rules = without_unreached(rules)
    rules = without_repeated(rules)
    rules = list(initial_where_only_that_is_left(rules))
    return without_idle(rules)


def without_unreached(rules: list[DraftRule]) -> list[DraftRule]:
    reached: list[DraftRule] = []
    for rule in rules:
        if not any(before.covers(rule) for before in reached):
            reached.append(rule)
    return reached


def without_repeated(rules: list[DraftRule]) -> list[DraftRule]:
    """Removes a rule if a later one does the same for its messages, and none in between does anything else."""
    kept: list[DraftRule] = []
    for rule in reversed(rules):
        if not is_repeated(rule, kept):
            kept.insert(0, rule)
    return kept


def is_repeated(rule: DraftRule, behind: list[DraftRule]) -> bool:
    for other in behind:
        if other.action == rule.action and other.covers(rule):
            return True
        if other.action != rule.action and overlap(rule, other):
            return False
    return False


def initial_where_only_that_is_left(rules: list[DraftRule]) -> Iterator[DraftRule]:
    """Drops the test for requests outside dialogs if an earlier rule matches those inside."""
    for number, rule in enumerate(rules):
        if REQUEST in rule.matchers:
            within = tuple(IN_DIALOG if each == REQUEST else each for each in rule.matchers)
            if any(before.covers(replace(rule, matchers=within)) for before in rules[:number]):
                initial = tuple(INITIAL if each == REQUEST else each for each in rule.matchers)
                rule = replace(rule, matchers=initial)  # noqa: PLW2901
        yield rule


def without_idle(rules: list[DraftRule]) -> list[DraftRule]:
    """Without rules that keep nothing from later rules."""
    kept: list[DraftRule] = []
    for rule in reversed(rules):
        if rule.trace != "none" or any(after.trace != "none" and overlap(rule, after) for after in kept):
            kept.insert(0, rule)
    return kept


def overlap(one: DraftRule, other: DraftRule) -> bool:
    """Whether a message may match both."""
    for matcher in one.matchers:
        if matcher.option not in EXACT:
            continue
        for theirs in other.matchers:
            if theirs.option == matcher.option and narrowed((theirs,), matcher) is None:
                return False
            if contradict((matcher, theirs)):
                return False
    return True


def names(rules: list[DraftRule]) -> Iterator[str]:
    """`kamailio.cfg:33`, each once; empty if a rule only excludes messages."""
    used: set[str] = set()
    for rule in rules:
        base = f"{Path(rule.place.file).name}:{rule.place.line}" if rule.place else ""
        name = base
        number = 2
        while name and name in used:
            name = f"{base} ({number})"
            number += 1
        used.add(name)
        yield name
