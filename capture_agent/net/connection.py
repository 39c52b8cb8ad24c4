"""One TCP or TLS connection to a receiver: bytes pushed, bytes arrived, and how it ended."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import socket
import ssl
import struct
import sys
import termios
import time
from array import array
from contextlib import suppress

from capture_agent.net.connecting import endpoints

DEAD_AFTER = 10.0  # seconds without accepting or acknowledging a byte, unless the configuration says otherwise
HOLD_SECONDS = 1.0  # a connection that ends earlier has proven nothing
MOST_HOLD_SECONDS = 5.0
# No kernel keeps more unread by default (tcp_rmem): a receiver that has acknowledged this many bytes is reading.
PROOF = 8 << 20
SLOWEST = 64 << 10  # bytes per second: the slowest receiver that closing waits for

TLS_RECORD = 16_384  # most bytes of plaintext, RFC 8446 5.1: a record that arrived only in part does not count
MOST_READ = 16  # reads from the other side per check
LISTENING_MS = 20
PAUSE = 0.005  # seconds between checks for acknowledgements
MOMENT = 0.05  # seconds in which a receiver that objects has closed
SAID = 4096

_ABORT = struct.pack("ii", 1, 0)  # struct linger, socket(7)
_GONE = select.POLLHUP | select.POLLERR


class SinkConnection:
    """`written` bytes were pushed so far. `held`: the other side has proven that it keeps the connection and reads.

    A connection has held if a second after it was opened (or `hold_seconds`, if longer) everything was acknowledged or
    more was acknowledged since; or if more was acknowledged than a kernel keeps for a program that does not read.
    Earlier acknowledgements mean little: a kernel acknowledges bytes before its program accepts the connection.
    """

    def __init__(self, connection: socket.socket, hold_seconds: float = 0.0, dead_after: float = DEAD_AFTER) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in keep_alive(dead_after).items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        connection.setblocking(False)
        self.endpoints = endpoints(connection)
        self.written = 0
        self.held = False
        self._socket = connection
        self._dead_after = dead_after
        self._slack = TLS_RECORD if isinstance(connection, ssl.SSLSocket) else 0
        # Over TLS a record at a time: what is written of more is not known before all of it is.
        self._most_at_once = self._slack or sys.maxsize
        self._opened_at = time.monotonic()
        self._holds_at = self._opened_at + max(HOLD_SECONDS, hold_seconds)
        self._proven_at = math.inf
        self._mark = -1  # bytes acknowledged at the first check after that
        self._finished = False
        self._pending = array("i", [0])  # written by the kernel: with bytes, ioctl raises an exception internally
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN | select.POLLRDHUP)
        self._poll_room = select.poll()
        self._poll_room.register(connection, select.POLLIN | select.POLLOUT)

    def push(self, view: memoryview) -> tuple[int, OSError | None]:
        """How many bytes the kernel has taken, and the error that stopped it.

        While it waits, it reads what the other side says: one that cannot write its answers may not read either.
        """
        at, most, problem = 0, self._most_at_once, None
        while at < len(view) and problem is None:
            try:
                at += self._socket.send(view[at : at + most])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                problem = self._wait_for_room()
            except OSError as error:
                problem = in_words(error.with_traceback(None))  # the traceback would keep the view alive
        self.written += at
        return at, problem

    def _wait_for_room(self) -> OSError | None:
        """Returns the error that has ended the connection meanwhile, or None."""
        deadline = time.monotonic() + self._dead_after
        while (left := deadline - time.monotonic()) > 0:
            for _, events in self._poll_room.poll(max(1, left * 1000)):
                if events & _GONE:
                    return self._error()
                if events & select.POLLIN and (problem := self._listen()):
                    return problem
                if events & select.POLLOUT:
                    return None
        return stalled()

    def acknowledged(self) -> int:
        """How many of the written bytes have reached the other side's kernel; over TLS a lower bound.

        SIOCOUTQ (tcp(7)) counts bytes that are written but not acknowledged, our FIN as one byte. A reset leaves it
        unchanged.
        """
        fcntl.ioctl(self._socket, termios.TIOCOUTQ, self._pending)
        pending = self._pending[0] - self._finished
        return self.written if pending <= 0 else max(0, self.written - pending - self._slack)

    def look(self) -> OSError | None:
        """The error that has ended the connection, if any. Data from the other side is read and discarded."""
        events = self._poll.poll(0)
        if events:
            if events[0][1] & _GONE:
                return self._error()
            if events[0][1] & select.POLLRDHUP:
                return self._listen() or closed()  # TLS may have said why
            if problem := self._listen():
                return problem
        if not self.held and (self.written >= PROOF or time.monotonic() >= self._holds_at):
            self._see_whether_it_holds()
        return None

    @property
    def is_proven(self) -> bool:
        """Whether its end counts by itself and not as one more failure in a row."""
        return self.held and time.monotonic() >= self._proven_at

    @property
    def hold_seconds_of_the_next(self) -> float:
        """The age that the next connection must exceed: a reset at the same age would prove no more."""
        return min(MOST_HOLD_SECONDS, 2 * (time.monotonic() - self._opened_at))

    def begin(self) -> None:
        """It has been given the packets that earlier connections left."""
        self._proven_at = time.monotonic() + HOLD_SECONDS

    def _see_whether_it_holds(self) -> None:
        acknowledged = self.acknowledged()
        if acknowledged >= PROOF:
            self.held = True
        elif time.monotonic() >= self._holds_at:
            self.held = acknowledged == self.written or 0 <= self._mark < acknowledged
            self._mark = acknowledged

    def hold(self) -> OSError | None:
        """Wait until it has held and all is acknowledged for a moment. Returns an error that ended it before."""
        # Trust may take longer than a receiver may be silent.
        deadline = time.monotonic() + max(self._dead_after, 2 * MOST_HOLD_SECONDS)
        arrived = False
        while (problem := self.look()) is None:
            if arrived and self.held:
                return None
            if time.monotonic() >= deadline:
                return stalled()
            arrived = self.acknowledged() == self.written
            time.sleep(MOMENT if arrived else PAUSE)
        return problem

    def _error(self) -> OSError:
        if self._slack and isinstance(said := self._listen(), ssl.SSLError):
            return said
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
        return in_words(OSError(number, os.strerror(number)))

    def _listen(self) -> OSError | None:
        """Read from the other side. Returns the end of the connection, or None."""
        try:
            for _ in range(MOST_READ):
                if not self._socket.recv(SAID):
                    return closed()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            return in_words(error)
        return None

    def finish(self, seconds: float) -> OSError | None:
        """Stop writing, and wait until all has arrived and the other side has closed. None, or what happened instead.

        Data from the other side is read: closing a socket with unread bytes, such as TLS 1.3 session tickets, resets
        the connection, and the other side may lose what it has not read yet.
        """
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                with suppress(OSError, ValueError):
                    self._socket.unwrap()
            self._socket.shutdown(socket.SHUT_WR)
            self._finished = True
            return self._wait_for_the_end(seconds)
        except OSError as error:
            return in_words(error)

    def _wait_for_the_end(self, seconds: float) -> OSError | None:
        """`seconds` after the last acknowledgement, and in total the time the bytes in flight take at the slowest pace.

        A receiver that has acknowledged everything, and neither closes nor resets for a while, has held the connection.
        """
        arrived = self.acknowledged()
        now = time.monotonic()
        deadline, last = now + seconds, now + seconds + (self.written - arrived) / SLOWEST
        silent = False
        complete_at = now if arrived == self.written else math.inf
        while (now := time.monotonic()) < min(deadline, last):
            if (more := self.acknowledged()) > arrived:
                arrived, deadline = more, now + seconds
                complete_at = now if arrived == self.written else math.inf
            if now - complete_at >= 2 * HOLD_SECONDS:
                return None
            if not silent:
                self._poll.poll(LISTENING_MS)
                silent = self._is_silent()
            elif arrived < self.written:
                time.sleep(PAUSE)  # poll would return at once: the other side has ended its stream
            else:
                return None
        return stalled() if arrived < self.written else None

    def _is_silent(self) -> bool:
        """Whether the other side has ended its stream. Raises OSError: the connection was reset."""
        if number := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))
        try:
            return not socket.socket.recv(self._socket, SAID)  # with TLS, the ciphertext: it is not needed
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close; the kernel keeps delivering unacknowledged bytes."""
        self._socket.close()

    def abort(self) -> None:
        """Reset: nothing more is delivered, another connection sends it."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()


def keep_alive(dead_after: float) -> dict[int, int]:
    """TCP options with which the kernel ends a connection whose other side does not answer within this many seconds.

    tcp(7): with TCP_USER_TIMEOUT, probes end a connection that has been silent for so long, however many there were.
    """
    every = max(1, int(dead_after / 4))
    return {
        socket.TCP_USER_TIMEOUT: int(dead_after * 750),
        socket.TCP_KEEPIDLE: every,
        socket.TCP_KEEPINTVL: every,
        socket.TCP_KEEPCNT: 8,
    }


def closed() -> OSError:
    """The other side's FIN came first: it has read what it acknowledged, or it would have sent a reset."""
    return OSError(errno.EPIPE, "the other side has closed the connection")


def stalled() -> OSError:
    return OSError(errno.ETIMEDOUT, "it takes no more data")


def in_words(error: OSError) -> OSError:
    """An error as it is reported: EPIPE without our shutdown is a reset after a FIN; ENOTCONN, a reset seen late."""
    if error.errno == errno.EPIPE:
        return closed()
    if error.errno == errno.ENOTCONN:
        return OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return stalled() if isinstance(error, TimeoutError) else error
