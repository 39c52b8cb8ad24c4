"""The thread of `run` that answers HTTP. No client can hold up the agent or another client: connections are limited in
number, and when there are too many, the one that has done nothing for longest is closed, or one that has its answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from contextlib import suppress

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from capture_agent.control.commands import Controlled
from capture_agent.net.accepting import AcceptFailures
from capture_agent.os_errors import in_words
from capture_agent.web.access import LONGEST_HEAD
from capture_agent.web.application import Answers, application
from capture_agent.web.protocol import BoundedConnection, Crowd

MOST_CONNECTIONS = 64
HANDSHAKE_SECONDS = 5.0
BACKLOG = 64
PATIENCE = 2.0  # seconds for the thread to end

_log = logging.getLogger(__name__)

Guests = dict["asyncio.Task[None]", BoundedConnection]


class HttpServer:
    """It listens from its making until `close`, and answers from `start` on. Raises OSError where it cannot listen.

    `tls`: for a server.
    """

    def __init__(self, place: tuple[str, int], app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        self._socket = listening(*place)
        self.port: int = self._socket.getsockname()[1]
        self._tls = tls
        self._config = Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        self._config.load()
        self._state = ServerState()
        self._guests: Guests = {}
        self._crowd = Crowd()
        self._accept_failures = AcceptFailures("http")
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # of connections that broke
        self._accepting = self._loop.create_task(self._run())
        self._thread = threading.Thread(target=self._work, name="http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.ident is None:  # never started
            self._accepting.cancel()
            self._work()
        else:
            with suppress(RuntimeError):  # the thread has ended by itself
                self._loop.call_soon_threadsafe(self._accepting.cancel)
            self._thread.join(PATIENCE)

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._accepting)
        except asyncio.CancelledError:
            pass
        except OSError as error:  # of its own socket
            _log.error("http: port %d: %s; nothing is answered until the next start", self.port, in_words(error))
        except Exception as error:  # it must not be silent
            _log.error("http: internal error: %s", type(error).__name__)
        finally:
            self._loop.close()

    async def _run(self) -> None:
        try:
            await self._accept()
        finally:
            self._socket.close()
            guests = list(self._guests)
            for guest in guests:
                guest.cancel()
            await asyncio.gather(*guests, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._socket)
            except OSError as error:
                await asyncio.sleep(self._accept_failures.pause(error))
                continue
            try:
                await self._make_room()
            except asyncio.CancelledError:
                connection.close()
                raise
            guest = BoundedConnection(self._config, self._state, self._loop, self._crowd)
            task = self._loop.create_task(self._serve(connection, guest))
            self._guests[task] = guest
            task.add_done_callback(self._guests.pop)
            await asyncio.sleep(0)  # it begins now: one that is cancelled before could not close its connection

    async def _make_room(self) -> None:
        while len(self._guests) >= MOST_CONNECTIONS:
            now = time.monotonic()
            task, guest = min(
                self._guests.items(), key=lambda item: (item[1].spared(now), item[1].is_busy, item[1].since)
            )
            if seconds := guest.spared(now):
                await self._crowd.wait(seconds)
                continue
            del self._guests[task]
            task.remove_done_callback(self._guests.pop)
            task.cancel()

    async def _serve(self, connection: socket.socket, guest: BoundedConnection) -> None:
        try:
            opening = self._loop.connect_accepted_socket(lambda: guest, connection, ssl=self._tls)
            await asyncio.wait_for(opening, HANDSHAKE_SECONDS)
            await guest.gone.wait()
        except OSError:  # of TLS, too
            pass
        finally:
            guest.abort()


class HttpDoor(HttpServer):
    """Of a running agent."""

    def __init__(
        self,
        place: tuple[str, int],
        agent: Controlled,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        messages: bool = False,
    ) -> None:
        self._answers = Answers(agent, messages)
        super().__init__(place, application(self._answers, token), tls)

    def close(self) -> None:
        super().close()
        self._answers.close()


def listening(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen(BACKLOG)
    except OSError:
        server.close()
        raise
    return server
