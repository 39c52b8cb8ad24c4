"""What the HTTP door answers, and to whom."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_samples import Agent, Reply, ask, metric, rpc
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from capture_agent.config.sections import Http
from capture_agent.control.commands import SPOKEN, methods_of
from capture_agent.control.jsonrpc import answer
from capture_agent.metrics.health import HealthReason
from capture_agent.web.door import HttpDoor
from capture_agent.web.http_checks import tls_of

pytestmark = pytest.mark.once

TOKEN = "o8Zr3kQ2vT9wLx1c"


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def door(agent: Agent) -> Iterator[HttpDoor]:
    door = HttpDoor(("127.0.0.1", 0), agent)
    door.start()
    yield door
    door.close()


@pytest.fixture
def locked(agent: Agent) -> Iterator[HttpDoor]:
    door = HttpDoor(("127.0.0.1", 0), agent, TOKEN)
    door.start()
    yield door
    door.close()


def test_metrics_as_text(door: HttpDoor) -> None:
    reply = ask(door.port)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert metric(reply.body, 'capture_agent_messages_total{outcome="traced",reason=""}') == 5
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=reply.body, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.2",
    ],
)
def test_metrics_as_openmetrics(door: HttpDoor, accept: str) -> None:
    reply = ask(door.port, Accept=accept)
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.body.endswith(b"# EOF\n")
    assert list(text_string_to_metric_families(reply.body.decode()))


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", ";;;,,,=q=x", "a/b;version=" + 15_000 * "1", 7000 * "a,"])
def test_any_other_accept_gets_the_text(door: HttpDoor, accept: str) -> None:
    assert ask(door.port, Accept=accept).headers["content-type"].startswith("text/plain")


def test_health(agent: Agent, door: HttpDoor) -> None:
    reply = ask(door.port, "/health")
    wanted = {"status": "ok", "connected_transports": 1, "queue_size": 0, "buffer_size_bytes": 0, "reasons": []}
    assert (reply.status, reply.json) == (200, wanted)
    agent.reasons = [HealthReason("source_down", "eth0", "down")]
    reply = ask(door.port, "/health")
    reasons = [{"reason": "source_down", "name": "eth0", "text": "down"}]
    assert (reply.status, reply.json) == (503, wanted | {"status": "degraded", "reasons": reasons})


def test_ready(agent: Agent, door: HttpDoor) -> None:
    assert ask(door.port, "/ready").status == 200
    agent.ready = False
    assert ask(door.port, "/ready").status == 503


def test_stats(agent: Agent, door: HttpDoor) -> None:
    find = methods_of(agent)
    wanted = find("agent.stats")
    assert wanted is not None
    assert ask(door.port, "/api/stats").json == wanted([])


@pytest.mark.parametrize(
    "document",
    [
        {"jsonrpc": "2.0", "method": "siptrace.status", "params": ["check"], "id": 1},
        {"jsonrpc": "2.0", "method": "stats", "id": 2},
        {"jsonrpc": "2.0", "method": "agent.health", "id": "x"},
        {"jsonrpc": "2.0", "method": "nothing", "id": 1},
        {"jsonrpc": "2.0", "method": "messages", "id": 1},
        [{"jsonrpc": "2.0", "method": "stats", "id": 2}, 7],
        "nonsense",
    ],
)
def test_commands_are_those_of_the_control_socket(agent: Agent, door: HttpDoor, document: object) -> None:
    import json

    reply = rpc(door.port, document)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.body == answer(json.dumps(document).encode(), methods_of(agent, SPOKEN))
    assert b'"missed"' not in reply.body


def test_a_command_has_an_effect(agent: Agent, door: HttpDoor) -> None:
    off = {"jsonrpc": "2.0", "method": "siptrace.status", "params": ["off"]}
    reply = rpc(door.port, off)
    assert (reply.status, reply.body, agent.tracing) == (204, b"", False)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404),
        ("/metrics/", "GET", 404),
        ("/../etc/passwd", "GET", 404),
        ("/metrics?x=" + "y" * 1000, "GET", 200),
        ("/metrics", "HEAD", 200),
        ("/metrics", "POST", 405),
        ("/rpc", "GET", 405),
        ("/health", "DELETE", 405),
        ("/%00%ff", "GET", 404),
    ],
)
def test_paths_and_methods(door: HttpDoor, path: str, method: str, status: int) -> None:
    reply = ask(door.port, path, method)
    assert reply.status in (status, 307) if path.endswith("/") else reply.status == status


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_what_a_page_in_a_browser_may_send_is_refused(agent: Agent, door: HttpDoor, kind: str) -> None:
    off = {"jsonrpc": "2.0", "method": "siptrace.status", "params": ["off"], "id": 1}
    assert rpc(door.port, off, Content_Type=kind).status == 415
    assert agent.tracing


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9096", 200),
        ("localhost:9096", 200),
        ("LOCALHOST", 200),
        ("[::1]:9096", 200),
        ("evil.example:9096", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("[::1", 403),
    ],
)
def test_without_a_token_a_page_cannot_come_by_a_name_of_its_own(door: HttpDoor, host: str, status: int) -> None:
    import socket

    from http_samples import reply_from

    with socket.create_connection(("127.0.0.1", door.port), 20) as client:
        client.sendall(f"GET /api/stats HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert reply_from(client.makefile("rb")).status == status


@pytest.mark.parametrize("path", ["/metrics", "/api/stats", "/rpc", "/", "/health/", "//health"])
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xff",
    ],
)
def test_without_the_token_nothing_is_told(locked: HttpDoor, path: str, authorization: str) -> None:
    reply = ask(locked.port, path, "POST" if path == "/rpc" else "GET", Authorization=authorization)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert TOKEN.encode() not in reply.body


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
def test_with_the_token_all_is(locked: HttpDoor, authorization: str) -> None:
    assert ask(locked.port, "/metrics", Authorization=authorization, X_Host="any.example").status == 200
    asked = rpc(locked.port, {"jsonrpc": "2.0", "method": "stats", "id": 1}, Authorization=authorization)
    assert asked.status == 200


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_need_none(locked: HttpDoor, path: str) -> None:
    assert ask(locked.port, path).status == 200


def test_over_tls(agent: Agent, certificate: Path) -> None:
    door = HttpDoor(("127.0.0.1", 0), agent, tls=tls_of(Http(listen="127.0.0.1:1", tls_cert=str(certificate))))
    door.start()
    url = f"https://127.0.0.1:{door.port}/health"
    done = subprocess.run(["curl", "-s", "--cacert", certificate, url], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout[:14]) == (0, b'{"status":"ok"')
    door.close()


def test_a_bug_is_a_line_in_the_log(agent: Agent, door: HttpDoor, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> object:
        raise RuntimeError("with a secret")

    agent.health = broken  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.INFO):
        replies: list[Reply] = [ask(door.port, "/health") for _ in range(3)]
        assert ask(door.port, "/ready").status == 200
    assert [reply.status for reply in replies] == [500] * 3
    assert caplog.messages == ["http: internal error: RuntimeError"]


def test_requests_are_not_in_the_log(door: HttpDoor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(door.port, "/secret-path")
        ask(door.port, "/metrics", Authorization="Bearer secret-token")
    assert [record for record in caplog.records if record.name != "asyncio"] == []
