"""Server-sent events: what is new about the calls that a list shows."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from capture_agent.page.call_source import CallChoice, CallSource, FoundNews
from capture_agent.sinks.sink import SinkError

MOST_STREAMS = 32  # at once
MOST_CALLS = 100  # of one event
LOOK_AGAIN = 1.0  # seconds
SIGN_OF_LIFE = 5.0  # seconds between two lines: a connection on which nothing comes would be late
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
        self._mark, self._looked_at = 0, -LOOK_AGAIN

    @property
    def is_full(self) -> bool:
        return self.streams >= MOST_STREAMS

    async def mark(self) -> int:
        async with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_AGAIN:
                self._mark = await self._in_thread(self._source.mark)
                self._looked_at = time.monotonic()
        return self._mark

    async def stream(self, wanted: CallChoice, mark: int, as_objects: AsObject) -> AsyncIterator[str]:
        """Ends with an event `trouble` when the source cannot be read."""
        self.streams += 1
        try:
            yield RETRY
            said_at = time.monotonic()
            while True:
                await asyncio.sleep(LOOK_AGAIN)
                if await self.mark() != mark:
                    news = await self._in_thread(partial(self._source.news, wanted, mark))
                    mark = news.mark
                    if news.calls:
                        calls = as_objects(news)
                        data = {"calls": calls[-MOST_CALLS:], "complete": len(calls) <= MOST_CALLS}
                        yield f"id: {mark}\nevent: calls\ndata: {json.dumps(data)}\n\n"
                        said_at = time.monotonic()
                if time.monotonic() - said_at >= SIGN_OF_LIFE:
                    yield ":\n\n"
                    said_at = time.monotonic()
        except SinkError:
            yield "event: trouble\ndata: {}\n\n"
        finally:
            self.streams -= 1
