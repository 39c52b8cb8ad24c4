"""Pages of what a running agent traces, from its control socket and its HTTP door."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from cli_samples import CALL, capture_agent
from faults.peers import end_process
from free_ports import free_port
from page_samples import EventLines, Served
from sink_samples import eventually

pytestmark = pytest.mark.once

PATIENCE = 60
TOKEN = "o8Zr3kQ2vT9wLx1c"


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAPTURE_AGENT")}
    command = [sys.executable, "-m", "capture_agent", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean) as process:
        try:
            yield process
        finally:
            end_process(process, PATIENCE)


@pytest.mark.parametrize("way", ["socket", "https"])
def test_what_a_running_agent_traces(way: str, tmp_path: Path, certificate: Path) -> None:
    """Masked as the agent masks it; while the agent is away, the page says so and keeps what it has."""
    control, copies, port, door = tmp_path / "control.sock", free_port(), free_port(), free_port()
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[control]\nsocket = "{control}"\n[capture]\nlisten = ["sip:127.0.0.1:{copies}"]\n'
        f'[[jsonl]]\nfile = "{tmp_path}/calls.jsonl"\n[privacy]\nmask = ["users:truncate"]\n'
        f'[http]\nlisten = "127.0.0.1:{door}"\ntoken_file = "{secret}"\ntls_cert = "{certificate}"\nmessages = true\n'
    )
    url = f"https://127.0.0.1:{door}"
    place: tuple[object, ...] = (control,)
    if way == "https":
        place = (url + "/", "--agent-token-file", secret, "--agent-ca", certificate)
    ask = Served(port)
    with running("run", "--config", config) as agent:
        eventually(lambda: agent.poll() is not None or control.exists(), PATIENCE)
        assert agent.poll() is None
        with running("web", "--agent", *place, "--listen", f"127.0.0.1:{port}") as web:
            assert web.stderr is not None
            assert f"shows agent at {url if way == 'https' else control};" in web.stderr.readline()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for packet in CALL:
                    sender.sendto(packet.payload, ("127.0.0.1", copies))
            eventually(lambda: [call["messages"] for call in ask("/api/calls").json["calls"]] == [len(CALL)], PATIENCE)
            assert b"alice" not in ask("/").body
            assert (ask("/api/source").json["reading"], ask("/api/source").json["problems"]) == (True, [])
            agent.terminate()
            agent.wait(PATIENCE)
            problem = f"{url}: connection refused" if way == "https" else f"no agent listens on {control}"
            with EventLines(port, "/api/events") as events:
                eventually(lambda: events.state() == (False, [problem]), PATIENCE)
            assert problem in ask("/").text
            assert len(ask("/api/calls").json["calls"]) == 1


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("sipp") is None, reason="capturing needs root; calls need sipp")
def test_under_load_by_http(tmp_path: Path) -> None:
    """An agent that captures while SIPp makes calls: all of them are on the page, none of them with its user."""
    port, door, callee, caller = free_port(), free_port(), free_port(), free_port()
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[control]\nsocket = "{tmp_path}/control.sock"\n[capture]\ninterfaces = ["lo"]\nfilter = "udp port {callee}"\n'
        f'[[jsonl]]\nfile = "{tmp_path}/calls.jsonl"\n[privacy]\nmask = ["users:truncate"]\n'
        f'[http]\nlisten = "127.0.0.1:{door}"\ntoken_file = "{secret}"\nmessages = true\n'
    )
    ask = Served(port)
    sipp = ["sipp", "-nostdin", "-i", "127.0.0.1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        running("run", "--config", config) as agent,
        subprocess.Popen([*sipp, "-sn", "uas", "-p", str(callee)], **quiet) as answering,
    ):
        eventually(lambda: agent.poll() is not None or (tmp_path / "control.sock").exists(), PATIENCE)
        place = ("--agent", f"http://127.0.0.1:{door}", "--agent-token-file", secret)
        with running("web", *place, "--listen", f"127.0.0.1:{port}") as web:
            assert web.stderr is not None
            assert "shows agent at http://" in web.stderr.readline()
            calls = [
                *sipp,
                "-sn",
                "uac",
                f"127.0.0.1:{callee}",
                "-p",
                str(caller),
                "-m",
                "200",
                "-r",
                "100",
                "-d",
                "100",
            ]
            subprocess.run([*calls, "-s", "4930123456"], timeout=PATIENCE, check=True, **quiet)
            where = "/api/calls?limit=500&where=state%3Dcompleted"
            eventually(lambda: len(ask(where).json["calls"]) == 200, PATIENCE)
            assert ask("/api/source").json["problems"] == []
            call = ask(where).json["calls"][0]
            assert "4930123456" not in call["to_user"]
            for path in ("/call?id=", "/export?format=pcapng&id=", "/message?n=1&id="):
                assert b"4930123456" not in ask(path + quote(call["call_id"])).body
        answering.terminate()


def test_no_agent_is_there(tmp_path: Path) -> None:
    ended = capture_agent("web", "--agent", tmp_path / "nothing.sock")
    assert (ended.status, ended.err.count("no agent listens on")) == (1, 1)
