"""An agent of which the HTTP door asks, and clients of it that speak bytes."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from dataclasses import dataclass, field

from figure_samples import figures, sink

from capture_agent.books import Books, Ledger
from capture_agent.control.onlookers import Onlookers
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import AgentFigures, GroupFigures, SinkFigures
from capture_agent.metrics.health import HealthReason

PATIENCE = 20.0


class Agent:
    def __init__(self) -> None:
        self.tracing = True
        self.ready = True
        self.onlookers = Onlookers()
        self.reasons: list[HealthReason] = []
        self.exposition = Exposition(self.figures)

    def groups(self) -> list[GroupFigures]:
        return []

    def books(self) -> Books:
        return Books([Ledger("messages", 3, {"traced": 3}, Counter(), Counter())])

    def figures(self) -> AgentFigures:
        return figures()

    def health(self) -> tuple[list[SinkFigures], list[HealthReason]]:
        return [sink()], self.reasons


@dataclass
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> object:
        return json.loads(self.body)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def reply_from(reader: socket.SocketIO | object) -> Reply:
    """The next one on a connection; status 0: it has ended."""
    line = reader.readline()  # type: ignore[attr-defined]
    if not line:
        return Reply(0)
    reply = Reply(int(line.split()[1]))
    while (line := reader.readline().strip()) != b"":  # type: ignore[attr-defined]
        name, _, value = line.decode("latin-1").partition(":")
        reply.headers[name.lower()] = value.strip()
    reply.body = reader.read(int(reply.headers.get("content-length", 0)))  # type: ignore[attr-defined]
    return reply


def ask(port: int, path: str = "/metrics", method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    with connected(port) as client:
        client.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        reply = reply_from(client.makefile("rb"))
    if method == "HEAD":
        reply.body = b""
    return reply


def rpc(port: int, document: object, **headers: str) -> Reply:
    headers = {"Content_Type": "application/json"} | headers
    return ask(port, "/rpc", "POST", json.dumps(document).encode(), **headers)


def metric(text: bytes, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", text.decode(), re.MULTILINE)
    assert found is not None, line
    return float(found[1])
