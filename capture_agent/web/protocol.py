"""One HTTP connection, by uvicorn. All that it does has a deadline: requests, answers that nobody reads, idleness."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

REQUEST_SECONDS = 10.0  # for a request to come, and for its answer to be read
IDLE_SECONDS = 75.0  # between two requests: Prometheus asks every 15 or 60 seconds
LINGER_SECONDS = 2.0  # that what nobody wants is still read, so that the answer arrives
LONGEST_HEAD = 16_384  # bytes of a request line with its headers
# So long no connection is closed for another one: while it is answered, and after it has come.
SPARED_SECONDS, FRESH_SECONDS = 1.0, 0.2

# What peers send must not reach the log.
for name in ("uvicorn.error", "uvicorn.access"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class Crowd:
    """While a connection waits for room, another is closed when it has its answer: who asks without end, on as many
    connections as there may be, keeps nobody out.
    """

    def __init__(self) -> None:
        self.waits = False
        self._answered = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until one has its answer; so long at most."""
        self.waits = True
        self._answered.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), seconds)
        self.waits = False

    def answered(self) -> None:
        self._answered.set()


class BoundedConnection(H11Protocol):
    """`since`: time.monotonic() when it began what it does now; `gone` is set when it has ended."""

    def __init__(self, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop, crowd: Crowd) -> None:
        super().__init__(config, state, {}, loop)
        self._crowd = crowd
        self.access_log = False
        self.since = time.monotonic()
        self.gone = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Is it answering?"""
        return self.cycle is not None and (not self.cycle.response_complete or self._unsent() > 0)

    def spared(self, now: float) -> float:
        """Seconds for which it is not closed for another one; 0: it may be."""
        seconds = SPARED_SECONDS if self.is_busy else FRESH_SECONDS if self.cycle is None else 0.0
        return max(0.0, self.since + seconds - now)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._within(REQUEST_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._within(REQUEST_SECONDS)
        super().data_received(data)

    def on_response_complete(self) -> None:
        unread = self.conn.their_state is h11.SEND_BODY
        if self._crowd.waits:
            if not self.transport.is_closing():
                self.transport.close()  # once all is sent
            self._crowd.answered()
        super().on_response_complete()  # begins to answer the next one, where it has come already
        if not unread and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._within(IDLE_SECONDS)
        else:
            self._within(LINGER_SECONDS if unread else REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)
        self.gone.set()

    def timeout_keep_alive_handler(self) -> None:
        """The deadline is enough."""

    def _unsent(self) -> int:
        """Bytes that wait to be sent."""
        try:
            return self.transport.get_write_buffer_size()
        except AttributeError:  # of TLS: asyncio's transport has let go of it, because it was closed twice
            return 0

    def abort(self) -> None:
        """At once, whatever has not been sent."""
        if self.transport is not None:
            self.transport.abort()

    def _within(self, seconds: float) -> None:
        self.since = time.monotonic()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """Of an answer in parts, such as events, each part has the deadline: what was sent is read."""
        cycle = self.cycle
        if cycle and cycle.response_started and self.is_busy and not self._unsent():
            self._within(REQUEST_SECONDS)
        else:
            self.abort()
