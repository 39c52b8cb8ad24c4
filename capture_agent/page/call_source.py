"""What the pages ask of a source of calls. All methods may wait, and are called in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Protocol

from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.captured import CapturedMessage
from capture_agent.view.call import SipCall
from capture_agent.view.call_store import SORTS

MOST_AT_ONCE = 500  # calls of one answer
MOST_BEFORE = 100_000  # calls; for older ones there are times
MOST_IN_LADDER = 20  # calls in one ladder
MOST_MESSAGES = 5000  # in one ladder
Mask = Callable[[CapturedMessage], CapturedMessage]


@dataclass(frozen=True, slots=True)
class CallChoice:
    """Which calls. `matches`: None: all."""

    since: datetime | None = None
    until: datetime | None = None
    matches: Callable[[SipCall], bool] | None = None

    def shows(self, call: SipCall) -> bool:
        if self.since is not None and call.last_ns < self.since.timestamp() * 1e9:
            return False
        if self.until is not None and call.first_ns > self.until.timestamp() * 1e9:
            return False
        return self.matches is None or self.matches(call)


@dataclass(frozen=True, slots=True)
class CallOrder:
    """By one of SORTS; `reverse`: the greatest first. Of equal ones, and by default, by their first message."""

    name: str = "first"
    reverse: bool = True

    @property
    def is_usual(self) -> bool:
        return self == LATEST_FIRST

    def first(self, calls: Iterable[SipCall], most: int) -> list[SipCall]:
        """The first ones, in this order. Linear where `most` is small."""
        value = SORTS[self.name]
        chosen = nlargest if self.reverse else nsmallest
        return chosen(most, calls, key=lambda call: (value(call), call.first_ns, call.number))


LATEST_FIRST = CallOrder()


@dataclass(frozen=True, slots=True)
class FoundCalls:
    """In the order that was asked for. `after`: where the next ones begin; None: there are no more.

    examined  among how many the wanted ones were searched, and sorted
    complete  these are all of that time
    mark      from which `news` goes on
    """

    calls: list[SipCall]
    legs: dict[bytes, list[SipCall]]
    after: int | None
    examined: int
    complete: bool
    mark: int


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """Sorted by time; at most about MOST_MESSAGES. `left_out`: how many more there were, as far as that is known."""

    messages: list[CapturedMessage]
    left_out: int


@dataclass(frozen=True, slots=True)
class FoundNews:
    """Calls that are new or have changed."""

    calls: list[SipCall]
    mark: int


@dataclass(frozen=True, slots=True)
class SourceState:
    """`live`: there can always be news. `reading`: of what is live, it answers now; of files, not all is read yet.
    `problems`: lines for people."""

    live: bool
    reading: bool
    problems: tuple[str, ...] = ()


class CallSource(Protocol):
    name: str  # for the page's head

    def find(self, wanted: CallChoice, after: int, limit: int, order: CallOrder = LATEST_FIRST) -> FoundCalls: ...
    def legs(self, call_id: str) -> list[str]:
        """The Call-IDs of all its legs, with itself; empty: it is not known."""

    def messages(self, call_ids: Iterable[str]) -> FoundMessages: ...

    def streams(self, call_ids: Iterable[str]) -> list[StreamFigures]:
        """What was measured of their RTP."""

    def news(self, wanted: CallChoice, mark: int) -> FoundNews: ...
    def mark(self) -> int: ...
    def state(self) -> SourceState:
        """Does not wait."""
