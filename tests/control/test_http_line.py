"""The client of an agent's HTTP door: against a door, and against what is none."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from http_samples import Agent
from sink_samples import batch_of

from capture_agent.config.sections import Http
from capture_agent.control import http_line
from capture_agent.control.agent_url import checked_url, is_url
from capture_agent.control.commands import Fault
from capture_agent.control.http_line import HttpLine
from capture_agent.control.place import ControlError
from capture_agent.web.door import HttpDoor
from capture_agent.web.http_checks import tls_of

pytestmark = pytest.mark.once

TOKEN = "o8Zr3kQ2vT9wLx1c"


@contextmanager
def door_of(agent: Agent, certificate: Path | None = None, messages: bool = True) -> Iterator[HttpDoor]:
    tls = tls_of(Http(tls_cert=str(certificate))) if certificate else None
    door = HttpDoor(("127.0.0.1", 0), agent, TOKEN, tls, messages)
    door.start()
    try:
        yield door
    finally:
        door.close()


@contextmanager
def line_to(port: int, token: str = TOKEN, scheme: str = "http", ca: str = "") -> Iterator[HttpLine]:
    line = HttpLine(f"{scheme}://127.0.0.1:{port}", token, ca)
    try:
        yield line
    finally:
        line.close()


def failure(line: HttpLine, method: str = "messages") -> str:
    """What it says of the agent, without its name."""
    with pytest.raises(ControlError) as raised:
        line.ask(method, [None])
    return str(raised.value).removeprefix(line.name + ": ")


def test_answers_of_a_door(certificate: Path) -> None:
    """By one connection, over TLS; and faults are those of the control socket."""
    agent = Agent()
    with door_of(agent, certificate) as door, line_to(door.port, scheme="https", ca=str(certificate)) as line:
        assert line.ask("messages", [None]) == {"next": 0, "missed": 0, "messages": []}
        agent.onlookers.see(batch_of(3))
        answer: Any = line.ask("messages", [0])
        assert (answer["next"], len(answer["messages"])) == (3, 3)
        with pytest.raises(Fault, match="Bad parameter"):
            line.ask("messages", ["x"])
        assert len(door._guests) == 1


def test_a_door_that_refuses(certificate: Path) -> None:
    agent = Agent()
    with door_of(agent) as door:
        with line_to(door.port, token="x" * 16) as line:
            assert failure(line) == "the door does not know this token"
        with line_to(door.port, scheme="https") as line:
            assert "wrong version number" in failure(line).lower().replace("_", " ")
    with door_of(agent, messages=False) as door, line_to(door.port) as line:
        assert failure(line) == "this agent's [http] has not messages = true"
        assert line.ask("siptrace.status", ["check"]) == "Enabled"
    with door_of(agent, certificate) as door:
        with line_to(door.port, scheme="https") as line:
            assert failure(line).startswith("its certificate: self-signed certificate")
        with line_to(door.port) as line:
            assert failure(line)
    with line_to(door.port) as line:
        assert failure(line) == "connection refused"


RESULT = json.dumps({"jsonrpc": "2.0", "result": "x", "id": 1}).encode()
NO_HTTP = "it ended the connection, or does not speak HTTP"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def endless(client: socket.socket) -> None:
    client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


def trickling(client: socket.socket) -> None:
    client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        client.sendall(b"x")
        threading.Event().wait(0.02)


def says(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda client: client.sendall(answer)


OTHERS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "more than is taken": (endless, "an answer of more than 200000 bytes"),
    "one byte after the other": (trickling, "no answer within 0.3 s"),
    "nothing": (lambda client: threading.Event().wait(1) and None, "no answer within 0.3 s"),
    "an end": (lambda client: None, NO_HTTP),
    "no HTTP": (says(b"SSH-2.0-OpenSSH\r\n"), NO_HTTP),
    "a redirect": (says(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n"), "HTTP status 302"),
    "another server": (says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "not the HTTP door of a capture-agent"),
    "another content": (says(HEAD + b"Content-Length: 2\r\n\r\n[]"), "unexpected reply, not a capture-agent"),
    "a short one": (says(HEAD + b"Content-Length: 200\r\n\r\n" + RESULT), NO_HTTP),
    "endless headers": (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000), NO_HTTP),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_door(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_line, "LONGEST_ANSWER", 200_000)
    monkeypatch.setattr(http_line, "PATIENCE", 0.3 if "0.3 s" in OTHERS[name][1] else 30.0)
    answering, said = OTHERS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                client, _ = server.accept()
                with client:
                    while not client.recv(65536).endswith(b"}"):
                        pass  # a socket that is closed with unread bytes resets its connection
                    answering(client)

        thread = threading.Thread(target=serve)
        thread.start()
        with line_to(server.getsockname()[1]) as line:
            assert failure(line).startswith(said)
        thread.join()


URLS = {
    "http://192.0.2.1:9096": "http://192.0.2.1:9096",
    "HTTPS://edge.example.com/": "https://edge.example.com",
    "https://[2001:db8::1]:9096/": "https://[2001:db8::1]:9096",
    "http://": None,
    "http://host:0": None,
    "http://host:99999": None,
    "http://user:secret@host:1": None,
    "http://host/rpc": None,
    "http://host?token=x": None,
    "http://host#x": None,
    "http://[::1": None,
}


@pytest.mark.parametrize("url", URLS)
def test_urls(url: str) -> None:
    assert is_url(url)
    if (wanted := URLS[url]) is not None:
        assert checked_url(url) == wanted
        return
    with pytest.raises(ValueError, match="expected http://HOST:PORT"):
        checked_url(url)
