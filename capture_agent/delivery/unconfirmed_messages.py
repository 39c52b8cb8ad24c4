"""Messages that a sink has taken and may give back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from capture_agent.records.traced import TracedMessage


class UnconfirmedMessages:
    """In order. The sink bounds them: it takes no more while too many are unconfirmed."""

    def __init__(self) -> None:
        self._parts: deque[Sequence[TracedMessage]] = deque()
        self._held = 0

    def add(self, batch: Sequence[TracedMessage], unconfirmed: int) -> None:
        """`unconfirmed`: of all that were added, the last so many are not confirmed. Others do not come back."""
        if not unconfirmed:
            self._parts.clear()
            self._held = 0
            return
        if batch:
            self._parts.append(batch)
            self._held += len(batch)
        while self._parts and self._held - len(self._parts[0]) >= unconfirmed:
            self._held -= len(self._parts.popleft())

    def take_back(self, count: int) -> list[TracedMessage]:
        """The last so many, in order. Forgets all."""
        found = [message for part in self._parts for message in part]
        self.add((), 0)
        return found[-count:] if count else []
