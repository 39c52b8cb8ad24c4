"""Receives HEP over UDP, TCP and TLS: each packet is a frame, which intake opens. Nothing is ever sent back.

Over UDP a datagram is a packet, of HEP 1, 2 or 3. A connection carries HEP3 back to back, framed by its length. What a
peer can make us hold: one unfinished packet for each connection, for a limited time.
"""

from __future__ import annotations

import socket
import ssl
import time
from array import array
from collections.abc import Callable

from capture_agent.books import Account
from capture_agent.config.sections import ListenSection
from capture_agent.os_errors import in_words
from capture_agent.records.frame_building import Ends
from capture_agent.records.frames import FRAME_ROW, HEP_LINK_TYPE, Frames, Interface
from capture_agent.sources.containers import Stop
from capture_agent.sources.duplicate_connections import DuplicateConnection, DuplicateConnections
from capture_agent.sources.hep_walker import HepWalker
from capture_agent.sources.sip_listener import BATCH, LONGEST_DATAGRAM, Listener, TcpListener, UdpListener
from capture_agent.sources.source import SourceError

BATCH_BYTES = 1 << 19  # in a batch that has so many, nothing more is read
ROOM_BYTES = BATCH_BYTES + (80 << 10)  # then an unfinished packet and a whole record of TLS still fit
FIRST_ROWS = 1024
LOOK_SECONDS = 1.0  # between looks for packets that take too long
WAIT_SECONDS = 0.02  # while sinks are full

# Connections that were closed, each with what it had begun: no HEP3, no packet in time, TLS that failed.
NOT_HEP, SLOW, TLS_FAILED = "not_hep", "slow_packet", "tls_failed"
LOST = Account("frames", lost=(NOT_HEP, SLOW, TLS_FAILED))

HasRoom = Callable[[], bool]


def open_hep_listener(options: ListenSection, buffer_mib: int = 16, has_room: HasRoom | None = None) -> Listener:
    """A Source. Raises SourceError if it cannot listen. `has_room`: whether sinks can take more."""
    if options.uri.transport == "udp":
        return HepUdpListener(options.uri, buffer_mib)
    return HepTcpListener(options, buffer_mib, has_room if options.when_full == "wait" else None)


class HepUdpListener(UdpListener):
    """One packet for each datagram."""

    link_type = HEP_LINK_TYPE

    def _prepare(self, buffer_mib: int) -> None:
        Listener._prepare(self, buffer_mib)

    def _take(self, ready: set[int]) -> None:
        add, receive, now = self._batches.add, self._socket.recv, time.time_ns
        try:
            for _ in range(BATCH if ready else 0):
                add(receive(LONGEST_DATAGRAM), now())
        except BlockingIOError:
            pass


class HepBatches:
    """Collects what connections send into batches with consecutive frame numbers.

    Connections are read into one room, one after the other. `bytes` of it are whole packets of this batch.
    """

    def __init__(self, name: str) -> None:
        self._interfaces = [Interface(name, HEP_LINK_TYPE, time_decimals=9)]
        self._number = 1
        self._walker = HepWalker()
        self._room = memoryview(bytearray(ROOM_BYTES))
        self._clear()

    def _clear(self) -> None:
        self._index = array("q", bytes(8 * FRAME_ROW * FIRST_ROWS))
        self._count = 0
        self.bytes = 0

    def read(self, read_into: Callable[[memoryview], int], pending: bytes) -> tuple[int, bytes, bool]:
        """Read once, after what is `pending`, if there is room.

        Returns how many bytes came, what is unfinished then, and whether that cannot be a packet.
        """
        start = self.bytes + len(pending)
        self._room[self.bytes : start] = pending
        size = read_into(self._room[start:])
        left, broken = self._cut(start + size)
        return size, left, broken

    def _cut(self, end: int) -> tuple[bytes, bool]:
        walker, now = self._walker, time.time_ns()
        while True:
            rows = len(self._index) // FRAME_ROW
            self._count += walker.walk_part(self._room, self.bytes, end, self._index, self._count, rows, now)
            self.bytes = walker.at
            if walker.stopped is not Stop.FULL:
                return bytes(self._room[self.bytes : end]), walker.stopped is Stop.HEP
            self._index *= 2

    def take(self) -> Frames:
        frames = Frames(bytes(self._room[: self.bytes]), self._index, self._count, self._interfaces, self._number)
        self._number += frames.count
        if frames.count:
            self._clear()
        return frames


