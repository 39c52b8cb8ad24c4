"""Packets back to back on one TCP or TLS connection, which is made anew when it breaks."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from bisect import bisect_right
from collections.abc import Sequence

from capture_agent.sinks.connecting import Endpoint, connected, endpoints
from capture_agent.sinks.packets import Tally
from capture_agent.sinks.sink import SinkError, reason

CONNECT_SECONDS = 5.0
STALLED_SECONDS = 10.0  # without taking a byte
GOODBYE_SECONDS = 1.0

_GONE = select.POLLHUP | select.POLLERR | select.POLLRDHUP


class TcpSender:
    """A new connection starts with a whole packet: with the one that the old connection has not taken wholly.

    What the kernel has taken counts as sent; what of it was under way when a connection broke, nobody knows.
    """

    def __init__(
        self, name: str, host: str, port: int, tally: Tally, tls: ssl.SSLContext | None = None, source: str = ""
    ) -> None:
        self.name = name
        self._place = (host, port)
        self._tally = tally
        self._tls = tls
        self._source = source
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self._opened()

    def _opened(self) -> socket.socket:
        if self._socket is not None and not is_alive(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        connection = None
        try:
            connection = connected(self._place, socket.SOCK_STREAM, self._source, CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._place[0])
            connection.settimeout(STALLED_SECONDS)
        except OSError as error:
            if connection is not None:
                connection.close()
            raise SinkError(f"{self.name}: {reason(error)}") from error
        return connection

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None:
        done = 0
        error: OSError | None = None
        for _ in ("on the connection that is open", "on a fresh one"):
            connection = self._opened()
            start = ends[done - 1] if done else 0
            position, error = push(connection, memoryview(buffer), start, ends[-1])
            taken = bisect_right(ends, position)
            self._tally.sent += taken - done
            done = taken
            if error is None:
                return
            self._drop()
        assert error is not None
        raise SinkError(f"{self.name}: {reason(error)}") from error

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        return endpoints(self._opened())

    def flush(self) -> None:
        """Nothing is held back."""

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.settimeout(GOODBYE_SECONDS)
                say_goodbye(self._socket)
            else:
                self._socket.shutdown(socket.SHUT_WR)
        self._drop()


def push(connection: socket.socket, view: memoryview, position: int, end: int) -> tuple[int, OSError | None]:
    """Send view[position:end]. Returns how far it came, and the error that stopped it."""
    try:
        while position < end:
            position += connection.send(view[position:end])
    except OSError as error:
        return position, error
    return position, None


def is_alive(connection: socket.socket) -> bool:
    """False when the other side has closed: what we sent then would be lost. What it says is read and forgotten."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    events = poll.poll(0)
    if not events:
        return True
    if events[0][1] & _GONE:
        return False
    before = connection.gettimeout()
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(before)
    return False


def say_goodbye(connection: ssl.SSLSocket) -> None:
    """Close TLS, and read up to the other side's end.

    A socket that is closed with bytes unread, such as TLS 1.3 session tickets, resets the connection, and the
    other side may lose what it has not read yet.
    """
    plain = connection.unwrap()
    plain.shutdown(socket.SHUT_WR)
    while plain.recv(4096):
        pass
