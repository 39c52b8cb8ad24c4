"""Calls of a sip_trace table. Each question is a query of its own, for the rows of a bounded number of calls."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice

from capture_agent.config.rule_options import Legs
from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_calls import (
    CALLS_AT_ONCE,
    legs_in_table,
    messages_of_calls,
    parts,
    rows_added,
)
from capture_agent.history.stored_messages import seen_message
from capture_agent.history.stored_rows import StoredRows, TimeRange, reading
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
    Mask,
    SourceState,
)
from capture_agent.records.captured import CapturedMessage
from capture_agent.sinks.sql.database import parse_url, shown
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook

MOST_EXAMINED = 5000  # calls for one answer
SEARCH_SECONDS = 2.0  # after which an answer has what was found until then
MOST_NEWS = 500  # calls


class MaskedBook(CallBook):
    """Calls whose messages are masked first."""

    def __init__(self, legs: Legs | None, mask: Mask | None) -> None:
        super().__init__(legs)
        self._mask = mask

    def add(self, messages: Iterable[CapturedMessage], stored_as: bytes | None = None) -> None:
        super().add(map(self._mask, messages) if self._mask else messages, stored_as)


class TableSource:
    """All methods raise SinkError."""

    def __init__(self, target: SqlTarget, legs: Legs | None = None, mask: Mask | None = None) -> None:
        self.name = f"{shown(parse_url(target.url))}, {target.table}"
        self._target = target
        self._legs = legs
        self._mask = mask

    def find(self, wanted: CallChoice, after: int, limit: int, order: CallOrder = LATEST_FIRST) -> FoundCalls:
        """`after`: how many of the latest calls were examined before. In another order: how many were shown before, of
        the latest MOST_EXAMINED, which are examined as a whole."""
        usual = order.is_usual
        before = after if usual else 0
        most = limit + 1 if usual and wanted.matches is None else max(MOST_EXAMINED, limit + 1)
        enough = limit if usual else most
        book = MaskedBook(self._legs, self._mask)
        with reading(self._target) as rows:
            last_id = rows.last_id()
            names = rows.latest_names(before + most, TimeRange(wanted.since, wanted.until))[before:]
            found, examined = self._examined(book, rows, names, wanted, enough)
        complete = before == 0 and examined == len(names) < most
        calls = order.first(found, len(found))
        if usual:
            more = (examined < len(names) or len(names) >= most) and after + examined <= MOST_BEFORE
            following = after + examined
        else:
            more, following = after + limit < len(calls), after + limit
            calls = calls[after:following]
        legs = {call.call_id: book.legs_of(call) for call in calls}
        return FoundCalls(calls, legs, following if more else None, examined, complete, last_id)

    def _examined(
        self, book: CallBook, rows: StoredRows, names: Sequence[bytes], wanted: CallChoice, enough: int
    ) -> tuple[list[SipCall], int]:
        """The calls that are wanted, until there are enough or it is late; and how many calls these are of."""
        late = time.monotonic() + SEARCH_SECONDS
        found: list[bytes] = []
        examined = 0
        for part in parts(names, min(CALLS_AT_ONCE, enough)):
            known = len(book)
            for _ in rows_added(book, rows, part):
                pass
            found += [call.call_id for call in islice(book, known, None) if wanted.shows(call)]
            examined += len(part)
            if len(found) >= enough or time.monotonic() > late:
                break
        return [call for call_id in found if (call := book.get(call_id)) is not None], examined

    def legs(self, call_id: str) -> list[str]:
        return legs_in_table(self._target, call_id, self._legs)

    def messages(self, call_ids: Iterable[str]) -> FoundMessages:
        found: list[CapturedMessage] = []
        left_out = 0
        for row in messages_of_calls(self._target, call_ids):
            message = seen_message(row)
            if message is not None and len(found) < MOST_MESSAGES:
                found.append(self._mask(message) if self._mask else message)
            elif message is not None:
                left_out += 1
        return FoundMessages(sorted(found, key=lambda message: message.time_ns), left_out)

    def streams(self, call_ids: Iterable[str]) -> list[StreamFigures]:
        """A table has only SIP."""
        return []

    def mark(self) -> int:
        with reading(self._target) as rows:
            return rows.last_id()

    def news(self, wanted: CallChoice, mark: int) -> FoundNews:
        book = MaskedBook(self._legs, self._mask)
        with reading(self._target) as rows:
            last_id = rows.last_id()
            if last_id > mark:
                for part in parts(rows.names_since(mark)[:MOST_NEWS], CALLS_AT_ONCE):
                    for _ in rows_added(book, rows, part):
                        pass
        return FoundNews([call for call in book if wanted.shows(call)], last_id)

    def state(self) -> SourceState:
        return SourceState(live=True, reading=True)
