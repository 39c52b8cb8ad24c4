"""Compiles the configured rules into Rules that can be evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from capture_agent import config
from capture_agent.config.local import LocalAddress
from capture_agent.config.matchers import ANY, HeaderPattern, Numbers, TextPattern, compiled
from capture_agent.policy.conditions import (
    AddressIn,
    AddressLike,
    AnyOf,
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
from capture_agent.policy.rules import KINDS, MODES, Make, Rule, Rules
from capture_agent.policy.settings import Settings, named
from capture_agent.policy.when import When
from capture_agent.records.captured import Direction
from capture_agent.records.traced import Trace
from capture_agent.sip.headers import canonical

INITIAL, IN_DIALOG, RESPONSE = 0, 1, 2  # as rules.py has them
LAST_STATUS = 699
WHAT = {
    "request": {INITIAL, IN_DIALOG},
    "initial": {INITIAL},
    "in-dialog": {IN_DIALOG},
    "response": set(range(RESPONSE, KINDS)),
}
# RFC 3261 19.1.4: letters' case counts in the user part alone.
TEXTS = {
    "request_user": False, "from_user": False, "to_user": False, "pai_user": False,
    "request_uri": True, "from_uri": True, "to_uri": True, "pai_uri": True,
    "request_host": True, "from_host": True, "to_host": True, "pai_host": True,
}  # fmt: skip
ADDRESSES = {"source": (True, False), "destination": (False, True), "address": (True, True)}
PORTS = ("source_port", "destination_port", "port")


def compile_rules(settings: Settings) -> Rules:
    facts = Facts()
    whens = {name: When(guard) for name, guard in settings.conditions.items()}
    rules = [
        compile_rule(name, rule, sinks, number, facts, whens)
        for number, (name, rule, sinks) in enumerate(named(settings.in_force))
    ]
    trace = settings.trace
    return Rules(rules, facts, trace.match == "all", trace.local_failure_acks, trace.dialog_acks)


def compile_rule(
    name: str, rule: config.Rule, sinks: int, number: int, facts: Facts, whens: Mapping[str, When]
) -> Rule:
    methods = [method.encode() for method in rule.method]
    return Rule(
        name,
        MODES[rule.trace],
        methods,
        kinds(rule),
        statuses(rule.status),
        conditions(rule, facts, whens),
        trace_maker(name, rule, sinks, facts),
        bool(rule.users),
        round(rule.lookback * 1e9),
        number,
        sinks,
    )


def kinds(rule: config.Rule) -> bytes:
    """A byte for each kind of message."""
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


def conditions(rule: config.Rule, facts: Facts, whens: Mapping[str, When]) -> Iterator[Condition]:
    """What costs least comes first."""
    if rule.direction:
        directions = [DirectionIs(Direction(direction)) for direction in rule.direction]
        yield directions[0] if len(directions) == 1 else AnyOf(directions)
    if rule.vlan:
        yield NumberIn("vlan", [(each.low, each.high) for each in rule.vlan])
    for field in PORTS:
        if getattr(rule, field):
            yield NumberIn(field, [(each.first, each.last) for each in getattr(rule, field)])
    for field in ("transport", "interface"):
        if getattr(rule, field):
            yield OneOf(field, getattr(rule, field))
    for field, (source, destination) in ADDRESSES.items():
        if getattr(rule, field):
            yield address_condition(source, destination, getattr(rule, field))
    if rule.sample < 1:
        yield Sampled(rule.sample)
    for field, fold in TEXTS.items():
        if getattr(rule, field):
            yield text_condition(field, getattr(rule, field), fold, facts)
    yield from header_conditions(rule.header, facts)
    if rule.when:
        asked = [whens[name] for name in rule.when]
        yield asked[0] if len(asked) == 1 else AnyOf(asked)


def address_condition(source: bool, destination: bool, places: Iterable[LocalAddress | TextPattern]) -> Condition:
    places = tuple(places)
    known = [place for place in places if isinstance(place, LocalAddress)]
    regexes = [compiled(place.regex) for place in places if isinstance(place, TextPattern) and place.regex is not None]
    found: list[Condition] = [AddressIn(source, destination, known)] if known else []
    if regexes:
        found.append(AddressLike(source, destination, regexes))
    return found[0] if len(found) == 1 else AnyOf(found)


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
    """One for each header's name: its texts are asked together."""
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
    return make(facts)  # shared by all that it starts
