"""Sends packets back to back on one TCP or TLS connection, and reconnects when it breaks."""

from __future__ import annotations

import errno
import socket
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from capture_agent.net.connecting import Endpoint, Lookup, Secure, connected
from capture_agent.net.connection import DEAD_AFTER, PAUSE, SinkConnection, in_words, stalled
from capture_agent.net.doubt import ReadDoubt
from capture_agent.net.repeated import RepeatedWarning
from capture_agent.net.sender import UNCONFIRMED, PacketTally
from capture_agent.net.sink_errors import SinkError, reason
from capture_agent.net.unconfirmed import ROOM, Unconfirmed

CONNECT_SECONDS = 5.0  # in total: name look-up, addresses, TLS
MOST_BREAKS = 1  # connections in a row that may break at once before there is a pause
MOST_FINISHES = 3
LAST_ACKS_SECONDS = 1.0
GOODBYE_SECONDS = 5.0  # seconds without an acknowledgement or the other side's close


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A packet for a connection that has been idle for so long; it is not a message."""

    seconds: float
    packet: Callable[[tuple[Endpoint, Endpoint]], bytes]  # of the connection's endpoints


@dataclass(frozen=True, slots=True)
class Terms:
    """How a receiver is connected.

    dead_after     seconds without an acknowledgement
    doubt_seconds  what was acknowledged so recently may not have been read: a connection that breaks sends it again;
                   0: an acknowledgement on a connection that has held is enough
    """

    source: str = ""
    dead_after: float = DEAD_AFTER
    doubt_seconds: float = 0.0
    keep_alive: KeepAlive | None = None


class TcpSender:
    """A packet is sent once the other side's kernel has acknowledged it on a connection that has held (connection.py).
    Until then it is unconfirmed: if the connection breaks, the next one sends it again from its first byte.

    After a connection that broke at once, the next one is on trial: it gets a single packet, and twice as many each
    time it holds. If a packet makes the other side close, it is soon isolated; and an address without a server costs
    only the attempt. A connection on trial holds only if it lives twice as long as the broken one: a peer that reads
    nothing and closes after a while resets each of them at the same age.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        tally: PacketTally,
        secure: Secure | None = None,
        terms: Terms = Terms(),
    ) -> None:
        self.name = name
        self._lookup = Lookup(host, port, socket.SOCK_STREAM)
        self._tally = tally
        self._secure = secure
        self._terms = terms
        self._stream: SinkConnection | None = None
        self._doubt: ReadDoubt | None = None  # of this connection
        self._quiet = (0, 0.0)  # bytes written at a look, and when these were all
        self._unconfirmed = Unconfirmed()
        self._repeated = RepeatedWarning(name)
        self._breaks = 0  # connections in a row that broke at once
        self._hold_seconds = 0.0  # the age at which the next one has held

    def open(self) -> None:
        self._ready()

    def settle(self) -> None:
        stream = self._ready()
        self._learn(stream)
        keep_alive = self._terms.keep_alive
        if keep_alive is None or self._unconfirmed.packets:
            return
        now = time.monotonic()
        written, since = self._quiet
        if written != stream.written:
            self._quiet = stream.written, now
        elif now - since >= keep_alive.seconds:
            _, problem = stream.push(memoryview(keep_alive.packet(stream.endpoints)))
            if problem is not None:
                self._broken(problem)

    @property
    def idle_seconds(self) -> float:
        """How often an idle connection is looked at."""
        return max(0.25, min(1.0, self._terms.dead_after / 10))

    def needed(self) -> memoryview | None:
        if self._stream is not None:
            self._learn(self._stream)
        return self._unconfirmed.oldest

    def send(self, buffer: bytes | memoryview, ends: Sequence[int]) -> None:
        view = memoryview(buffer)
        taken = 0
        while taken < len(ends):
            stream = self._ready()
            start = ends[taken - 1] if taken else 0
            base = stream.written - start  # position of the buffer's first byte
            pushed, problem = stream.push(view[start : ends[-1]])
            before, taken = taken, bisect_right(ends, start + pushed)
            self._keep(view, ends, before, taken, base)
            if problem is not None:
                self._broken(problem)

    def _keep(self, view: memoryview, ends: Sequence[int], first: int, last: int, base: int) -> None:
        """Packets `first` up to, but not including, `last` have been pushed: unconfirmed until they arrive."""
        if first < last:
            at = ends[first - 1] if first else 0
            pushed = ends if last - first == len(ends) else ends[first:last]
            self._unconfirmed.add(view[at : ends[last - 1]], pushed, base + at, at)
            self._tally.unconfirmed = self._unconfirmed.packets

    def _learn(self, stream: SinkConnection) -> None:
        """Count what has arrived by now."""
        if self._unconfirmed.packets and self._believes(stream):
            acknowledged = stream.acknowledged()
            if self._doubt is not None:
                acknowledged = self._doubt.certain(acknowledged, time.monotonic())
            self._confirm(acknowledged)

    def _believes(self, stream: SinkConnection) -> bool:
        """Whether acknowledged packets count as sent. After breaks, only once packets after the trial held, too."""
        return stream.held and (not self._breaks or stream.is_proven)

    def _confirm(self, position: int) -> None:
        if self._unconfirmed.packets:
            sent = self._unconfirmed.confirm(position)
            self._tally.sent += sent
            self._tally.unconfirmed = self._unconfirmed.packets
            self._repeated.sent(sent)

    def _ready(self) -> SinkConnection:
        """An open connection that has all unconfirmed packets and room for more. Raises SinkError."""
        while True:
            stream, problem = self._stream, None
            if stream is None:
                stream, problem = self._connect()
                self._stream = stream
                if stream is not None:
                    problem = self._catch_up(stream)
            if stream is not None and problem is None:
                problem = self._look(stream)
                if problem is None:
                    if self._repeated.waiting:
                        self._repeated.say_at_times()
                    return stream
            if problem is not None:
                self._broken(problem)

    def _connect(self) -> tuple[SinkConnection | None, OSError | None]:
        """A new connection, or the error that ended it before use. Raises SinkError: nobody listens."""
        deadline = time.monotonic() + CONNECT_SECONDS
        connection = None
        try:
            connection = connected(self._lookup, self._terms.source, deadline, self._secure, self._breaks)
            stream = SinkConnection(connection, self._hold_seconds, self._terms.dead_after)
            self._tally.connections += 1
            self._doubt = ReadDoubt(self._terms.doubt_seconds) if self._terms.doubt_seconds else None
            return stream, None
        except OSError as error:
            if connection is not None:
                connection.close()
            problem = in_words(error)
            if problem.errno != errno.ECONNRESET:  # TLS: somebody did listen
                raise SinkError(f"{self.name}: {reason(error)}") from error
            self._breaks += 1
            return None, problem

    def _catch_up(self, stream: SinkConnection) -> OSError | None:
        """Send it the unconfirmed packets. Returns the error that has ended it meanwhile, or None."""
        self._unconfirmed.rewind()
        if self._breaks:
            return self._try_out(stream)
        for view in self._unconfirmed.beyond(stream.written):
            _, problem = stream.push(view)
            if problem:
                return problem
        stream.begin()
        return None

    def _try_out(self, stream: SinkConnection) -> OSError | None:
        """Send one packet first, and twice as many each time it holds."""
        most, end = 1, self._unconfirmed.size
        while True:
            _, problem = stream.push(self._unconfirmed.some(stream.written, most))
            if problem := problem or stream.hold():
                return problem
            if self._doubt is None:
                self._confirm(stream.written)
            if stream.written >= end:
                stream.begin()
                return None
            most *= 2

    def _look(self, stream: SinkConnection) -> OSError | None:
        """Wait for room. Returns the error that has ended the connection, or None."""
        last, deadline = -1, 0.0
        while (problem := stream.look()) is None:
            if self._breaks and stream.is_proven:
                self._breaks = 0
            if self._unconfirmed.held >= ROOM:
                self._learn(stream)
            if self._unconfirmed.held < ROOM:
                return None
            acknowledged = stream.acknowledged()
            if self._doubt is not None and acknowledged == stream.written and self._believes(stream):
                self._confirm(acknowledged)  # there is no room for doubt
                return None
            if acknowledged > last:
                last, deadline = acknowledged, time.monotonic() + self._terms.dead_after
            elif time.monotonic() >= deadline:
                return stalled()
            time.sleep(PAUSE)
        return problem

    def _broken(self, problem: OSError) -> None:
        """Drop a broken connection. Raises SinkError unless another may be tried at once."""
        stream, self._stream = self._stream, None
        if stream is not None:
            # Bytes in flight are acknowledged, or refused by a reset: then not all was read.
            in_order = problem.errno == errno.EPIPE and stream.finish(LAST_ACKS_SECONDS) is None
            if in_order:
                self._confirm(stream.acknowledged())
            else:
                self._learn(stream)
            self._repeated.unsure(self._unconfirmed.arrived(stream.acknowledged()))
            stream.abort()
            self._count(stream, problem)
        if isinstance(problem, TimeoutError) or self._breaks > MOST_BREAKS:
            raise SinkError(f"{self.name}: {reason(problem)}") from problem

    def _count(self, stream: SinkConnection, problem: OSError | None) -> None:
        """How many connections in a row have hung or ended unproven."""
        good = problem is None or (stream.is_proven and not isinstance(problem, TimeoutError))
        self._breaks = 0 if good else self._breaks + 1
        if good:
            self._hold_seconds = 0.0
        elif not stream.held:  # a connection that held has ended for another reason
            self._hold_seconds = stream.hold_seconds_of_the_next

    @property
    def endpoints_now(self) -> tuple[Endpoint, Endpoint] | None:
        stream = self._stream
        return None if stream is None else stream.endpoints

    def endpoints(self) -> tuple[Endpoint, Endpoint]:
        return self._ready().endpoints

    def flush(self) -> None:
        """Close the connection in order: only that proves that all has arrived. Raises SinkError if it did not."""
        left = MOST_FINISHES
        while self._stream is not None or self._unconfirmed.packets:
            problem = self._finish(self._ready())
            if problem is None or not self._unconfirmed.packets:
                return
            left -= 1
            if isinstance(problem, TimeoutError) or self._breaks > MOST_BREAKS or not left:
                raise SinkError(f"{self.name}: {reason(problem)}") from problem

    def _finish(self, stream: SinkConnection) -> OSError | None:
        problem = stream.finish(GOODBYE_SECONDS)
        if problem is None or problem.errno == errno.EPIPE:
            self._confirm(stream.acknowledged())
        else:
            self._learn(stream)
        self._repeated.unsure(self._unconfirmed.arrived(stream.acknowledged()))
        self._stream = None
        stream.close()
        self._count(stream, problem)
        return problem

    def close(self) -> None:
        if self._stream is not None:
            self._finish(self._stream)
        if self._unconfirmed.packets:
            self._tally.lost[UNCONFIRMED] += self._unconfirmed.clear()
            self._tally.unconfirmed = 0
        self._repeated.say()
