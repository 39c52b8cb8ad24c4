"""A rule's `where`: the filter language as a condition."""

from __future__ import annotations

from capture_agent.policy.conditions import Condition
from capture_agent.policy.facts import Facts
from capture_agent.records.message_filter import MessageFilter


class Where(Condition):
    """Compiled once; evaluated after the cheaper conditions of its rule."""

    __slots__ = ("_matches",)

    def __init__(self, filter_text: str) -> None:
        self._matches = MessageFilter(filter_text).matches

    def holds(self, facts: Facts) -> bool:
        return self._matches(facts.message)
