"""The part of the configuration that policy needs: which messages are traced, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from capture_agent.config import Config, Legs, Rule, TraceSection
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.hooks.guard import Guard
from capture_agent.records.traced import ALL_SINKS


@dataclass(frozen=True, slots=True)
class Settings:
    """`sinks`: the bits of the default sinks; `rules`: each with the bits of its sinks; `hooked`: whether there are
    hooks; `conditions`: the user code that rules name in `when`; `keeps_frames`: whether a sink writes captured frames.
    """

    trace: TraceSection = field(default_factory=TraceSection)
    rules: tuple[tuple[Rule, int], ...] = ()
    legs: Legs = field(default_factory=Legs)
    sinks: int = ALL_SINKS
    hooked: bool = False
    conditions: Mapping[str, Guard] = field(default_factory=dict)
    keeps_frames: bool = False

    @classmethod
    def of(
        cls, config: Config, conditions: Mapping[str, Guard] | None = None, sinks: ConfiguredSinks | None = None
    ) -> Settings:
        """`sinks`: the configured sinks, with their ids in this process."""
        sinks = sinks or ConfiguredSinks(config)
        rules = tuple((rule, sinks.of_rule(rule)) for rule in config.rule)
        return cls(
            config.trace,
            rules,
            config.legs,
            sinks.defaults,
            conditions=conditions or {},
            keeps_frames=bool(config.pcap),
        )

    @property
    def in_force(self) -> tuple[tuple[Rule, int], ...]:
        """The rules, or those equivalent to [trace] mode."""
        return self.rules or tuple((rule, self.sinks) for rule in MODES[self.trace.mode])

    @property
    def trivial(self) -> bool:
        """Whether every message is traced in the same way."""
        plain = self.trace.mode == "message" and not self.rules and not self.hooked
        return plain and self.trace.local_failure_acks and not self.legs.links

    @property
    def asks_others(self) -> bool:
        """Whether there is user code: hooks or conditions."""
        return self.hooked or bool(self.conditions)

    @property
    def follows_calls(self) -> bool:
        """Whether anything needs a message's transaction or dialog. User code may."""
        modes = any(rule.trace in ("transaction", "dialog") for rule, _ in self.in_force)
        return modes or self.asks_others or not self.trace.local_failure_acks


# The rules for each [trace] mode. A dialog starts with a request without a To tag (RFC 3261 12.1, RFC 6665 4.1).
MODES: dict[str, tuple[Rule, ...]] = {
    "message": (Rule(name="mode message"),),
    "transaction": (Rule(name="mode transaction", kind=("request",), trace="transaction"),),
    "dialog": (Rule(name="mode dialog", method=("INVITE", "SUBSCRIBE"), kind=("initial",), trace="dialog"),),
}


def named(rules: Iterable[tuple[Rule, int]]) -> list[tuple[str, Rule, int]]:
    """The rules with unique names."""
    return [(rule.name or f"rule {number}", rule, sinks) for number, (rule, sinks) in enumerate(rules, start=1)]
