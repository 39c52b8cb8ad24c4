"""The sinks and groups of a configuration: the name that rules use, what a text names, and the id that each keeps.

An id is a bit of Trace.sinks. Traces live in dialogs, so they outlive the configuration that they were made under:
an id belongs to a target or a group for as long as the process runs, whatever happens to the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from capture_agent.config.groups import Group
from capture_agent.config.rule_options import Rule
from capture_agent.config.sections import KINDS, Config
from capture_agent.config.targets import MOST_SINKS, SinkKind, Target


class TooManySinks(ValueError):
    """More sinks than ids, counting those that are no longer configured."""


def taken_apart(text: str) -> tuple[str, dict[str, Any]] | None:
    """The section that a URI belongs to, and the options that it means; None for a name. Raises ValueError."""
    for section, kind in KINDS.items():
        if (fields := kind.reference(text)) is not None:
            return section, fields
    return None


@dataclass(frozen=True, slots=True)
class ConfiguredSink:
    """`called`: what rules and hooks call it, its `name`, else as the environment does, `hep.1`."""

    section: str
    number: int  # from 0, in its section
    target: Target
    id: int
    called: str

    @property
    def kind(self) -> SinkKind:
        return KINDS[self.section]

    @property
    def bit(self) -> int:
        return 1 << self.id

    @property
    def names(self) -> tuple[str, str]:
        """Its `name`, or what it is called without one, and its number, as in the environment."""
        return self.called, f"{self.section}.{self.number + 1}"

    def is_named(self, text: str) -> bool:
        """Does this text of a rule name the sink? A URI does if every option in it has the sink's value."""
        found = taken_apart(text)
        if found is None:
            return self.target.name == text
        section, fields = found
        return self.section == section and all(getattr(self.target, name) == value for name, value in fields.items())


@dataclass(frozen=True, slots=True)
class ConfiguredGroup:
    """`members`: the ids of its sinks, in its order, each with the text that it is hashed as."""

    group: Group
    id: int
    members: Mapping[int, str]

    @property
    def bit(self) -> int:
        return 1 << self.id

    @property
    def mask(self) -> int:
        """The bits of its members."""
        return sum(1 << id_ for id_ in self.members)


class SinkIds:
    """Gives out ids, and remembers for how long the process runs which target has which.

    A target is found again by what it sends and where (`Target.identity`); if nothing is the same by that, by its
    name; else by its place as messages show it. So it keeps its id when its line moves, when it gets another name,
    when it moves to another host under its name, and when it comes back after it was left out. No id is given to
    another target: a trace of a call may still hold it, and the call would go to whoever has it then.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Hashable, ...]] = []  # by id, the keys of its target: those of SinkIds.keys

    def copy(self) -> SinkIds:
        """To try a configuration that may be refused."""
        other = SinkIds()
        other._known = list(self._known)
        return other

    def of(self, config: Config) -> list[int]:
        """One id for each of config.targets(), in their order, then for each group. Raises TooManySinks."""
        wanted = [keys(section, target) for section in KINDS for target in getattr(config, section)]
        wanted += [(("group", group.name), None, None) for group in config.group]
        found: dict[int, int] = {}  # number of the target: id
        for level in range(LEVELS):
            free: dict[Hashable, list[int]] = {}
            for id_, known in enumerate(self._known):
                if id_ not in found.values():
                    free.setdefault(known[level], []).append(id_)
            for number, one in enumerate(wanted):
                if number not in found and one[level] is not None and free.get(one[level]):
                    found[number] = free[one[level]].pop(0)
        new = [number for number in range(len(wanted)) if number not in found]
        if len(self._known) + len(new) > MOST_SINKS:
            raise TooManySinks(
                f"{len(self._known) + len(new)} sinks have been configured since the agent was started,"
                f" expected at most {MOST_SINKS}: a restart forgets those that are gone"
            )
        for number in new:
            found[number] = len(self._known)
            self._known.append(wanted[number])
        for number, id_ in found.items():
            self._known[id_] = wanted[number]
        return [found[number] for number in range(len(wanted))]


LEVELS = 3


def keys(section: str, target: Target) -> tuple[Hashable, ...]:
    """What identifies the target, the strongest key first; None: the target has no such key."""
    identity = target.identity()
    name = (section, "name", target.name) if target.name else None
    return None if identity is None else (section, identity), name, (section, "place", str(target))


class ConfiguredSinks:
    """In the order of config.targets(). `ids`: the allocator of this process; a new one numbers them in their order.

    Raises TooManySinks.
    """

    def __init__(self, config: Config, ids: SinkIds | None = None) -> None:
        given = iter((SinkIds() if ids is None else ids).of(config))
        self._rules = config.rule
        self._sinks = [
            ConfiguredSink(section, number, target, next(given), target.name or f"{section}.{number + 1}")
            for section in KINDS
            for number, target in enumerate(getattr(config, section))
        ]
        self.groups = [ConfiguredGroup(group, next(given), self._members(group)) for group in config.group]
        self._in_groups = 0
        for one in self.groups:
            self._in_groups |= one.mask

    def _members(self, group: Group) -> Mapping[int, str]:
        found = [next(sink for sink in self._sinks if sink.is_named(text)) for text in group.members]
        return {sink.id: sink.target.name or str(sink.target) for sink in found}

    def __iter__(self) -> Iterator[ConfiguredSink]:
        return iter(self._sinks)

    def called(self, text: str) -> ConfiguredSink | None:
        """The sink with this name; if there is none, with this number."""
        named = [*(sink for sink in self._sinks if sink.called == text), *(s for s in self._sinks if text in s.names)]
        return named[0] if named else None

    @property
    def names(self) -> Mapping[int, str]:
        """By id, what rules and hooks call them."""
        return {sink.id: sink.called for sink in self._sinks} | {one.id: one.group.name for one in self.groups}

    def is_default(self, sink: ConfiguredSink) -> bool:
        """Does it get messages for which no rule names sinks? A member of a group gets them through the group."""
        return sink.target.default and not sink.bit & self._in_groups

    @property
    def defaults(self) -> int:
        """The bits of the sinks and groups that get messages for which no rule names sinks."""
        groups = sum(one.bit for one in self.groups if one.group.default)
        return groups + sum(sink.bit for sink in self._sinks if self.is_default(sink))

    @property
    def log_events(self) -> int:
        """The bits of those that accept log lines: of a group, if all of its members do."""
        accept = sum(sink.bit for sink in self._sinks if sink.kind.log_events)
        bits = accept + sum(one.bit for one in self.groups if not one.mask & ~accept)
        return bits & self.defaults

    def of_rule(self, rule: Rule) -> int:
        """The bits of the sinks and groups that this rule sends to."""
        if not rule.sinks:
            return self.defaults
        groups = sum(one.bit for one in self.groups if one.group.name in rule.sinks)
        return groups + sum(sink.bit for sink in self._sinks if any(map(sink.is_named, rule.sinks)))

    def tables_of(self, sink: ConfiguredSink) -> tuple[str, ...]:
        """The tables that rules name for this sink, in addition to its own."""
        bits = sink.bit + sum(one.bit for one in self.groups if sink.id in one.members)
        named = (rule.table for rule in self._rules if rule.table and self.of_rule(rule) & bits)
        return tuple(dict.fromkeys(named))
