"""Those who mean no good: none of them holds up the door for others, or takes memory without bound."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from faults.descriptors import none_left
from http_samples import PATIENCE, Agent, ask, connected, reply_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sink_samples import eventually

from capture_agent.config.sections import Http
from capture_agent.net import accepting
from capture_agent.web import door as doors
from capture_agent.web import protocol
from capture_agent.web.access import LONGEST_BODY
from capture_agent.web.application import WORKERS
from capture_agent.web.door import MOST_CONNECTIONS, HttpDoor
from capture_agent.web.http_checks import tls_of

pytestmark = pytest.mark.once

GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def door() -> Iterator[HttpDoor]:
    door = HttpDoor(("127.0.0.1", 0), Agent())
    door.start()
    yield door
    assert ask(door.port, "/health").status == 200  # whatever the test has done
    door.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUEST_SECONDS", "IDLE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.3)
    monkeypatch.setattr(doors, "HANDSHAKE_SECONDS", 0.3)


def until_closed(client: socket.socket) -> bytes:
    received = bytearray()
    client.settimeout(PATIENCE)
    with suppress(ConnectionError):
        while data := client.recv(65536):
            received += data
    return bytes(received)


def flood(client: socket.socket, piece: bytes, most: int) -> int:
    """How many bytes it took before it was closed."""
    sent = 0
    client.settimeout(PATIENCE)
    with suppress(OSError):
        while sent < most:
            sent += client.send(piece)
    return sent


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "beginning",
    [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"],
    ids=["nothing", "a byte", "headers", "a body"],
)  # fmt: skip
def test_a_request_that_never_ends_is_not_waited_for(door: HttpDoor, beginning: bytes) -> None:
    with connected(door.port) as client:
        client.sendall(beginning)
        assert until_closed(client) == b""


@pytest.mark.usefixtures("hasty")
def test_a_request_that_trickles_has_the_same_time(door: HttpDoor) -> None:
    began = time.monotonic()
    with connected(door.port) as client:
        with suppress(ConnectionError):
            for _ in range(10_000):
                client.sendall(b"X")
                time.sleep(0.01)
        assert time.monotonic() - began < PATIENCE


@pytest.mark.usefixtures("hasty")
def test_an_idle_connection_is_closed(door: HttpDoor) -> None:
    with connected(door.port) as client:
        client.sendall(GET)
        reader = client.makefile("rb")
        assert reply_from(reader).status == 200
        assert reply_from(reader).status == 0


def test_a_connection_carries_several_requests(door: HttpDoor) -> None:
    with connected(door.port) as client:
        reader = client.makefile("rb")
        for _ in range(20):
            client.sendall(GET)
            assert reply_from(reader).status == 200


def test_pipelined_requests_are_answered_in_order(door: HttpDoor) -> None:
    paths = [b"/health", b"/ready", b"/nothing", b"/metrics"] * 25
    with connected(door.port) as client:
        client.sendall(b"".join(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path for path in paths))
        reader = client.makefile("rb")
        assert [reply_from(reader).status for _ in paths] == [200, 200, 404, 200] * 25


@pytest.mark.usefixtures("hasty")
def test_who_reads_no_answers_is_closed(door: HttpDoor) -> None:
    with connected(door.port) as client:
        sent = flood(client, GET.replace(b"/health", b"/metrics") * 100, 1 << 30)
        assert sent < 1 << 26


@pytest.mark.usefixtures("hasty")
def test_who_reads_no_answer_to_its_last_request_is_closed(door: HttpDoor) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", door.port))
        client.sendall(GET.replace(b"/health", b"/metrics").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for _ in range(int(PATIENCE / 0.05)):
            time.sleep(0.05)
            if not door._guests:
                return
        pytest.fail("it is still there")


@pytest.mark.parametrize("path", [b"/rpc", b"/metrics"])
@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_of_a_gigabyte(door: HttpDoor, path: bytes, expect: bytes) -> None:
    head = (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%bContent-Length: 1073741824\r\n\r\n"
    )
    with connected(door.port) as client:
        client.sendall(head % (path, expect))
        assert reply_from(client.makefile("rb")).status == 413


@pytest.mark.usefixtures("hasty")
def test_what_is_sent_after_a_refusal_is_read_for_a_while_only(door: HttpDoor) -> None:
    with connected(door.port) as client:
        client.sendall(b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n")
        assert reply_from(client.makefile("rb")).status == 413
        client.settimeout(PATIENCE)
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                client.sendall(b"x")
                time.sleep(0.005)


def test_a_body_without_an_end(door: HttpDoor) -> None:
    with connected(door.port) as client:
        client.sendall(
            b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
        for _ in range(LONGEST_BODY // 4096 + 1):
            client.sendall(chunk)
        assert reply_from(client.makefile("rb")).status == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999", "1, 1", " ", "0x10", "\u0661"])
def test_lengths_that_are_none(door: HttpDoor, length: str) -> None:
    with connected(door.port) as client:
        client.sendall(f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert reply_from(client.makefile("rb")).status in (400, 413, 415)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * (1 << 20)), id="a long path"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200_000 + b"\r\n", id="many headers"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"b" * (1 << 20) + b"\r\n\r\n", id="a long header"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b" + b"\r\n c" * 200_000 + b"\r\n\r\n", id="a folded header"),
        pytest.param(b"\r\n" * 500_000, id="empty lines"),
    ],
)
def test_header_bombs(door: HttpDoor, bomb: bytes) -> None:
    with connected(door.port) as client:
        with suppress(ConnectionError):
            client.sendall(bomb)
        assert until_closed(client)[:12] in (b"", b"HTTP/1.1 400")


@pytest.mark.parametrize("prelude", [b"", b"G", GET], ids=["silent", "slow", "idle"])
def test_a_thousand_connections(door: HttpDoor, prelude: bytes) -> None:
    """Those that have done nothing for longest make room, and whoever asks is answered."""
    clients: list[socket.socket] = []
    try:
        for number in range(1000):
            clients.append(connected(door.port))
            clients[-1].sendall(prelude)
            if number % 100 == 99:
                assert ask(door.port, "/health").status == 200
                assert len(door._guests) <= MOST_CONNECTIONS
        assert sum(thread.name.startswith("http") for thread in threading.enumerate()) <= 1 + WORKERS
    finally:
        for client in clients:
            client.close()


def received(client: socket.socket) -> bytes:
    """All that is there; empty: it was closed."""
    data = bytearray()
    with suppress(BlockingIOError, ssl.SSLWantReadError, ConnectionError):
        while piece := client.recv(65536):
            data += piece
    return bytes(data)


def hammer(connect: Callable[[], socket.socket], ended: threading.Event) -> None:
    """As many connections as there may be, each with its next questions asked before the last is answered."""
    request, last = GET * 50, GET[:-2] + b"Connection: close\r\n\r\n"
    clients: dict[int, socket.socket] = {}
    poll = select.poll()
    while not ended.is_set():
        with suppress(OSError):
            while len(clients) < MOST_CONNECTIONS:
                client = connect()
                client.sendall(request + last)
                client.setblocking(False)
                clients[client.fileno()] = client
                poll.register(client, select.POLLIN)
        for descriptor, _ in poll.poll(100):
            client = clients[descriptor]
            if not received(client):
                poll.unregister(descriptor)
                clients.pop(descriptor).close()
    for client in clients.values():
        client.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_who_asks_without_end_keeps_nobody_out(certificate: Path, secure: bool) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    door = HttpDoor(("127.0.0.1", 0), Agent(), tls=tls_of(Http(tls_cert=str(certificate))) if secure else None)
    door.start()

    def connect() -> socket.socket:
        client = connected(door.port)
        return context.wrap_socket(client, server_hostname="127.0.0.1") if secure else client

    ended = threading.Event()
    hammering = threading.Thread(target=hammer, args=(connect, ended))
    hammering.start()
    try:
        eventually(lambda: len(door._guests) == MOST_CONNECTIONS)
        for _ in range(5):
            with connect() as client:
                client.sendall(GET.replace(b"/health", b"/metrics"))
                assert reply_from(client.makefile("rb")).body.endswith(b"\n")
    finally:
        ended.set()
        hammering.join(PATIENCE)
    door.close()


def test_a_transport_that_is_closed_twice_can_be_asked(certificate: Path) -> None:
    """asyncio's of TLS cannot."""
    door = HttpDoor(("127.0.0.1", 0), Agent(), tls=tls_of(Http(tls_cert=str(certificate))))
    door.start()
    context = ssl.create_default_context(cafile=str(certificate))
    with context.wrap_socket(connected(door.port), server_hostname="127.0.0.1") as client:
        client.sendall(GET)
        assert reply_from(client.makefile("rb")).status == 200
        (guest,) = door._guests.values()
        for _ in range(2):
            door._loop.call_soon_threadsafe(guest.transport.close)
        assert until_closed(client) == b""
        assert guest.spared(time.monotonic()) == 0
    door.close()


