"""The control server of a running agent: one thread that answers JSON-RPC on a unix socket.

A request is one line, or everything until the client shuts down its side; each answer is one line. No client can hold
up the agent or another client: requests are limited in length and time, connections in number, and the server stops
reading from a client that does not read its answers.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capture_agent.control import jsonrpc
from capture_agent.control.place import listen, remove
from capture_agent.net.accepting import AcceptFailures
from capture_agent.os_errors import in_words

LONGEST_REQUEST = 65_536
MOST_ANSWERS = 8 << 20  # bytes that wait to be read by one client
MOST_CONNECTIONS = 16
PATIENCE = 30.0  # seconds for a complete request to arrive, or for an answer to be read

_log = logging.getLogger(__name__)

Answer = Callable[[bytes], bytes]


class ControlConnection:
    """One client: the received part of a request, and the unread part of the answers."""

    def __init__(self, client: socket.socket, now: float) -> None:
        self.client = client
        self.deadline = now + PATIENCE
        self.ended = False  # no more is read; it ends once the answers are sent
        self._received = bytearray()
        self._answers = bytearray()

    @property
    def wants(self) -> int:
        return selectors.EVENT_WRITE if self._answers else selectors.EVENT_READ

    @property
    def over(self) -> bool:
        return self.ended and not self._answers

    def read(self, answer: Answer, now: float) -> None:
        """Receive data, and answer complete requests. Raises OSError if the client is gone."""
        data = self.client.recv(LONGEST_REQUEST)
        self._received += data
        *lines, rest = self._received.split(b"\n")
        if not data:
            lines, rest, self.ended = [*lines, rest], bytearray(), True
        self._received = rest
        for line in lines:
            if line.strip() and (text := answer(bytes(line))):
                self._answers += text + b"\n"
                self.deadline = now + PATIENCE
            if len(self._answers) > MOST_ANSWERS:
                self.refuse("Too many requests at once")
                return
        if len(rest) > LONGEST_REQUEST:
            self.refuse(f"Request longer than {LONGEST_REQUEST} bytes")

    def refuse(self, why: str) -> None:
        self._received.clear()
        self._answers += jsonrpc.encode(jsonrpc.error(jsonrpc.INVALID_REQUEST, why)) + b"\n"
        self.ended = True

    def write(self, now: float) -> None:
        """Raises OSError if the client is gone."""
        sent = self.client.send(self._answers)
        del self._answers[:sent]
        if not self._answers:
            self.deadline = now + PATIENCE


class Door:
    """It listens from creation until `close`, and answers from `start` on. Raises ControlError if it cannot listen."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self._answer = answer
        self._server = listen(path)
        found = path.lstat()
        self._inode = (found.st_dev, found.st_ino)
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.PollSelector()  # epoll does not tell that a socket was closed
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._connections: dict[socket.socket, ControlConnection] = {}
        self._paused_until: float | None = None
        self._accept_failures = AcceptFailures("control socket")
        self._thread = threading.Thread(target=self._work, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        if self._thread.ident is None:  # never started
            self._work()
        else:
            self._thread.join()
        remove(self.path, self._server, self._inode)

    def _work(self) -> None:
        while True:
            try:
                if not self._turn():
                    break
            except OSError as error:  # of its own socket
                _log.error(
                    "control socket %s: %s; nothing is answered until the next start", self.path, in_words(error)
                )
                break
            except Exception as error:  # must neither be silent nor spin
                _log.error("control socket: internal error: %s", type(error).__name__)
                break
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._selector.close()
        self._stopped.close()

    def _turn(self) -> bool:
        """Wait for an event and handle it; False at the end."""
        now = time.monotonic()
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._selector.register(self._server, selectors.EVENT_READ)
        deadlines = [connection.deadline for connection in self._connections.values()]
        if self._paused_until is not None:
            deadlines.append(self._paused_until)
        first = min(deadlines, default=None)
        ready = self._selector.select(None if first is None else max(0.0, first - now))
        now = time.monotonic()
        for key, events in ready:
            if key.fileobj is self._stopped:
                return False
            if key.fileobj is self._server:
                self._accept(now)
            elif key.fileobj in self._connections:  # it may just have made room for another
                self._serve(key.data, events, now)
        for connection in [each for each in self._connections.values() if each.deadline <= now]:
            self._drop(connection)
        return True

    def _accept(self, now: float) -> None:
        try:
            client, _ = self._server.accept()
        except OSError as error:
            if seconds := self._accept_failures.pause(error):
                self._selector.unregister(self._server)
                self._paused_until = now + seconds
            return
        with suppress(OSError):
            client.setblocking(False)
            connection = ControlConnection(client, now)
            if len(self._connections) >= MOST_CONNECTIONS:  # the one that has done nothing for longest
                self._drop(min(self._connections.values(), key=lambda each: each.deadline))
            self._connections[client] = connection
            self._selector.register(client, selectors.EVENT_READ, connection)

    def _serve(self, connection: ControlConnection, events: int, now: float) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                connection.write(now)
            else:
                connection.read(self._answer, now)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
            return
        if connection.over:
            self._drop(connection)
        else:
            self._selector.modify(connection.client, connection.wants, connection)

    def _drop(self, connection: ControlConnection) -> None:
        del self._connections[connection.client]
        self._selector.unregister(connection.client)
        connection.client.close()
