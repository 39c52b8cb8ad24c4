"""Batches that wait in memory, bounded in messages and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from capture_agent.delivery.weight import fit
from capture_agent.records.traced import TracedMessage

Part = tuple[Sequence[TracedMessage], int, float]  # a batch, its bytes, and since when it waits


class MessageQueue:
    """The oldest batch comes out first. Its owner's lock guards it.

    messages  that wait
    held      bytes of these, and of those that have come out until the owner takes them off
    """

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.messages = 0
        self.held = 0
        self._parts: deque[Part] = deque()

    @property
    def since(self) -> float | None:
        """When the oldest batch came; None: there is none."""
        return self._parts[0][2] if self._parts else None

    def put(self, batch: Sequence[TracedMessage], weight: int, now: float) -> None:
        self._parts.append((batch, weight, now))
        self.messages += len(batch)
        self.held += weight

    def room(self, batch: Sequence[TracedMessage], weight: int, in_memory: int) -> int:
        """How many messages of a batch fit. One always fits if nothing is held, however long its buffer is."""
        room = max(0, self.limit - in_memory)
        if self.held + weight > self.limit_bytes:
            count, _ = fit(batch, self.limit_bytes - self.held)
            room = min(room, max(count, 0 if self.held else 1))
        return room

    def is_above(self, percent: int) -> bool:
        """Whether more than this part of the room is taken."""
        return 100 * self.messages > percent * self.limit or 100 * self.held > percent * self.limit_bytes

    def pop(self, most: int) -> Part:
        """The oldest batch, with those after it, up to this many messages. There is one."""
        batch, weight, since = self._parts.popleft()
        if self._parts and len(batch) + len(self._parts[0][0]) <= most:
            batch = list(batch)
            while self._parts and len(batch) + len(self._parts[0][0]) <= most:
                more, more_weight, _ = self._parts.popleft()
                batch += more
                weight += more_weight
        self.messages -= len(batch)
        return batch, weight, since

    def first(self, messages: int, held: int) -> list[Part]:
        """The oldest batches, until they have so many messages or bytes."""
        parts = list[Part]()
        while self._parts and messages > 0 and held > 0:
            part = self._parts.popleft()
            parts.append(part)
            messages -= len(part[0])
            held -= part[1]
            self.messages -= len(part[0])
        return parts

    def give_back(self, parts: Sequence[Part]) -> None:
        """What came out last, and was not taken off."""
        self._parts.extendleft(reversed(parts))
        self.messages += sum(len(part[0]) for part in parts)

    def clear(self) -> int:
        """Returns how many messages there were."""
        count = self.messages
        self.held -= sum(weight for _, weight, _ in self._parts)
        self._parts.clear()
        self.messages = 0
        return count
