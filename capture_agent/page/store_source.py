"""Calls of a CallStore: of capture files, of what is captured now, or of what another agent traces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from capture_agent.media.stream_figures import StreamFigures
from capture_agent.page.call_source import (
    LATEST_FIRST,
    MOST_BEFORE,
    MOST_MESSAGES,
    CallChoice,
    CallOrder,
    FoundCalls,
    FoundMessages,
    FoundNews,
    SourceState,
)
from capture_agent.sip.headers import call_id_forms, text
from capture_agent.view.call import SipCall
from capture_agent.view.call_store import CallStore

MOST_NEWS = 500  # calls


class StoreFeed(Protocol):
    """Who fills the store."""

    store: CallStore

    @property
    def is_live(self) -> bool: ...
    @property
    def reading(self) -> bool: ...
    @property
    def problems(self) -> Sequence[str]: ...


class StoreSource:
    def __init__(self, name: str, feed: StoreFeed) -> None:
        self.name = name
        self._feed = feed
        self._store = feed.store

    def find(self, wanted: CallChoice, after: int, limit: int, order: CallOrder = LATEST_FIRST) -> FoundCalls:
        """`after`: how many of those that match were shown before."""
        page = self._store.select(wanted.shows)
        calls = order.first(page.calls, after + limit)[after:]
        legs = {call.call_id: self._store.legs_of(call) for call in calls}
        last = after + len(calls)
        more = last < page.total and last <= MOST_BEFORE
        return FoundCalls(calls, legs, last if more else None, len(self._store), True, page.version)

    def legs(self, call_id: str) -> list[str]:
        call = self._call(call_id)
        return [] if call is None else [text(leg.call_id) for leg in self._store.legs_of(call)]

    def messages(self, call_ids: Iterable[str]) -> FoundMessages:
        calls = [call for one in call_ids if (call := self._call(one)) is not None]
        found = self._store.messages(call.call_id for call in calls)[:MOST_MESSAGES]
        return FoundMessages(found, max(0, sum(call.messages for call in calls) - len(found)))

    def streams(self, call_ids: Iterable[str]) -> list[StreamFigures]:
        calls = [call for one in call_ids if (call := self._call(one)) is not None]
        return self._store.streams(call.call_id for call in calls)

    def mark(self) -> int:
        return self._store.version

    def news(self, wanted: CallChoice, mark: int) -> FoundNews:
        news = self._store.since(mark)
        return FoundNews([call for call in news.calls if wanted.shows(call)][-MOST_NEWS:], news.version)

    def state(self) -> SourceState:
        return SourceState(self._feed.is_live, self._feed.reading, tuple(self._feed.problems))

    def _call(self, call_id: str) -> SipCall | None:
        """By any form in which it is shown."""
        call = self._store.get(call_id.encode("utf-8", "surrogateescape"))
        if call is None and not (call_id.isascii() and call_id.isprintable() and "\\" not in call_id):
            page = self._store.select(lambda one: call_id in call_id_forms(one.call_id), limit=1)
            call = page.calls[0] if page.calls else None
        return call
