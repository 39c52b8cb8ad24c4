"""The API: what is asked, what it answers, and that its description is true."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Packet, pcap, sip
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from page_samples import PATIENCE, EventLines, Served, served, store_of
from sink_samples import eventually

from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.page import live_events
from capture_agent.page.call_query import BY_COLUMN, SORTED
from capture_agent.page.exports import EXPORTS
from capture_agent.page.openapi import FORMATS, description
from capture_agent.page.page_application import HEADERS
from capture_agent.page.store_source import StoreSource
from capture_agent.view.aliases import Aliases

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
LOOK = sorted((ROOT / "pcaps" / "look").glob("*.pcap"))
TOKEN = "o8Zr3kQ2vT9wLx1c"
FIRST, SECOND = "first-leg%40sip.example.com", "1-14758%40203.0.113.30"


@pytest.fixture(scope="module")
def source() -> Iterator[StoreSource]:
    with store_of(*LOOK) as made:
        yield made


@pytest.fixture(scope="module")
def ask(source: StoreSource) -> Iterator[Served]:
    place = parse_local("192.0.2.10")
    assert isinstance(place, LocalAddress)
    with served(source, aliases=Aliases({place: "proxy"})) as made:
        yield made


def states(answer: Any) -> list[str]:
    return [f"{call['method']} {call['state']}" for call in answer["calls"]]


ALL = ["REGISTER registered", "INVITE completed", "INVITE completed", "INVITE completed", "INVITE cancelled", "INVITE completed"]  # fmt: skip
SEARCHES = {
    "": ALL,
    "limit=2": ALL[:2],
    "limit=2&after=4": ALL[4:],
    "after=6": [],
    "search=gina": ALL[3:4],
    "search=GINA+proxy": ALL[3:4],
    "search=gina+nobody": [],
    "search=first-leg": ALL[1:2],
    "search=cancelled": ALL[4:5],
    "show=failed": [],
    "show=up": [],
    "where=status+%3D+487": ALL[4:5],
    "where=host+%3D+proxy+and+not+method+%3D+INVITE": ALL[:1],
    "since=2026-11-29T00:29:03": ALL[:3],
    "since=2026-11-29T01:29:03&zone=Europe/Berlin": ALL[:3],
    "since=2026-11-29T01:29:03%2B01:00": ALL[:3],
    "until=2026-11-29T00:28:59": ALL[5:],
    "last=10m": [],
    "last=5000w": ALL,
}


@pytest.mark.parametrize("query", SEARCHES)
def test_calls(ask: Served, query: str) -> None:
    assert states(ask(f"/api/calls?{query}").json) == SEARCHES[query]


WRONG = {
    "/api/calls?show=some": (400, "show: expected all, failed, up"),
    "/api/calls?sort=%2Dnothing": (400, f"sort: expected {', '.join(SORTED)}"),
    "/api/calls?sort=--first": (400, f"sort: expected {', '.join(SORTED)}"),
    "/api/calls?limit=0": (400, "limit: expected a number from 1 to 500"),
    "/api/calls?limit=1e3": (400, "limit: expected a number from 1 to 500"),
    "/api/calls?after=%C2%B2": (400, "after: expected a number from 0 to 100000"),
    "/api/calls?last=10": (400, "last: expected a time such as 90s, 10m, 2h or 3d"),
    "/api/calls?since=noon": (400, "since: expected a time such as 2026-11-25T21:09"),
    "/api/calls?zone=../etc": (400, "zone: expected utc, local or a name such as Europe/Berlin"),
    "/api/calls?where=status+>": (400, "where: column 9: expected a value"),
    "/api/calls?search=" + "x" * 1001: (400, "search: more than 1000 characters"),
    "/api/events?show=some": (400, "show: expected all, failed, up"),
    "/api/events?mark=-1": (400, "mark: expected a number"),
    "/api/call": (400, "id: expected 1 to 20 Call-IDs"),
    "/api/call?id=": (400, "id: expected 1 to 20 Call-IDs"),
    "/api/call?id=" + "&id=".join(map(str, range(21))): (400, "id: expected 1 to 20 Call-IDs"),
    "/api/call?id=nobody": (404, "no such call"),
    "/api/call?id=%FF%00": (404, "no such call"),
    f"/api/message?id={FIRST}&n=99": (404, "no message 99: there are 13"),
    f"/api/message?id={FIRST}&n=0": (400, "n: expected a number from 1 to 5000"),
    f"/api/difference?id={FIRST}&n=1&m=99": (404, "no message 99: there are 13"),
    f"/api/call?id={FIRST}&time=noon": (400, "time: expected start, delta, absolute"),
}


@pytest.mark.parametrize("path", WRONG)
def test_what_is_wrong(ask: Served, path: str) -> None:
    answer = ask(path)
    wanted = WRONG[path]
    assert (answer.status, answer.json["error"]) == wanted if "where" not in path else answer.status == wanted[0]


@pytest.mark.parametrize("path", ["/", "/call", "/message", "/difference", "/statistics", "/export"])
def test_a_wrong_question_gets_a_page(ask: Served, path: str) -> None:
    answer = ask(f"{path}?zone=nowhere&id=x")
    assert (answer.status, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "zone: expected utc" in answer.text


def test_its_description_is_valid(ask: Served) -> None:
    document = ask("/api/openapi.json").json
    validate(document)
    assert document == json.loads(json.dumps(description()))
    assert list(EXPORTS) == FORMATS


ANSWERED = [
    "/api/calls",
    "/api/calls?sort=-setup",
    f"/api/call?id={FIRST}",
    f"/api/call?id={FIRST}&legs=1",
    f"/api/call?id={FIRST}&id={SECOND}",
    f"/api/message?id={FIRST}&n=1",
    f"/api/message?id={FIRST}&n=2",
    f"/api/difference?id={FIRST}&n=1&m=3",
    "/api/statistics",
    "/api/source",
]


@pytest.mark.parametrize("path", ANSWERED)
def test_answers_are_as_described(ask: Served, path: str) -> None:
    document = description()
    operation = document["paths"][path.partition("?")[0]]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answer = ask(path)
    assert answer.status == 200
    Draft202012Validator(schema | {"components": document["components"]}).validate(answer.json)
    named = {parameter["name"] for parameter in operation["parameters"]}
    assert {part.partition("=")[0] for part in path.partition("?")[2].split("&") if part} <= named


VALUES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "first": lambda call: call["first_ns"],
    "from": lambda call: call["from_user"],
    "to": lambda call: call["to_user"],
    "state": lambda call: call["state"],
    "status": lambda call: call["status"] or 0,
    "setup": lambda call: -1 if call["setup_seconds"] is None else call["setup_seconds"],
    "duration": lambda call: -1 if call["duration_seconds"] is None else call["duration_seconds"],
    "messages": lambda call: call["messages"],
    "retransmissions": lambda call: call["retransmissions"],
}


@pytest.mark.parametrize("name", BY_COLUMN)
def test_order(ask: Served, name: str) -> None:
    """In both directions, and the same over pages."""
    usual = ask("/api/calls").json["calls"]
    for sort, reverse in ((name, False), ("-" + name, True)):
        answer = ask(f"/api/calls?sort={sort}").json
        assert sorted(map(str, answer["calls"])) == sorted(map(str, usual))
        values = [VALUES[name](call) for call in answer["calls"]]
        assert values == sorted(values, reverse=reverse)
        assert (answer["complete"], answer["after"]) == (True, None)
        parts, after = [], 0
        while after is not None:
            part = ask(f"/api/calls?sort={sort}&limit=2&after={after}").json
            parts += part["calls"]
            after = part["after"]
        assert [call["call_id"] for call in parts] == [call["call_id"] for call in answer["calls"]]


def test_legs_are_known_and_put_together(ask: Served) -> None:
    alone, both = ask(f"/api/call?id={FIRST}").json, ask(f"/api/call?id={FIRST}&legs=1").json
    assert (len(alone["messages"]), alone["other_legs"]) == (13, ["1-14758@203.0.113.30"])
    assert (len(both["messages"]), both["other_legs"]) == (26, [])
    assert [one["name"] for one in both["participants"]].count("proxy") == 1


@pytest.mark.parametrize("kind", EXPORTS)
def test_exports(ask: Served, kind: str) -> None:
    answer = ask(f"/export?id={FIRST}&format={kind}")
    assert answer.status == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="call.{EXPORTS[kind].suffix}"'
    beginnings = {
        "pcapng": b"\n\r\r\n",
        "json": b"{",
        "mermaid": b"sequenceDiagram\n",
        "svg": b"<svg",
        "html": b"<!doc",
    }
    assert answer.body.startswith(beginnings[kind])


@pytest.mark.parametrize("path", ["/", "/api/calls", "/assets/page.js", "/nothing", "/call?id=nobody"])
def test_a_browser_is_told_to_run_and_fetch_nothing_else(ask: Served, path: str) -> None:
    answer = ask(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": "Basic !!"}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": "Digest x"}, 401),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/calls", "/assets/style.css"])
def test_a_token_is_asked_for(source: StoreSource, headers: dict[str, str], status: int, path: str) -> None:
    with served(source, TOKEN) as ask:
        assert ask(path).status == 200  # as a browser's user gives it: as a password
        ask.token = ""
        answer = ask(path, **headers)
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="capture-agent"'


def test_a_long_head_is_refused(ask: Served) -> None:
    """Also where it comes at once."""
    assert ask("/", X="a" * 65_000).status == 431
    assert ask("/?search=" + "a" * 15_000).status == 400
    assert ask("/?search=" + "a" * 17_000).status == 431


def test_a_call_with_very_many_messages_and_hosts(tmp_path: Path) -> None:
    """What is left out is said."""
    file = tmp_path / "many.pcap"
    hosts = [f"10.0.{n}.1" for n in range(40)]
    ends = [(hosts[n % 40], hosts[(n + 1) % 40]) for n in range(5000)]
    file.write_bytes(
        pcap(
            [
                Packet(n / 100, *both, sip("INFO sip:b SIP/2.0", "many@b", cseq=f"{n + 1} INFO"))
                for n, both in enumerate(ends)
            ]
        )
    )
    with store_of(file) as source, served(source) as ask:
        found = ask("/api/call?id=many@b").json
        assert (len(found["participants"]), len(found["messages"]), found["left_out"]) == (40, 4000, 1000)
        assert "<dd>4000 of 5000" in ask("/call?id=many@b").text


def test_another_site_reaches_nothing_by_its_own_name(ask: Served) -> None:
    assert ask("/", Host="evil.example").status == 403


def test_streams_of_events_are_limited(ask: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are opened at the same moment; and each one makes room when it ends, wherever it was."""
    monkeypatch.setattr(live_events, "MOST_STREAMS", 3)
    begun = [EventLines(ask.port, "/api/events") for _ in range(8)]
    statuses = sorted(one.status for one in begun)
    assert statuses == [200] * 3 + [503] * 5
    for one in begun:
        one.close()
    eventually(lambda: opened(ask.port), PATIENCE)
    assert ask("/api/events?show=some").status == 400


def opened(port: int) -> bool:
    with EventLines(port, "/api/events") as events:
        return events.status == 200


@pytest.mark.parametrize("path", ["/", "/api/calls", "/api/events", f"/export?id={FIRST}&format=pcapng"])
def test_head(ask: Served, path: str) -> None:
    """The answer without its content; of a stream, it ends."""
    with socket.create_connection(("127.0.0.1", ask.port), PATIENCE) as client:
        client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(ask: Served, method: str) -> None:
    with socket.create_connection(("127.0.0.1", ask.port), PATIENCE) as client:
        client.sendall(f"{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 405 ")
