"""capture-agent web: where it listens, what it shows, how it ends, what it refuses."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_samples import CALL, capture_agent, pcap
from free_ports import free_port

pytestmark = pytest.mark.once

TOKEN = "o8Zr3kQ2vT9wLx1c"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "call.pcap"
    file.write_bytes(pcap(CALL))
    return file


@contextmanager
def running(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the line that it says when it serves."""
    command = [sys.executable, "-m", "capture_agent", "web", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAPTURE_AGENT")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(capture: Path, number: signal.Signals) -> None:
    port = free_port()
    with running(capture, "--listen", f"127.0.0.1:{port}") as (process, line):
        assert line.endswith(f"http://127.0.0.1:{port}/ shows call.pcap; Ctrl-C ends it")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            assert b"alice" in answer.read()
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_serves_the_table_with_names_and_masks(capture: Path, tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/trace.db", free_port()
    assert capture_agent("db", "create", "--db", url).status == 0
    assert capture_agent("replay", capture, "--db", url).status == 0
    config = tmp_path / "web.toml"
    config.write_text(
        f'[[sql]]\nurl = "{url}"\n[privacy]\nmask = ["users:truncate"]\n[aliases]\n"10.0.0.2" = "edge proxy"\n'
    )
    with running("--config", config, "--listen", f"127.0.0.1:{port}") as (_, line):
        assert "sip_trace" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            page = answer.read().decode()
    assert "edge proxy" in page
    assert not re.search(r"\balice\b", page)


def test_beyond_loopback_with_a_token_and_tls(capture: Path, tmp_path: Path, certificate: Path) -> None:
    secret, port = tmp_path / "token", free_port()
    secret.write_text(TOKEN + "\n")
    options = ("--listen", f"0.0.0.0:{port}", "--token-file", secret, "--tls-cert", certificate)
    with running(capture, *options) as (_, line):
        assert line.endswith(f"https://0.0.0.0:{port}/ shows call.pcap; Ctrl-C ends it")
        trusting = ssl.create_default_context(cafile=str(certificate))
        request = urllib.request.Request(f"https://127.0.0.1:{port}/")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=60, context=trusting) as answer:
            assert b"alice" in answer.read()


WRONG = {
    "": "nothing to show: give FILE, -i IFACE, --db URL or --agent SOCKET|URL, or --config FILE",
    "nix.pcap": "no such file: nix.pcap",
    "call.pcap -i lo": "got more than one of FILE, -i, --db and --agent, expected one of them",
    "call.pcap --listen 0.0.0.0:8008": "--listen: 0.0.0.0:8008 is not on loopback, expected --token-file",
    "call.pcap --listen localhost:8008": "--listen: value 'localhost:8008': the host is not a valid IP address",
    "call.pcap --listen 127.0.0.1": "--listen: value '127.0.0.1': the port is missing",
    "call.pcap --token-file nix": "--token-file: nix: no such file or directory",
    "call.pcap --token-file short": "--token-file: short: expected 16 to 1024 visible ASCII characters",
    "--agent http://10.0.0.1:9096": "--agent: a URL needs --agent-token-file: the door gives messages to nobody else",
    "--agent http://10.0.0.1:9096 --agent-token-file nix": "--agent-token-file: nix: no such file or directory",
    "--agent http://u:secret@10.0.0.1:9096 --agent-token-file short": (
        "--agent: value '***': expected http://HOST:PORT or https://HOST:PORT"
    ),
    "--agent https://10.0.0.1:9096 --agent-token-file token --agent-ca nix": "--agent-ca: nix: no such file or directory",
    "--agent https://10.0.0.1:9096 --agent-token-file token --agent-ca short": "--agent-ca: short: no certificates",
    "--agent auto --agent-token-file token": "--agent-token-file and --agent-ca need --agent http(s)://HOST:PORT",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_usage(capture: Path, arguments: str) -> None:
    (capture.parent / "short").write_text("secret")
    (capture.parent / "token").write_text(TOKEN)
    ended = capture_agent("web", *arguments.split(), folder=capture.parent)
    assert (ended.status, ended.err) == (2, f"capture-agent: web: {WRONG[arguments]}\n")


def test_a_port_that_is_taken(capture: Path) -> None:
    port = free_port()
    with running(capture, "--listen", f"127.0.0.1:{port}"):
        ended = capture_agent("web", capture, "--listen", f"127.0.0.1:{port}")
    assert (ended.status, ended.err) == (1, f"capture-agent: web: --listen 127.0.0.1:{port}: address already in use\n")
