"""A condition in user code. Hot: compiled with when.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.hooks.guard import Guard
from capture_agent.hooks.seen_message import SeenMessage
from capture_agent.policy.conditions import Condition
from capture_agent.policy.facts import Facts
from capture_agent.records.captured import CapturedMessage


@cython.final
@cython.cclass
class When(Condition):
    """Called once per message, however many rules use it. If it fails, or is switched off, it does not match."""

    __slots__ = ("_answer", "_guard", "_message")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._message: CapturedMessage | None = None
        self._answer = False

    def holds(self, facts: Facts) -> cython.bint:
        if facts.message is self._message:
            return self._answer
        self._message = facts.message
        self._answer = False
        if self._guard.off:
            return False
        answer = self._guard.call(SeenMessage(facts.message, facts.direction))
        if answer is False:
            self._guard.drops()
        self._answer = answer is True
        return self._answer
