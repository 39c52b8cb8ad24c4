"""Pages that are served within a test, and tables with many calls for them."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from cli_samples import capture_agent
from sqlalchemy import create_engine, insert

from capture_agent.app.call_feed import CallFeed
from capture_agent.config import Config
from capture_agent.page.call_source import CallSource
from capture_agent.page.page_application import PageServing
from capture_agent.page.page_setting import PageSetting
from capture_agent.page.store_source import StoreSource
from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.sip_trace_table import sip_trace_table
from capture_agent.sinks.sql.trace_rows import TIMES, julian_day
from capture_agent.view.aliases import Aliases
from capture_agent.web.door import HttpServer

PATIENCE = 60.0
FIRST = 1_790_000_000  # seconds since the epoch: when the first call of `many_calls` begins


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    port: int
    token: str = ""

    def __call__(self, path: str, **headers: str) -> Answer:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if self.token:
            request.add_header("Authorization", "Basic " + b64encode(f"operator:{self.token}".encode()).decode())
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            return Answer(error.code, error.headers, error.read())


class EventLines:
    """A stream of server-sent events."""

    def __init__(self, port: int, path: str, **headers: str) -> None:
        self._client = socket.create_connection(("127.0.0.1", port), PATIENCE)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
        self._client.sendall("\r\n".join([*lines, "", ""]).encode())
        self._lines = self._client.makefile("rb")
        self.status = int(self._lines.readline().split()[1])

    def close(self) -> None:
        self._client.close()
        self._lines.close()

    def __enter__(self) -> EventLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self, name: str) -> tuple[int | None, Any]:
        """The id and the data of the next event of this name. It must come."""
        mark: int | None = None
        event = ""
        deadline = time.monotonic() + PATIENCE
        while (line := self._lines.readline().decode()) and time.monotonic() < deadline:
            field, _, value = line.rstrip().partition(": ")
            if field == "id":
                mark = int(value)
            elif field == "event":
                event = value
            elif field == "data" and event == name:
                return mark, json.loads(value)
        raise AssertionError(f"no event {name}")

    def state(self) -> tuple[bool, list[str]]:
        """The next one."""
        state = self.next("state")[1]
        return state["reading"], state["problems"]


@contextmanager
def served(source: CallSource, token: str = "", aliases: Aliases | None = None) -> Iterator[Served]:
    serving = PageServing(PageSetting(source, aliases or Aliases()), token)
    server = HttpServer(("127.0.0.1", 0), serving.app)
    server.start()
    try:
        yield Served(server.port, token)
    finally:
        server.close()
        serving.close()


@contextmanager
def store_of(*files: Path) -> Iterator[StoreSource]:
    """Of capture files, when all of them are read."""
    feed = CallFeed(Config(), [str(file) for file in files])
    feed.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while feed.reading:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield StoreSource("captures", feed)
    finally:
        feed.stop()


def message(start: str, call: int, method: str) -> bytes:
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK{call}{method}\r\n"
        f"From: <sip:{10_000 + call}@example.com>;tag=a{call}\r\nTo: <sip:bob@example.com>;tag=b\r\n"
        f"Call-ID: {call}@198.51.100.20\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def many_calls(url: str, calls: int) -> None:
    """A new table with so many calls, one a second; every tenth was busy."""
    assert capture_agent("db", "create", "--db", url).status == 0
    made = create_engine(parse_url(url))
    rows = []
    for call in range(calls):
        status = "486 Busy Here" if call % 10 == 0 else "200 OK"
        steps = [("INVITE sip:bob@example.com SIP/2.0", "INVITE"), (f"SIP/2.0 {status}", "INVITE")]
        steps += [("ACK sip:bob@example.com SIP/2.0", "ACK")]
        for at, (start, method) in enumerate(steps):
            seconds = FIRST + call
            stamp = julian_day(seconds) if made.dialect.name == "sqlite" else TIMES["local"](seconds)
            ends = ["udp:198.51.100.20:5060", "udp:192.0.2.10:5060"]
            forward = not start.startswith("SIP")
            rows.append(
                {
                    "time_stamp": stamp,
                    "time_us": at * 50_000,
                    "callid": f"{call}@198.51.100.20",
                    "traced_user": "",
                    "msg": message(start, call, method).decode(),
                    "method": method,
                    "status": "" if forward else status[:3],
                    "fromip": ends[not forward],
                    "toip": ends[forward],
                    "fromtag": f"a{call}",
                    "totag": "b",
                    "direction": "in" if forward else "out",
                }
            )
    table = sip_trace_table()
    with made.begin() as connection:
        for at in range(0, len(rows), 5000):
            connection.execute(insert(table), rows[at : at + 5000])
    made.dispose()
