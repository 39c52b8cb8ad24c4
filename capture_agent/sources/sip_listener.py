"""Receives SIP duplicates from a siptrace or another agent, over UDP or TCP.

Each duplicate becomes the IP packet that carried it, from the peer's address to ours. Nothing is ever sent back.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from struct import unpack
from threading import Lock

from capture_agent.addresses import of_socket
from capture_agent.books import Account
from capture_agent.config.uris import ListenAddress
from capture_agent.net.accepting import AcceptFailures
from capture_agent.os_errors import in_words
from capture_agent.records.frame_building import ACK, FIN, LONGEST_SEGMENT, RAW_IP, SYN, Batches, Ends, tcp, udp
from capture_agent.records.frames import Frames
from capture_agent.sources.duplicate_connections import DuplicateConnection, DuplicateConnections
from capture_agent.sources.kernel_counters import Growing
from capture_agent.sources.source import KERNEL, UNREAD, SourceError

BATCH = 512  # most datagrams or segments in a batch
WAIT_MS = 200  # to wait for the first one of a batch
LONGEST_DATAGRAM = 65_535
LAST_COUNT = 1.0  # most seconds for counting unread data

# linux/in.h, linux/in6.h, asm-generic/socket.h: constants that Python's socket module lacks
IP_PKTINFO = 8
SO_MEMINFO = 55
SO_RCVBUFFORCE = 33
MEMINFO_DROPS = 8  # linux/sock_diag.h SK_MEMINFO_DROPS: the 32-bit word that counts drops


# Connections that were refused or closed because there were too many.
PEER_LIMIT, CONNECTION_LIMIT = "peer_limit", "connection_limit"
LOST = Account("frames", lost=(KERNEL, UNREAD, PEER_LIMIT, CONNECTION_LIMIT))


def open_listener(address: ListenAddress, buffer_mib: int = 16) -> Listener:
    """A Source. Raises SourceError if it cannot listen."""
    kind = TcpListener if address.transport == "tcp" else UdpListener
    return kind(address, buffer_mib)


class Listener:
    """Common to all: a bound socket, and batches until `close`."""

    kind = socket.SOCK_DGRAM
    link_type = RAW_IP

    def __init__(self, address: ListenAddress, buffer_mib: int = 16) -> None:
        self.name = str(address)
        self._lock = Lock()  # for `close`, which another thread may call
        self._closed = False
        self._lost: dict[str, int] = {}
        self._batches = Batches(self.name, self.link_type)
        self._poll = select.poll()
        self._family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._socket = socket.socket(self._family, self.kind | socket.SOCK_NONBLOCK)
        try:
            self._prepare(buffer_mib)
            self._socket.bind((address.host, address.port))
            if self.kind == socket.SOCK_STREAM:
                self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise SourceError(f"{self.name}: cannot listen: {in_words(error)}", usage=True) from None
        self.port: int = self._socket.getsockname()[1]
        self._poll.register(self._socket, select.POLLIN)

    def _prepare(self, buffer_mib: int) -> None:
        if self._family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_mib << 20)
        except PermissionError:  # without CAP_NET_ADMIN the system's limit applies
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_mib << 20)

    def batches(self) -> Iterator[Frames]:
        """Yields an empty batch if none arrived while it waited. Raises SourceError."""
        while True:
            ready = self._poll.poll(WAIT_MS)
            with self._lock:
                if self._closed:
                    return
                try:
                    self._take({descriptor for descriptor, _ in ready})
                except OSError as error:
                    raise SourceError(f"{self.name}: {in_words(error)}") from None
            yield self._batches.take()

    def _take(self, ready: set[int]) -> None:
        """Add the data available on these descriptors to the batch."""
        raise NotImplementedError

    def dropped(self) -> Mapping[str, int]:
        """After `close`: the last figures."""
        with self._lock:
            if not self._closed:
                self._count()
            return dict(self._lost)

    def _count(self) -> None:
        """Read the kernel's counters."""

    def close(self) -> None:
        """Also ends `batches`, within its waiting time. Data still in the kernel is counted as `unread`."""
        with self._lock:
            if not self._closed:
                self._count_left()
                self._count()
            self._closed = True
            self._close()

    def _count_left(self) -> None:
        deadline = time.monotonic() + LAST_COUNT
        with suppress(OSError):
            while time.monotonic() < deadline:
                self._take(self._readable())
                if not (left := self._batches.take().count):
                    return
                self._lose(UNREAD, left)

    def _readable(self) -> set[int]:
        """The descriptors that may have data."""
        return {self._socket.fileno()}

    def _lose(self, place: str, count: int = 1) -> None:
        self._lost[place] = self._lost.get(place, 0) + count

    def _close(self) -> None:
        self._socket.close()


