"""What a sink has been given and has not confirmed yet: that may come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture_agent.records.traced import TracedMessage

if TYPE_CHECKING:
    from capture_agent.delivery.spool.spool import Taken  # SQLite


@dataclass(slots=True)
class Handed:
    """Messages that the sink has, in order. `row`: the batch in the spool that has them, else they are in `messages`.

    at    how many of the batch come before them
    last  whether the batch ends with them
    """

    count: int
    messages: Sequence[TracedMessage]
    row: Taken | None = None
    at: int = 0
    last: bool = False


class HandedOver:
    """In the order in which the sink got them. A sink confirms from the first one on, and bounds them: it takes no more
    while too many are unconfirmed. `count`: messages in them.
    """

    def __init__(self) -> None:
        self._parts: deque[Handed] = deque()
        self.count = 0

    @property
    def is_in_memory(self) -> bool:
        """Whether the spool has none of them."""
        return all(one.row is None for one in self._parts)

    def clear(self) -> None:
        self._parts.clear()
        self.count = 0

    def add(self, part: Handed) -> None:
        self._parts.append(part)
        self.count += part.count

    def confirmed(self, unconfirmed: int) -> list[Taken]:
        """Forget all but what holds the last `unconfirmed` messages. Returns the batches that are sent so."""
        rows: list[Taken] = []
        while self._parts and self.count - self._parts[0].count >= unconfirmed:
            one = self._parts.popleft()
            self.count -= one.count
            if one.row is not None and one.last:
                rows.append(one.row)
        return rows

    def last(self, count: int) -> Iterator[Handed]:
        """Forget the last `count` messages, the last ones first, each part cut to these."""
        while self._parts and count > 0:
            one = self._parts.pop()
            self.count -= one.count
            back = min(one.count, count)
            count -= back
            kept = one.count - back
            yield replace(one, count=back, messages=one.messages[kept:], at=one.at + kept)

    def take_back(self, count: int) -> list[TracedMessage]:
        """The last `count` messages of those in memory, in order. Forgets all."""
        found = [message for one in self._parts for message in one.messages]
        self.clear()
        return found[-count:] if count else []
