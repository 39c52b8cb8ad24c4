"""Pages of what a running agent traces, from its control socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_samples import CALL, capture_agent
from faults.peers import end_process
from free_ports import free_port
from page_samples import Served
from sink_samples import eventually

pytestmark = pytest.mark.once

PATIENCE = 60


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAPTURE_AGENT")}
    command = [sys.executable, "-m", "capture_agent", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean) as process:
        try:
            yield process
        finally:
            end_process(process, PATIENCE)


def test_what_a_running_agent_traces(tmp_path: Path) -> None:
    """Masked as the agent masks it; while the agent is away, the page says so and keeps what it has."""
    control, copies, port = tmp_path / "control.sock", free_port(), free_port()
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[control]\nsocket = "{control}"\n[capture]\nlisten = ["sip:127.0.0.1:{copies}"]\n'
        f'[[jsonl]]\nfile = "{tmp_path}/calls.jsonl"\n[privacy]\nmask = ["users:truncate"]\n'
    )
    ask = Served(port)
    with running("run", "--config", config) as agent:
        eventually(lambda: agent.poll() is not None or control.exists(), PATIENCE)
        assert agent.poll() is None
        with running("web", "--agent", control, "--listen", f"127.0.0.1:{port}") as web:
            assert web.stderr is not None
            assert f"shows agent at {control};" in web.stderr.readline()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for packet in CALL:
                    sender.sendto(packet.payload, ("127.0.0.1", copies))
            eventually(lambda: [call["messages"] for call in ask("/api/calls").json["calls"]] == [len(CALL)], PATIENCE)
            assert b"alice" not in ask("/").body
            agent.terminate()
            agent.wait(PATIENCE)
            eventually(lambda: f"no agent listens on {control}" in ask("/").text, PATIENCE)
            assert len(ask("/api/calls").json["calls"]) == 1


def test_no_agent_is_there(tmp_path: Path) -> None:
    ended = capture_agent("web", "--agent", tmp_path / "nothing.sock")
    assert (ended.status, ended.err.count("no agent listens on")) == (1, 1)