class UdpListener(Listener):
    """One SIP message for each datagram."""

    def __init__(self, address: ListenAddress, buffer_mib: int = 16) -> None:
        self._kernel = Growing()
        super().__init__(address, buffer_mib)

    def _prepare(self, buffer_mib: int) -> None:
        super()._prepare(buffer_mib)
        # With a socket bound to any address, each datagram says which of our addresses it was sent to.
        if self._family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)

    def _take(self, ready: set[int]) -> None:
        while ready and len(self._batches) < BATCH:
            try:
                payload, notes, _, peer = self._socket.recvmsg(LONGEST_DATAGRAM, 256)
            except BlockingIOError:
                return
            to = self._noted(notes)
            if to is not None:
                ends = Ends(of_socket(peer).packed, peer[1], to, self.port)
                self._batches.add(udp(ends, payload), time.time_ns())

    def _count(self) -> None:
        with suppress(OSError):  # a kernel before 4.12
            words = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (MEMINFO_DROPS + 1))
            if len(words) == 4 * (MEMINFO_DROPS + 1) and (lost := self._kernel.feed(unpack("=9I", words)[-1])):
                self._lost[KERNEL] = lost

    def _noted(self, notes: list[tuple[int, int, bytes]]) -> bytes | None:
        """Our address that a datagram was sent to."""
        to = None
        for level, kind, data in notes:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                to = data[8:12]
            elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                to = data[:16]
        return to


class TcpListener(Listener):
    """Segments as read from TCP connections."""

    kind = socket.SOCK_STREAM

    def __init__(self, address: ListenAddress, buffer_mib: int = 16) -> None:
        self._connections = self._no_connections()
        self._paused_until: float | None = None
        super().__init__(address, buffer_mib)
        self.accept_failures = AcceptFailures(self.name)

    def _prepare(self, buffer_mib: int) -> None:
        # Every connection would get a buffer this large; if ours is full the peer waits, so nothing is lost.
        super()._prepare(1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def _no_connections(self) -> DuplicateConnections:
        return DuplicateConnections()

    def _readable(self) -> set[int]:
        return {*self._connections.descriptors()}

    def _take(self, ready: set[int]) -> None:
        for descriptor in ready & self._connections.descriptors():
            self._read(descriptor)
        if self._socket.fileno() in ready:
            self._accept()
        elif self._paused_until is not None and time.monotonic() >= self._paused_until:
            self._paused_until = None
            self._poll.register(self._socket, select.POLLIN)

    def _accept(self) -> None:
        try:
            client, peer = self._socket.accept()
        except OSError as error:
            if seconds := self.accept_failures.pause(error):
                self._poll.unregister(self._socket)
                self._paused_until = time.monotonic() + seconds
            return
        source = of_socket(peer).packed
        if self._connections.refuses(source):
            self._lose(PEER_LIMIT)
            client.close()
            return
        client.setblocking(False)
        ends = Ends(source, peer[1], of_socket(client.getsockname()).packed, self.port)
        if (connection := self._accepted(client, ends)) is None:
            return
        self._add(connection, SYN)
        if (excess := self._connections.excess()) is not None:
            self._lose(CONNECTION_LIMIT)
            self._end(excess)

    def _accepted(self, client: socket.socket, ends: Ends) -> DuplicateConnection | None:
        connection = self._connections.add(client, ends)
        self._poll.register(client, select.POLLIN)
        return connection

    def _read(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        try:
            data = connection.client.recv(LONGEST_SEGMENT)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the connection broke
        if data:
            self._add(connection, ACK, data)
        else:
            self._end(descriptor)

    def _end(self, descriptor: int) -> None:
        connection = self._connections.pop(descriptor)
        self._add(connection, FIN)
        self._poll.unregister(descriptor)
        connection.client.close()

    def _add(self, connection: DuplicateConnection, flags: int, data: bytes = b"") -> None:
        self._batches.add(tcp(connection.ends, connection.sequence, flags, data), time.time_ns())
        connection.sequence += len(data) + (flags in (SYN, FIN))

    def _close(self) -> None:
        super()._close()
        self._connections.close()
