"""Packets as datagrams to one place."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from errno import EAGAIN, ECONNREFUSED, EMSGSIZE, ENOBUFS, ENOMEM

from capture_agent.sinks.connecting import Endpoint, connected, endpoints
from capture_agent.sinks.packets import Tally
from capture_agent.sinks.sink import SinkError, reason
from capture_agent.sinks.udp_batch import send_datagrams

# ENOBUFS says nothing about when there is room again, and poll() says "now".
FULL_QUEUE_MS = 2
PATIENCE_MS = 10_000

REFUSED = "refused"  # where datagrams are lost that nobody listens for

_NO_ROOM = {EAGAIN, ENOBUFS, ENOMEM}


class UdpSender:
    """What it is told about lost datagrams it counts; most losses it is not told about."""

    def __init__(self, name: str, host: str, port: int, tally: Tally, source: str = "") -> None:
        self.name = name
        self._place = (host, port)
        self._tally = tally
        self._source = source
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self._opened()

    def _opened(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        try:
            connection = connected(self._place, socket.SOCK_DGRAM, self._source)
        except OSError as error:
            raise SinkError(f"{self.name}: {reason(error)}") from error
        connection.setblocking(False)
        return connection

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None:
        connection = self._opened()
        at = waited = 0
        while at < len(ends):
            went, problem = send_datagrams(connection, buffer, ends, at)
            self._tally.sent += went - at
            waited = 0 if went > at else waited
            at = went
            if problem in _NO_ROOM and waited < PATIENCE_MS:
                waited += wait_for_room(connection, problem)
            elif problem == EMSGSIZE:
                self._tally.rejected["oversize"] += 1
                at += 1
            elif problem == ECONNREFUSED:
                self._refused()
            elif problem:
                self.close()
                raise SinkError(f"{self.name}: {reason(OSError(problem, os.strerror(problem)))}")

    def _refused(self) -> None:
        """ICMP port unreachable, for a datagram that has gone before; this one the kernel has not taken yet."""
        if self._tally.sent:
            self._tally.sent -= 1
            self._tally.lost[REFUSED] += 1

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        return endpoints(self._opened())

    def flush(self) -> None:
        """Nothing is held back, but the last datagram may have been refused."""
        if self._socket is not None and self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == ECONNREFUSED:
            self._refused()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def wait_for_room(connection: socket.socket, problem: int) -> int:
    """Milliseconds that were waited, about."""
    poll = select.poll()
    if problem != EAGAIN:
        poll.poll(FULL_QUEUE_MS)
        return FULL_QUEUE_MS
    poll.register(connection, select.POLLOUT)
    return 0 if poll.poll(100) else 100
