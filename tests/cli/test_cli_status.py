"""`capture-agent status` and a running agent: tracing switched while SIP comes in. No interface, so no root, needed."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_samples import INVITE, RINGING, capture_agent
from free_ports import free_port

from capture_agent.control.client import ask

PATIENCE = 60


class Running:
    """A running `capture-agent run --listen` that writes to a table, and a sender of SIP."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.socket = folder / "control.sock"
        self.database = folder / "trace.db"
        url = f"sqlite:///{self.database}"
        assert capture_agent("db", "create", "--db", url, folder=folder).status == 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "capture_agent", "run", "--listen", f"sip:127.0.0.1:{port}", "--db", url, *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        assert self.process.stderr is not None
        self.said = ""
        while "capturing on" not in self.said and (line := self.process.stderr.readline()):
            self.said += line
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.connect(("127.0.0.1", port))

    def send(self, message: bytes) -> None:
        """Send a message, and wait until it is counted as traced or not."""
        before = self.counted()
        self.peer.send(message)
        for _ in range(10_000):
            if self.counted() > before:
                return
        raise AssertionError("the message has not come")

    def counted(self) -> int:
        answer = ask(self.socket, "stats", [])
        assert isinstance(answer, dict)
        (messages,) = (each for each in answer["ledgers"] if each["name"] == "messages")
        return int(messages["traced"] + messages["not_traced"])

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=PATIENCE)[1]

    def rows(self) -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("select method, status, toip from sip_trace order by id").fetchall()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    agent = Running(tmp_path, free_port(), "--control", str(tmp_path / "control.sock"))
    yield agent
    agent.peer.close()
    if agent.process.poll() is None:
        agent.process.kill()
        agent.process.communicate()


def test_tracing_is_switched(running: Running, tmp_path: Path) -> None:
    def status(word: str) -> str:
        ended = capture_agent("status", word, "--control", str(running.socket), folder=tmp_path)
        assert (ended.err, ended.status) == ("", 0)
        return ended.out

    assert running.said.startswith("capturing on sip:127.0.0.1:")
    assert status("check") == "Enabled\n"
    running.send(INVITE)
    assert status("OFFline") == "Disabled\n"
    assert status("check") == "Disabled\n"
    running.send(INVITE)
    assert status("on") == "Enabled\n"
    running.send(RINGING)
    books = running.stop()
    assert "messages: 3 seen, 2 traced, 1 not traced" in books
    assert [row[:2] for row in running.rows()] == [("INVITE", ""), ("INVITE", "180")]
    assert {re.sub(r"\d+$", "N", row[2]) for row in running.rows()} == {"udp:127.0.0.1:N"}
    assert not running.socket.exists()
    ended = capture_agent("status", "check", "--control", str(running.socket), folder=tmp_path)
    line = f"capture-agent: status: no agent listens on {running.socket}\n"
    assert (ended.err, ended.out, ended.status) == (line, "", 1)


def test_a_second_agent_does_not_take_the_socket(running: Running, tmp_path: Path) -> None:
    port, control = str(free_port()), str(running.socket)
    ended = capture_agent(
        "run", "--listen", f"sip:127.0.0.1:{port}", "--sip", "sip:127.0.0.1:9", "--control", control, folder=tmp_path
    )
    line = f"capture-agent: run: control socket {control}: another agent listens there\n"
    assert (ended.err, ended.status) == (line, 2)
    assert ask(running.socket, "siptrace.status", ["check"]) == "Enabled"


def test_what_any_client_can_do(running: Running) -> None:
    """Without our client: what a shell script sends with socat."""
    request = b'[{"jsonrpc":"2.0","method":"siptrace.status","params":["bogus"],"id":1},{"jsonrpc":"2.0","method":"x","id":2}]'
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(running.socket))
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answers = json.loads(client.makefile("rb").read())
    assert [answer["error"] for answer in answers] == [
        {"code": 500, "message": "Bad parameter (on, off or check)"},
        {"code": -32601, "message": "Method not found"},
    ]


@pytest.mark.parametrize("wanted", ["auto", ""])
def test_the_default_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """If the default cannot be opened, `run` warns and continues; an empty name means no socket."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "nix" / "nix"))
    agent = Running(tmp_path, free_port(), "--control", wanted)
    text = agent.said + agent.stop()
    agent.peer.close()
    assert agent.process.returncode == 0
    warned = f"capture-agent: WARNING: control socket: folder {tmp_path}/nix/nix: no such file or directory" in text
    assert warned == (wanted == "auto")
    assert "capturing on" in text


def test_systemds_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    agent = Running(tmp_path, free_port())
    assert capture_agent("status", "check", folder=tmp_path).out == "Enabled\n"
    agent.stop()
    agent.peer.close()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line", "status"),
    [
        ("bogus", "status: Bad parameter (on, off or check): 'bogus'", 2),
        ("", "status: missing argument 'on|off|check'", 2),
        ("on --control nix.sock", "status: no agent listens on nix.sock", 1),
        ("on --config none.toml", "status: control.socket is empty: this agent has no control socket", 2),
        ("on --config beside.toml", "status: no agent listens on folder/beside.sock", 1),
        ("on --control text", "status: no agent listens on text", 1),
    ],
)
def test_lines(tmp_path: Path, arguments: str, line: str, status: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "none.toml").write_text('[control]\nsocket = ""\n')
    (tmp_path / "beside.toml").write_text('[control]\nsocket = "folder/beside.sock"\n')
    (tmp_path / "text").write_text("text")
    ended = capture_agent("status", *arguments.split(), folder=tmp_path)
    assert (ended.err, ended.out, ended.status) == (f"capture-agent: {line}\n", "", status)


def test_x_headers_tell_what_a_duplicate_was(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[capture]\nx_headers = true\n")
    control = str(tmp_path / "control.sock")
    agent = Running(tmp_path, free_port(), "--config", "agent.toml", "--control", control)
    head, _, body = INVITE.partition(b"\r\n\r\n")
    block = (
        b"\r\nX-Siptrace-Fromip: tcp:10.1.1.1:5060\r\nX-Siptrace-Toip: tcp:10.1.1.2:5070\r\n"
        b"X-Siptrace-Time: 1500000000 7\r\nX-Siptrace-Method: INVITE\r\nX-Siptrace-Dir: out\r\n\r\n"
    )
    agent.peer.send(INVITE)
    agent.send(head + block + body)
    books = agent.stop()
    agent.peer.close()
    assert "messages: 2 seen, 1 traced, 0 not traced, 0 duplicate, 1 rejected (no_x_headers 1)" in books
    with closing(sqlite3.connect(agent.database)) as connection:
        rows = connection.execute("select msg, fromip, toip, time_us, direction from sip_trace").fetchall()
    assert rows == [(INVITE, "tcp:10.1.1.1:5060", "tcp:10.1.1.2:5070", 7, "out")]