def test_clients_that_go_away(door: HttpDoor) -> None:
    for _ in range(200):
        with connected(door.port) as client:
            client.sendall(GET * 5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes(door: HttpDoor, garbage: bytes) -> None:
    with connected(door.port) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
    assert ask(door.port, "/ready").status == 200


@pytest.mark.usefixtures("hasty")
def test_a_handshake_that_never_comes(certificate: Path) -> None:
    door = HttpDoor(("127.0.0.1", 0), Agent(), tls=tls_of(Http(tls_cert=str(certificate))))
    door.start()
    silent = connected(door.port)
    plain = connected(door.port)
    plain.sendall(GET)
    assert until_closed(silent) == b""
    assert b"HTTP" not in until_closed(plain)
    context = ssl.create_default_context(cafile=str(certificate))
    with context.wrap_socket(connected(door.port), server_hostname="127.0.0.1") as client:
        client.sendall(GET)
        assert client.recv(12) == b"HTTP/1.1 200"
    silent.close()
    plain.close()
    door.close()


def test_nothing_of_it_is_in_the_log(door: HttpDoor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), connected(door.port) as client:
        client.sendall(b"nonsense \x1b[31m\r\n\r\n")
        until_closed(client)
    with caplog.at_level(logging.INFO), connected(door.port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        assert reply_from(client.makefile("rb")).status == 200
    with caplog.at_level(logging.INFO):
        with connected(door.port) as client:
            client.sendall(
                b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
        deadline = time.monotonic() + PATIENCE
        while door._guests and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # what asked for the body learns of it in another task
    assert caplog.messages == []


def test_without_descriptors_it_waits_and_continues(
    door: HttpDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.1)
    with connected(door.port) as old, socket.socket() as new:
        old.sendall(GET)
        assert reply_from(old.makefile("rb")).status == 200
        with none_left():
            new.connect(("127.0.0.1", door.port))
            new.sendall(GET)
            eventually(lambda: door._accept_failures.pauses > 1)
            old.sendall(GET.replace(b"/health", b"/metrics"))  # whose process figures want descriptors
            assert old.recv(12) == b"HTTP/1.1 200"
        assert new.recv(12) == b"HTTP/1.1 200"
    assert door._accept_failures.pauses < 100
    assert caplog.messages == ["http: cannot accept connections for now: too many open files"]


def test_a_socket_that_fails_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    door = HttpDoor(("127.0.0.1", 0), Agent())
    door.start()
    with connected(door.port) as client:
        door._socket.shutdown(socket.SHUT_RDWR)
        assert until_closed(client) == b""
    door._thread.join(PATIENCE)
    assert not door._thread.is_alive()
    assert caplog.messages == [f"http: port {door.port}: invalid argument; nothing is answered until the next start"]
    door.close()


def test_closing_ends_all() -> None:
    door = HttpDoor(("127.0.0.1", 0), Agent())
    door.start()
    with connected(door.port) as client:
        client.sendall(GET)
        assert reply_from(client.makefile("rb")).status == 200
        door.close()
        assert until_closed(client) == b""
    assert not door._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        connected(door.port)
