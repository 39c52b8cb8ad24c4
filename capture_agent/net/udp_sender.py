"""Sends packets as datagrams to one receiver."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence
from errno import EAGAIN, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOMEM, ENOPROTOOPT
from typing import Any

from capture_agent.addresses import of_socket
from capture_agent.net.connecting import Endpoint, Lookup, candidates, endpoints, first_connected
from capture_agent.net.sender import OVERSIZE, REFUSED, PacketTally
from capture_agent.net.sink_errors import SinkError, reason
from capture_agent.net.udp_batch import send_datagrams, send_plain

# ENOBUFS does not say when there will be room, and poll() says "now".
FULL_QUEUE_MS = 2
PATIENCE_MS = 10_000

LOOKUP_SECONDS = 5.0  # seconds for the first look-up of the name
LOOK_AGAIN_SECONDS = 60.0
LOOK_AGAIN_AFTER_TROUBLE = 2.0
GLANCE_SECONDS = 0.1  # seconds that sending waits for a later look-up, which continues meanwhile
ANSWERS_SECONDS = 1.0  # seconds between looks at answers while nothing is sent
MOST_ANSWERS = 1024  # datagrams read at a time; the kernel drops what does not fit in the socket's buffer
LAST_REFUSAL_MS = 100  # seconds in which a refusal of the last datagram may still arrive

_NO_ROOM = {EAGAIN, ENOBUFS, ENOMEM}
# ICMP errors about an earlier datagram (ip(7)), and how many to expect in a row. The kernel repeats its own errors
# about the datagram that is being sent.
_OF_ONE_BEFORE = {ECONNREFUSED: 64, EHOSTUNREACH: 1, ENETUNREACH: 1, ENOPROTOOPT: 1}


class UdpSender:
    """Counts the losses that it is told about; most losses of datagrams are never reported.

    A name is looked up again every minute, and after refusals and errors; the old address is used until an answer
    omits it. Of several addresses, one that refuses is followed by the next.

    answers   the other side answers: what it says is read and discarded
    """

    def __init__(
        self, name: str, host: str, port: int, tally: PacketTally, source: str = "", answers: bool = False
    ) -> None:
        self.name = name
        self._answers = answers
        self._lookup = Lookup(host, port, socket.SOCK_DGRAM)
        self._tally = tally
        self._source = source
        self._socket: socket.socket | None = None
        self._places: list[Any] = []  # the last answer of the look-up
        self._endpoints: tuple[Endpoint, Endpoint] | None = None
        self._look_at = 0.0  # when to look up again
        self._looked_at = 0.0
        self._sent_at = 0.0
        self._one_by_one = False  # sendmmsg() would hide every other refusal

    def needed(self) -> None:
        """None: datagrams that the kernel has taken are not sent again."""

    def open(self) -> None:
        self._opened()

    def _opened(self) -> socket.socket:
        self._look_up()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _look_up(self) -> None:
        """Raises SinkError when there is no address yet."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._looked_at, self._look_at = now, now + LOOK_AGAIN_SECONDS
        try:
            found = self._lookup.answer(GLANCE_SECONDS if self._places else LOOKUP_SECONDS)
            self._places = candidates(self._lookup.host, found, self._source)
        except OSError as error:
            self._look_at = now + LOOK_AGAIN_AFTER_TROUBLE
            if not self._places:
                self._look_at = 0.0
                raise SinkError(f"{self.name}: {reason(error)}") from error
        if self._socket is not None and not self._is_listed(self._socket):
            self.close()

    def _is_listed(self, connection: socket.socket) -> bool:
        there = of_socket(connection.getpeername())
        return any(of_socket(address) == there for *_, address in self._places)

    def _trouble(self) -> None:
        """Look the name up again, soon."""
        if self._lookup.by_name:
            self._look_at = min(self._look_at, self._looked_at + LOOK_AGAIN_AFTER_TROUBLE)

    def _connect(self) -> socket.socket:
        try:
            connection = first_connected(self._places, self._source, time.monotonic() + LOOKUP_SECONDS)
        except OSError as error:
            self._trouble()
            raise SinkError(f"{self.name}: {reason(error)}") from error
        connection.setblocking(False)
        self._endpoints = endpoints(connection)
        self._tally.connections += 1
        return connection

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None:
        connection = self._opened()
        at = waited = told = 0
        before = self._tally.lost[REFUSED]
        while at < len(ends):
            if self._one_by_one:
                went, problem = send_plain(connection, memoryview(buffer), ends, at)
            else:
                went, problem = send_datagrams(connection, buffer, ends, at)
            self._tally.sent += went - at
            if went > at:
                self._refused(told)
                waited = told = 0
            at = went
            if problem in _NO_ROOM and waited < PATIENCE_MS:
                waited += wait_for_room(connection, problem)
            elif problem == EMSGSIZE:
                self._tally.rejected[OVERSIZE] += 1
                at += 1
            elif told < _OF_ONE_BEFORE.get(problem, 0):
                told += 1
            elif problem:
                self._trouble()
                self.close()
                raise SinkError(f"{self.name}: {reason(OSError(problem, os.strerror(problem)))}")
        self._sent_at = time.monotonic()
        self._one_by_one = self._tally.lost[REFUSED] > before
        if self._answers:
            self._discard(connection)
        if self._one_by_one:
            self._turn()

    def _turn(self) -> None:
        """Use the name's next address, if there is another."""
        if len(self._places) > 1:
            self._places = self._places[1:] + self._places[:1]
            self.close()

    def _refused(self, count: int) -> None:
        """ICMP has refused earlier datagrams; the kernel accepts the next ones."""
        if count:
            self._trouble()
            count = min(count, self._tally.sent)
            self._tally.sent -= count
            self._tally.lost[REFUSED] += count
            self._one_by_one = True

    def _discard(self, connection: socket.socket) -> None:
        """Read and discard what the other side has said."""
        try:
            for _ in range(MOST_ANSWERS):
                connection.recv(1)  # the rest of the datagram goes, too
        except OSError as error:
            if error.errno in _OF_ONE_BEFORE:
                self._refused(1)

    @property
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        return self._endpoints

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        return endpoints(self._opened())

    @property
    def idle_seconds(self) -> float | None:
        return ANSWERS_SECONDS if self._answers else None

    def settle(self) -> None:
        if self._socket is None:
            return
        if self._answers:
            self._discard(self._socket)
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._refused(1)
            self._turn()

    def flush(self) -> None:
        """Nothing is held back, but a refusal of the last datagram may still arrive."""
        if self._socket is not None:
            left = LAST_REFUSAL_MS - (time.monotonic() - self._sent_at) * 1000
            if left > 0 and not is_loopback(self._socket):  # on loopback the refusal comes at once
                poll = select.poll()
                poll.register(self._socket, 0)  # POLLERR alone
                poll.poll(left)
            self.settle()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = self._endpoints = None


def is_loopback(connection: socket.socket) -> bool:
    return of_socket(connection.getpeername()).is_loopback


def wait_for_room(connection: socket.socket, problem: int) -> int:
    """Wait. Returns about how many milliseconds it took."""
    poll = select.poll()
    if problem != EAGAIN:
        poll.poll(FULL_QUEUE_MS)
        return FULL_QUEUE_MS
    poll.register(connection, select.POLLOUT)
    return 0 if poll.poll(100) else 100
