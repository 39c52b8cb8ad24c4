"""Server-sent events: what is new about the calls that a list shows, and about their source."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from capture_agent.page.call_source import CallChoice, CallSource, FoundNews, SourceState
from capture_agent.sinks.sink import SinkError

MOST_STREAMS = 32  # at once
MOST_CALLS = 100  # of one event
LOOK_AGAIN = 1.0  # seconds
SIGN_OF_LIFE = 5.0  # seconds between two lines: a connection on which nothing comes would be late
EVENTS = "text/event-stream"
RETRY = "retry: 2000\n\n"

AsObject = Callable[[FoundNews], list[dict[str, Any]]]


class LiveEvents:
    """Only used in its event loop. However many streams there are, the source is asked once a second whether there is
    news; then each stream asks for its own."""

    def __init__(self, source: CallSource, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self.streams = 0
        self._source = source
        self._in_thread = in_thread
        self._looking = asyncio.Lock()
        self._mark, self._problem, self._looked_at = 0, "", -LOOK_AGAIN

    def open(self, wanted: CallChoice, mark: int | None, as_objects: AsObject) -> EventResponse | None:
        """The answer that streams them, what is after `mark` first; None: there are too many."""
        if self.streams >= MOST_STREAMS:
            return None
        return EventResponse(self, self._stream(wanted, mark, as_objects))

    async def _look(self) -> SourceState:
        """Where the source is, and what is wrong with it."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_AGAIN:
                try:
                    self._mark, self._problem = await self._in_thread(self._source.mark), ""
                except SinkError as error:
                    self._problem = str(error)
                self._looked_at = time.monotonic()
        return self._state(self._problem)

    def _state(self, problem: str) -> SourceState:
        state = self._source.state()
        return replace(state, reading=False, problems=(*state.problems, problem)) if problem else state

    async def _stream(self, wanted: CallChoice, mark: int | None, as_objects: AsObject) -> AsyncIterator[str]:
        yield RETRY
        said: SourceState | None = None
        said_at = time.monotonic()
        while True:
            state, news = await self._look(), None
            mark = self._mark if mark is None and not self._problem else mark
            if mark is not None and self._mark != mark and not self._problem:
                try:
                    news = await self._in_thread(partial(self._source.news, wanted, mark))
                    mark = news.mark
                except SinkError as error:
                    state = self._state(str(error))
            if state != said:
                said, said_at = state, time.monotonic()
                yield f"event: state\ndata: {json.dumps(asdict(state))}\n\n"
            if news and news.calls:
                calls = as_objects(news)
                data = {"calls": calls[-MOST_CALLS:], "complete": len(calls) <= MOST_CALLS}
                yield f"id: {mark}\nevent: calls\ndata: {json.dumps(data)}\n\n"
                said_at = time.monotonic()
            if time.monotonic() - said_at >= SIGN_OF_LIFE:
                yield ":\n\n"
                said_at = time.monotonic()
            await asyncio.sleep(LOOK_AGAIN)


class EventResponse(StreamingResponse):
    """Counted from its making until it has ended, also if nobody waits for its first line."""

    def __init__(self, events: LiveEvents, body: AsyncIterator[str]) -> None:
        super().__init__(body, media_type=EVENTS)
        self._events = events
        events.streams += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._events.streams -= 1
