"""Compiles the configured rules into Rules that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from capture_agent import config
from capture_agent.config.endpoints import LocalAddress
from capture_agent.config.matchers import ANY, HeaderPattern, Numbers, TextPattern, compiled
from capture_agent.policy.conditions import (
    AddressIn,
    AddressLike,
    AnyOf,
    CaptureIdIn,
    Condition,
    DirectionIs,
    NumberIn,
    OneOf,
    Present,
    Sampled,
    TextIs,
)
from capture_agent.policy.facts import Facts
from capture_agent.policy.filling import Filler
from capture_agent.policy.rules import KINDS, MODES, CompiledRule, Make, Rules
from capture_agent.policy.settings import Settings, named
from capture_agent.policy.when import When
from capture_agent.records.captured import Direction
from capture_agent.records.traced import Trace
from capture_agent.sip.headers import canonical

INITIAL, IN_DIALOG, RESPONSE = 0, 1, 2  # as in rules.py
LAST_STATUS = 699
WHAT = {
    "request": {INITIAL, IN_DIALOG},
    "initial": {INITIAL},
    "in-dialog": {IN_DIALOG},
    "response": set(range(RESPONSE, KINDS)),
}


def compile_rules(settings: Settings) -> Rules:
    facts = Facts()
    shared = Shared(facts, {name: When(guard) for name, guard in settings.conditions.items()})
    rules = [
        compile_rule(name, rule, sinks, number, shared)
        for number, (name, rule, sinks) in enumerate(named(settings.in_force))
    ]
    trace = settings.trace
    return Rules(rules, facts, trace.match == "all", trace.local_failure_acks, trace.dialog_acks)


@dataclass(frozen=True, slots=True)
class Shared:
    """Shared by the conditions of all rules: each value is looked up, and each `when` called, only once."""

    facts: Facts
    whens: Mapping[str, When]


def compile_rule(name: str, rule: config.Rule, sinks: int, number: int, shared: Shared) -> CompiledRule:
    methods = [method.encode() for method in rule.method]
    return CompiledRule(
        name,
        MODES[rule.trace],
        methods,
        kinds(rule),
        statuses(rule.status),
        conditions(rule, shared),
        trace_maker(name, rule, sinks, shared.facts),
        bool(rule.users),
        round(rule.lookback * 1e9),
        number,
        sinks,
    )


def kinds(rule: config.Rule) -> bytes:
    """A byte per kind of message."""
    allowed = set().union(*(WHAT[kind] for kind in rule.kind)) if rule.kind else set(range(KINDS))
    if rule.status:
        allowed &= {
            RESPONSE + number for each in rule.status for number in range(each.low // 100, each.high // 100 + 1)
        }
    return bytes(kind in allowed for kind in range(KINDS))


def statuses(ranges: Iterable[Numbers]) -> bytes:
    ranges = tuple(ranges)
    if not ranges:
        return b""
    return bytes(any(each.low <= status <= each.high for each in ranges) for status in range(LAST_STATUS + 1))


def conditions(rule: config.Rule, shared: Shared) -> Iterator[Condition]:
    """The matchers of a rule, cheapest first."""
    for field, compiler in CONDITIONS.items():
        if (value := getattr(rule, field)) != DEFAULTS[field]:
            yield from compiler(value, shared)


Compiler = Callable[[Any, Shared], Iterable[Condition]]  # from the field's value


def directions(values: Iterable[str], shared: Shared) -> Iterator[Condition]:
    yield any_of([DirectionIs(Direction(value)) for value in values])


def vlans(values: Iterable[Numbers], shared: Shared) -> Iterator[Condition]:
    yield NumberIn("vlan", [(value.low, value.high) for value in values])


def capture_ids(values: Iterable[Numbers], shared: Shared) -> Iterator[Condition]:
    yield CaptureIdIn([(value.low, value.high) for value in values])


def ports(field: str) -> Compiler:
    return lambda values, shared: [NumberIn(field, [(value.first, value.last) for value in values])]


def one_of(field: str) -> Compiler:
    return lambda values, shared: [OneOf(field, values)]


def addresses(source: bool, destination: bool) -> Compiler:
    return lambda values, shared: [address_condition(source, destination, values)]


def sampled(part: float, shared: Shared) -> Iterator[Condition]:
    yield Sampled(part)


def text(field: str, fold: bool) -> Compiler:
    """Texts compared with the slot of this name: a part of a URI, or a header. `fold`: ignores case."""
    return lambda values, shared: [text_condition(field, values, fold, shared.facts)]


def headers(values: Iterable[HeaderPattern], shared: Shared) -> Iterator[Condition]:
    return header_conditions(values, shared.facts)


def when(names: Iterable[str], shared: Shared) -> Iterator[Condition]:
    yield any_of([shared.whens[name] for name in names])


def where(filter_text: str, shared: Shared) -> Iterator[Condition]:
    from capture_agent.policy.where import Where

    yield Where(filter_text)


def any_of(found: list[Condition]) -> Condition:
    return found[0] if len(found) == 1 else AnyOf(found)


def address_condition(source: bool, destination: bool, places: Iterable[LocalAddress | TextPattern]) -> Condition:
    places = tuple(places)
    known = [place for place in places if isinstance(place, LocalAddress)]
    regexes = [compiled(place.regex) for place in places if isinstance(place, TextPattern) and place.regex is not None]
    found: list[Condition] = [AddressIn(source, destination, known)] if known else []
    if regexes:
        found.append(AddressLike(source, destination, regexes))
    return any_of(found)


def text_condition(field: str, patterns: Iterable[TextPattern], fold: bool, facts: Facts) -> Condition:
    exact, globs, regexes = [], [], []
    for pattern in patterns:
        text = pattern.text.lower() if fold else pattern.text
        if pattern.regex is not None:
            regexes.append(compiled(pattern.regex))
        elif ANY in text:
            globs.append(tuple(part.encode() for part in text.split(ANY)))
        else:
            exact.append(text.encode())
    return TextIs(facts.slot_of(field, fold), facts.slot_of(field), exact, globs, regexes)


def header_conditions(headers: Iterable[HeaderPattern], facts: Facts) -> Iterator[Condition]:
    """One condition per header name, for all its texts."""
    by_name: dict[str, list[TextPattern]] = {}
    for header in headers:
        by_name.setdefault(canonical(header.name), []).append(header.value)
    for name, patterns in by_name.items():
        if any(pattern.text == ANY for pattern in patterns):
            yield Present(facts.slot_of(name))
        else:
            yield text_condition(name, patterns, True, facts)


def trace_maker(name: str, rule: config.Rule, sinks: int, facts: Facts) -> Make | Trace:
    correlation_id = Filler(rule.correlation_id, facts)
    users = [Filler(template, facts) for template in rule.users]

    def make(facts: Facts) -> Trace:
        found = dict.fromkeys(user.text(facts) for user in users)
        return Trace(
            sinks, correlation_id.filled(facts), tuple(filter(None, found)), rule.table, rule=name, masks=rule.mask
        )

    if correlation_id.constant is None or any(user.constant is None for user in users):
        return make
    return make(facts)  # shared by everything that the rule starts


# The matchers by a rule's field, cheapest first.
CONDITIONS: dict[str, Compiler] = {
    "direction": directions,
    "vlan": vlans,
    "capture_id": capture_ids,
    "source_port": ports("source_port"),
    "destination_port": ports("destination_port"),
    "port": ports("port"),
    "transport": one_of("transport"),
    "interface": one_of("interface"),
    "source": addresses(True, False),
    "destination": addresses(False, True),
    "address": addresses(True, True),
    "sample": sampled,
    "node": text("node", fold=False),
    # RFC 3261 19.1.4: only the user part is case-sensitive.
    "request_user": text("request_user", fold=False),
    "from_user": text("from_user", fold=False),
    "to_user": text("to_user", fold=False),
    "pai_user": text("pai_user", fold=False),
    "request_uri": text("request_uri", fold=True),
    "from_uri": text("from_uri", fold=True),
    "to_uri": text("to_uri", fold=True),
    "pai_uri": text("pai_uri", fold=True),
    "request_host": text("request_host", fold=True),
    "from_host": text("from_host", fold=True),
    "to_host": text("to_host", fold=True),
    "pai_host": text("pai_host", fold=True),
    "header": headers,
    "where": where,
    "when": when,
}
INDEXED = {"method", "kind", "status"}  # matchers that compile_rule() passes to the index
OUTCOMES = {"name", "trace", "sinks", "correlation_id", "users", "table", "mask", "lookback"}  # fields of a match
DEFAULTS = {field.name: field.default for field in fields(config.Rule)}

if unknown := DEFAULTS.keys() - CONDITIONS.keys() - INDEXED - OUTCOMES:
    # A rule with a matcher that is not compiled would match everything.
    raise TypeError(f"{', '.join(unknown)}: a rule has this field, and policy/compiling.py has no line for it")