class HepTcpListener(TcpListener):
    """HEP3 over TCP, or over TLS with our certificate.

    While sinks are full and it must not lose anything, it does not read: then peers wait, each with what the kernel
    holds for it.
    """

    def __init__(self, options: ListenSection, buffer_mib: int = 16, has_room: HasRoom | None = None) -> None:
        self._options = options
        self._tls = server_context(options) if options.uri.transport == "tls" else None
        self._has_room = has_room
        self._looked = time.monotonic()
        self._last = -1  # the connection that was read last
        super().__init__(options.uri, buffer_mib)
        self._batches = HepBatches(self.name)  # type: ignore[assignment]
        self._hep: HepBatches = self._batches  # type: ignore[assignment]

    def _no_connections(self) -> DuplicateConnections:
        return DuplicateConnections(self._options.connections, self._options.connections_per_peer)

    def _take(self, ready: set[int]) -> None:
        if self._has_room is not None and not self._has_room():
            time.sleep(WAIT_SECONDS)
            return
        self._close_slow()
        mine = sorted(ready & self._connections.descriptors())
        # After the one that was read last, so that each has its turn.
        for descriptor in [*(one for one in mine if one > self._last), *(one for one in mine if one <= self._last)]:
            if self._hep.bytes >= BATCH_BYTES:
                break
            self._last = descriptor
            self._read(descriptor)
        super()._take(ready - self._connections.descriptors())

    def _accepted(self, client: socket.socket, ends: Ends) -> DuplicateConnection | None:
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
            except OSError:  # it has gone away again
                client.close()
                return None
        connection = super()._accepted(client, ends)
        assert connection is not None
        connection.handshake = self._tls is not None
        connection.since = time.monotonic()
        return connection

    def _read(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        try:
            if connection.handshake and isinstance(connection.client, ssl.SSLSocket):
                connection.client.do_handshake()
                connection.handshake = False
            ended = self._receive(connection)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except ssl.SSLError:
            self._lose(TLS_FAILED)
            ended = True
        except OSError:
            ended = True  # the connection broke
        if ended:
            self._end(descriptor)

    def _receive(self, connection: DuplicateConnection) -> bool:
        """Read what there is, once, or as many records of TLS as that would be. True: the connection is to be closed.

        Raises what says that nothing is there.
        """
        client = connection.client
        tls = client if isinstance(client, ssl.SSLSocket) else None
        while True:
            size, left, broken = self._hep.read(client.recv_into, connection.pending)
            if not size:
                return True
            if broken:
                self._lose(NOT_HEP)
                return True
            if not connection.pending or len(left) != len(connection.pending) + size:
                connection.since = time.monotonic()
            connection.pending = left
            if tls is None or (self._hep.bytes >= BATCH_BYTES and not tls.pending()):
                return False

    def _close_slow(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        before = now - self._options.packet_seconds
        for descriptor in list(self._connections.descriptors()):
            connection = self._connections[descriptor]
            if connection.since < before and (connection.pending or connection.handshake):
                self._lose(TLS_FAILED if connection.handshake else SLOW)
                self._end(descriptor)

    def _add(self, connection: DuplicateConnection, flags: int, data: bytes = b"") -> None:
        """Nothing: SYN and FIN are of no use here."""


def server_context(options: ListenSection) -> ssl.SSLContext:
    """Raises SourceError if the certificate cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    name = "tls_cert"
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key or None, password="")  # never asks a terminal
        if options.tls_client_ca:
            name = "tls_client_ca"
            context.load_verify_locations(options.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        unreadable = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
        reason = in_words(error) if unreadable and isinstance(error, OSError) else "not a certificate with its key"
        raise SourceError(f"{options}: {name}: {reason}", usage=True) from None
    return context
