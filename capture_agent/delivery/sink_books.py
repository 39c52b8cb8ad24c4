"""What has become of the messages that an outbox was given."""

from __future__ import annotations

from collections import Counter

from capture_agent.books import Ledger
from capture_agent.delivery.sink_account import MOVED, SENT, WAITING
from capture_agent.sinks.sink import Figures, Sink


class SinkBooks:
    """Its owner's lock guards it.

    moved       messages that other members of a group have got
    lost        messages that the sink has not got
    taken_back  of those that the sink counts as lost, by place: they are not lost
    figures     of the sink, after its last batch
    """

    def __init__(self, sink: Sink) -> None:
        self.given = 0
        self.moved = 0
        self.lost: Counter[str] = Counter()
        self.taken_back: Counter[str] = Counter()
        self.figures = Figures.of(sink)

    def lost_in_all(self) -> int:
        return self.lost.total() + self.figures.lost.total() - self.taken_back.total()

    def take_back(self, lost: Counter[str], count: int) -> None:
        """So many of those that the sink has just counted as lost are not."""
        for place, of_place in lost.items():
            self.taken_back[place] += min(of_place, count)
            count -= min(of_place, count)

    def ledger(self, name: str, waiting: int, more_lost: Counter[str]) -> Ledger:
        lost = self.lost + self.figures.lost + more_lost
        lost.subtract(self.taken_back)
        return Ledger(
            name,
            seen=self.given,
            outcomes={SENT: self.figures.sent, WAITING: waiting} | ({MOVED: self.moved} if self.moved else {}),
            rejected=Counter(self.figures.rejected),
            lost=+lost,
        )
