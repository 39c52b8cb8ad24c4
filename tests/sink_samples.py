"""Traced messages for sinks, and receivers on loopback that keep what they get."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import shake_256
from ipaddress import ip_address
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import ForeignPayload, LogEvent, RtcpReport, RtpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sip.scan import scan
from capture_agent.sources.capture_file import CaptureFile

TIME_NS = 1_795_386_683_255_621_000

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=from-1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: call-1\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
RINGING = INVITE.replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 180 Ringing").replace(
    b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=to-1"
)


def numbered(n: int, size: int = 0) -> bytes:
    """A separate INVITE: Call-ID `call-n`, with a body of this many bytes, which compression makes half as long."""
    message = INVITE.replace(b"call-1", b"call-%d" % n)
    body = shake_256(b"%d" % n).hexdigest(size // 2 + 1)[:size].encode()
    return message.replace(b"Content-Length: 0", b"Content-Length: %d" % size) + body


def traced(
    message: bytes,
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    ports: tuple[int, int] = (5060, 5070),
    time_ns: int = TIME_NS,
    transport: str = "udp",
    direction: Direction = Direction.IN,
    trace: Trace | None = None,
    **more: int,
) -> TracedMessage:
    addresses = ip_address(source).packed + ip_address(destination).packed
    data = addresses + message
    at = len(addresses)
    datagram = Datagram(
        data, at, len(data), 0, at // 2, *ports, time_ns=time_ns, protocol=6 if transport != "udp" else 17,
        transport=transport, **more,
    )  # fmt: skip
    sip = scan(data, at, len(data))
    assert sip is not None
    return TracedMessage(CapturedMessage(datagram, sip), direction, trace or Trace())


FOREIGN = 0x35  # DNS as JSON


def not_sip(
    kind: type[RtcpReport | RtpReport | LogEvent | ForeignPayload],
    payload: bytes,
    origin: Origin | None = None,
    addresses: tuple[str, str] = ("192.0.2.1", "192.0.2.2"),
    trace: Trace | None = None,
    **more: int,
) -> TracedMessage:
    """A payload of one of the other kinds, from port 4001 to 4003."""
    ends = b"".join(ip_address(address).packed for address in addresses)
    data = ends + payload
    datagram = Datagram(data, len(ends), len(data), 0, len(ends) // 2, 4001, 4003, time_ns=TIME_NS, **more)
    message = ForeignPayload(FOREIGN, datagram, origin) if kind is ForeignPayload else kind(datagram, origin)  # type: ignore[call-arg, arg-type]
    return TracedMessage(message, Direction.OUT, trace or Trace())


def captured(file: Path) -> list[TracedMessage]:
    """Every message of a capture file."""
    source = CaptureFile(str(file))
    found = [
        TracedMessage(message, Direction.IN, Trace())
        for messages in Pipeline().read(source.batches())
        for message in messages
    ]
    source.close()
    return found


_numbers = count(1)


def new_database(server: str, options: str = "") -> str:
    """The URL of an empty one."""
    name = f"test{next(_numbers)}"
    maintenance = "postgres" if server.startswith("postgresql") else ""
    engine = create_engine(parse_url(f"{server}/{maintenance}"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {options}"))
    engine.dispose()
    return f"{server}/{name}"


def batch_of(count: int, first: int = 0, size: int = 0) -> list[TracedMessage]:
    return [traced(numbered(n, size)) for n in range(first, first + count)]


def eventually(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@dataclass
class Receiver:
    """The destination of a sink. Each kind of sink has one in its test module: test_sink_kinds.py requires it.

    `toml`: the options of the sink that sends there; `uri`: how a rule names it, empty if the kind has no URIs;
    `received`: the messages received, as they were captured.
    """

    toml: str
    uri: str
    received: Callable[[], list[bytes]]


class UdpReceiver:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    def received(self) -> list[bytes]:
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(65535))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        self.socket.close()


class TcpReceiver:
    """Accepts connections one after the other; `streams` has the bytes of each."""

    def __init__(self, port: int = 0, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self.listener.getsockname()[1]
        self.streams: list[bytearray] = []
        self.limits: list[int] = []  # bytes after which connection n is reset; none: read to its end
        self._wrap = wrap or (lambda connection: connection)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
                connection = self._wrap(accepted)
            except ValueError:
                return
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            self._open.append(connection)
            stream = bytearray()
            self.streams.append(stream)
            self._read(connection, stream, self.limits.pop(0) if self.limits else None)

    def _read(self, connection: socket.socket, stream: bytearray, limit: int | None) -> None:
        try:
            while data := connection.recv(65536 if limit is None else min(65536, limit - len(stream))):
                stream += data
                if limit is not None and len(stream) >= limit:
                    break
        except OSError:
            pass
        if limit is not None:  # RST: bytes in flight are lost
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    def close(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(10)


class ListSink:
    """A sink in memory; `fail` raises what a test wants, when it wants."""

    def __init__(self, fail: Callable[[Sequence[TracedMessage]], None] | None = None, together: int = 1) -> None:
        from collections import Counter

        self.together = together
        self.name = "list:"
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.messages: list[TracedMessage] = []
        self.batches: list[int] = []
        self.closed = False
        self.fail = fail

    def open(self) -> None: ...

    def send(self, batch: Sequence[TracedMessage]) -> None:
        if self.fail:
            self.fail(batch)
        self.messages += batch
        self.batches.append(len(batch))
        self.sent += len(batch)

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True
