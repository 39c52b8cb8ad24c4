"""What is outside the pipeline: kinds of log lines, connections of the HTTP door and of listeners."""

from __future__ import annotations

import logging
import resource
import socket
import time
from base64 import b64encode
from dataclasses import replace
from functools import partial

import pytest
from measuring import documented, held_mib, main

from capture_agent.app.agent_feed import as_message
from capture_agent.cli.logs import MOST_KINDS, MOST_LINES, QUOTED, Limit
from capture_agent.config.sections import ListenSection
from capture_agent.config.uris import parse_listen
from capture_agent.control.onlookers import MOST_BYTES, MOST_MESSAGES, Onlookers
from capture_agent.metrics.exposition import Exposition
from capture_agent.records.captured import Direction
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sources.hep_listener import open_hep_listener
from capture_agent.web.access import LONGEST_BODY, LONGEST_HEAD
from capture_agent.web.door import MOST_CONNECTIONS, HttpDoor

PATIENCE = 30.0  # seconds


def log_kinds() -> object:
    """Each kind has left lines out, and quotes the first of them: with characters of four bytes."""
    limit = Limit(lambda: 0.0)
    quoted = "\N{TELEPHONE RECEIVER}" * (10 * QUOTED)
    for n in range(MOST_KINDS + 100):
        path = f"{'p' * 200}{n}.py"
        for _ in range(MOST_LINES + 2):
            record = logging.LogRecord(f"{'l' * 100}{n}", logging.WARNING, path, n, quoted, (), None)
            limit.passes(record)
    assert len(limit._kinds) == MOST_KINDS + 1
    assert all(said.left_out for said in limit._kinds.values())
    return limit


class Agent:
    """Never asked: no request is complete."""

    def __init__(self) -> None:
        self.exposition = Exposition(partial(getattr, self, "figures"))
        self.exposition.load()

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


AGENT = Agent()  # the client library is no part of a connection


def http_connections() -> object:
    """Each has sent the longest header section, of the shortest headers, and almost all of the longest body."""
    door = HttpDoor(("127.0.0.1", 0), AGENT)  # type: ignore[arg-type]
    door.start()
    start = (
        f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {LONGEST_BODY}\r\n"
    )
    lines = "a:\r\n" * ((LONGEST_HEAD - len(start) - 2) // 4)
    request = f"{start}{lines}\r\n".encode() + b"[" * (LONGEST_BODY - 1)
    clients = []
    for _ in range(MOST_CONNECTIONS):
        client = socket.create_connection(("127.0.0.1", door.port), PATIENCE)
        client.sendall(request)
        clients.append(client)
    deadline = time.monotonic() + PATIENCE
    while len(door._guests) < MOST_CONNECTIONS and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)  # until the last bytes have been read
    assert len(door._guests) == MOST_CONNECTIONS
    return door, clients


def hep_connections() -> object:
    """Each has sent all but the last byte of the longest packet, in two parts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ListenSection(parse_listen(f"hep+tcp:127.0.0.1:{port}"))
    options = replace(options, connections_per_peer=options.connections)
    source = open_hep_listener(options)
    batches = source.batches()
    begun = b"HEP3\xff\xff" + bytes(65_528)
    clients = []
    for _ in range(options.connections):
        client = socket.create_connection(("127.0.0.1", source.port), PATIENCE)
        client.sendall(begun[:40_000])
        next(batches)
        clients.append(client)
    for client in clients:
        client.sendall(begun[40_000:])
        next(batches)
    waiting = source._connections._connections.values()  # type: ignore[attr-defined]
    deadline = time.monotonic() + PATIENCE
    while sum(len(one.pending) for one in waiting) < len(begun) * len(clients) and time.monotonic() < deadline:
        next(batches)
    assert [len(one.pending) for one in waiting] == [len(begun)] * options.connections
    return source, clients


def onlookers() -> object:
    """Of messages for which the bounds in number and in bytes meet."""
    made = Onlookers()
    made.after(None)
    start = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: a\r\n\r\n"
    raw = b64encode(start + b"x" * (MOST_BYTES // MOST_MESSAGES - len(start))).decode()
    for number in range(MOST_MESSAGES + 100):
        message = as_message([number, "udp", 17, "CgAAAQ==", number, "CgAAAg==", 5060, raw])
        assert message is not None
        made.see([TracedMessage(message, Direction.IN, Trace())])
    assert made.after(0)["next"] == MOST_MESSAGES + 100
    return made


CASES = {
    "messages for those who look on": onlookers,
    "kinds of log lines": log_kinds,
    "HTTP connections": http_connections,
    "connections of a HEP listener": hep_connections,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
