"""What waits for a sink that is down moves to other members of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from capture_agent.records.traced import TracedMessage

if TYPE_CHECKING:
    from capture_agent.delivery.sink_groups import Heirs, Relief


class Stock(Protocol):
    """An outbox whose sink is down: what it has, the oldest first. Only its own thread asks."""

    @property
    def must_leave(self) -> bool:
        """Whether the time to stop is over."""

    def unconfirmed_back(self, batch: Sequence[TracedMessage]) -> Sequence[TracedMessage]:
        """The batch, after what the sink has taken but not confirmed. The sink forgets it."""

    def more(self) -> Sequence[TracedMessage] | None:
        """The next messages that wait, which are in hand then; None: they cannot be had now."""

    def moves(self, count: int, left: Sequence[TracedMessage]) -> None:
        """Others have got so many of those in hand."""

    def is_moved(self, stays: bool) -> bool:
        """Whether all that can move has moved. `stays`: something is in hand that cannot."""


class Moving:
    """Of one outbox. `full`: the others have no room now, or what waits cannot be had now."""

    def __init__(self) -> None:
        self.full = False
        # What cannot move, and who could have had it: it is not looked at again.
        self._stays: tuple[int, Heirs] | None = None

    def move(self, relief: Relief | None, batch: Sequence[TracedMessage], stock: Stock) -> Sequence[TracedMessage]:
        """Move the batch in hand and what waits, the oldest first. What is left is in hand."""
        stay = list[TracedMessage]()
        self.full = False
        if relief is None or not any(heirs := relief.heirs()):
            return batch
        batch = stock.unconfirmed_back(batch)
        more: Sequence[TracedMessage] | None = batch
        if self._stays == (id(batch), heirs):  # all of this was looked at
            stay, more = list(batch), []
        while more is not None:
            left, self.full = relief.move(more, heirs)
            if len(left) < len(more):
                stock.moves(len(more) - len(left), [*stay, *left])
            stay += left
            if self.full or stock.must_leave or relief.leave(heirs, partial(stock.is_moved, bool(stay))):
                break
            more = stock.more()
        self.full = self.full or more is None
        self._stays = None if self.full else (id(stay), heirs)
        return stay
