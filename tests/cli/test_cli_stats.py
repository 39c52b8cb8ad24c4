"""`capture-agent stats`, and `run --http`: what a running agent says of itself, by both doors."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cli_samples import INVITE, RINGING, capture_agent
from faults.peers import until
from free_ports import free_port
from http_samples import ask, metric, rpc
from test_cli_status import PATIENCE, Running

TOKEN = "o8Zr3kQ2vT9wLx1c"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(tmp_path: Path, port: int) -> Iterator[Running]:
    options = ("--control", str(tmp_path / "control.sock"), "--http", f"127.0.0.1:{port}")
    agent = Running(tmp_path, free_port(), *options)
    yield agent
    agent.peer.close()
    if agent.process.poll() is None:
        agent.process.kill()
        agent.process.communicate()


def stats(running: Running, *options: str) -> str:
    ended = capture_agent("stats", *options, "--control", str(running.socket), folder=running.socket.parent)
    assert (ended.err, ended.status) == ("", 0)
    return ended.out


def without_times(text: str) -> list[str]:
    return [line for line in text.splitlines() if "process_" not in line and "seconds" not in line]


def test_both_doors_say_the_same(running: Running, port: int) -> None:
    running.send(INVITE)
    running.send(RINGING)
    assert without_times(stats(running, "--prometheus")) == without_times(ask(port).body.decode())
    by_http = ask(port, "/api/stats").json
    assert isinstance(by_http, dict)
    said = json.loads(stats(running, "--json"))
    volatile = {"uptime", "uptime_seconds"}
    assert {key: said[key] for key in said if key not in volatile} == {
        key: by_http[key] for key in by_http if key not in volatile
    }
    assert said["packets"]["total"] == said["packets"]["sip"] == 2
    assert (said["transport"], said["node_id"]) == ([], 0)
    line = f'capture_agent_interface_packets_total{{interface="{said["interfaces"][0]}"}}'
    assert metric(ask(port).body, line) == 2
    assert ask(port, "/health").status == ask(port, "/ready").status == 200
    text = stats(running)
    assert "messages: 2 seen, 2 traced, 0 not traced, 0 duplicate" in text.splitlines()
    assert text.startswith("up for ")


def test_the_last_scrape_has_the_books(running: Running, port: int) -> None:
    for _ in range(5):
        running.send(INVITE)
    asked = rpc(port, {"jsonrpc": "2.0", "method": "siptrace.status", "params": ["off"], "id": 1})
    assert asked.json == {"jsonrpc": "2.0", "result": "Disabled", "id": 1}
    running.send(INVITE)
    last = ask(port).body
    assert metric(last, "capture_agent_tracing") == 0
    assert metric(last, 'capture_agent_messages_total{outcome="traced",reason=""}') == 5
    assert metric(last, 'capture_agent_messages_total{outcome="not_traced",reason=""}') == 1
    assert "messages: 6 seen, 5 traced, 1 not traced" in running.stop()


def test_the_doors_answer_while_the_queues_drain(tmp_path: Path, port: int) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f"[queue]\ndrain_seconds = {PATIENCE}\n")
    options = ("--config", str(config), "--control", str(tmp_path / "control.sock"), "--http", f"127.0.0.1:{port}")
    running = Running(tmp_path, free_port(), *options)
    try:
        with closing(sqlite3.connect(running.database, isolation_level=None)) as other:
            other.execute("begin exclusive")  # the rows wait
            for _ in range(3):
                running.send(INVITE)
            assert ask(port, "/ready").status == 200
            running.process.send_signal(signal.SIGTERM)
            until(lambda: ask(port, "/ready").status == 503)
            refused = capture_agent("reload", "--control", running.socket, folder=tmp_path)
            assert "the agent is stopping" in refused.err and refused.status == 1
            last = ask(port).body
            assert metric(last, 'capture_agent_messages_total{outcome="traced",reason=""}') == 3
            assert running.process.poll() is None
            other.execute("rollback")
        said = running.process.communicate(timeout=PATIENCE)[1]
    finally:
        running.peer.close()
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
    assert running.process.returncode == 0
    assert "messages: 3 seen, 3 traced" in said
    assert len(running.rows()) == 3


def test_stats_without_an_agent(tmp_path: Path) -> None:
    path = tmp_path / "nix.sock"
    for option in ([], ["--json"], ["--prometheus"]):
        ended = capture_agent("stats", *option, "--control", str(path), folder=tmp_path)
        assert (ended.out, ended.err, ended.status) == (
            "", f"capture-agent: stats: no agent listens on {path}\n", 1,
        )  # fmt: skip


def test_one_form_at_a_time(tmp_path: Path) -> None:
    ended = capture_agent("stats", "--json", "--prometheus", folder=tmp_path)
    assert (ended.err, ended.status) == ("capture-agent: stats: --prometheus and --json exclude each other\n", 2)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ("listen = '192.0.2.1:9096'", "http: listen: 192.0.2.1:9096 is not on loopback, expected a token_file"),
        ("listen = '[::]:9096'", "http: listen: [::]:9096 is not on loopback, expected a token_file"),
        ("listen = '127.0.0.1:9096'\ntoken_file = 'empty'", "http.token_file: expected a file with 1 to 16,384 characters"),
        ("token_file = 'short'", "http: token: expected 16 to 1024 visible ASCII characters"),
        ("token_file = 'spaced'", "http: token: expected 16 to 1024 visible ASCII characters"),
        ("listen = 'localhost:9096'", "http.listen: value 'localhost:9096', expected ADDRESS:PORT or [IPv6]:PORT (the host is not a valid IP address)"),
        ("listen = '127.0.0.1'", "http.listen: value '127.0.0.1', expected ADDRESS:PORT or [IPv6]:PORT (the port is missing)"),
        ("tls_cert = 'nix.pem'", "http.tls_cert: expected a certificate and its key (No such file or directory)"),
        ("tls_cert = 'short'", "http.tls_cert: expected a certificate and its key"),
        ("tls_key = 'short'", "http.tls_cert: expected a certificate and its key"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, options: str, wrong: str) -> None:
    for name, text in (("empty", ""), ("short", "s3cret"), ("spaced", "s3cret and more of it, long enough")):
        (tmp_path / name).write_text(text)
    file = tmp_path / "agent.toml"
    file.write_text(f"[http]\n{options}\n[capture]\nlisten = ['sip:127.0.0.1:15060']\n[[hep]]\nuri = 'hep:127.0.0.1'\n")
    checked = capture_agent("config", "check", file, folder=tmp_path)
    ran = capture_agent("run", "--config", file, folder=tmp_path)
    assert (checked.status, ran.status) == (2, 2)
    assert wrong in checked.err and wrong in ran.err
    assert "s3cret" not in checked.err + ran.err


def test_show_masks_the_token(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f"[http]\nlisten = '192.0.2.1:9096'\ntoken = '{TOKEN}'\n")
    shown = capture_agent("config", "show", file, folder=tmp_path).out
    assert TOKEN not in shown
    assert 'token = "***"' in shown


def test_a_port_that_is_taken(running: Running, port: int, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "capture_agent", "run", "--listen", f"sip:127.0.0.1:{free_port()}", "--hep",
        "hep:127.0.0.1:9", "--control", str(tmp_path / "other.sock"), "--http", f"127.0.0.1:{port}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        f"capture-agent: run: http.listen 127.0.0.1:{port}: address already in use\n",
    )
    assert ask(port, "/ready").status == 200


def test_it_ends_while_clients_are_connected(running: Running, port: int) -> None:
    from http_samples import connected

    with connected(port) as client:
        client.sendall(b"GET /metr")
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=PATIENCE)
    assert running.process.returncode == 0


def test_a_reload_is_seen_and_no_counter_goes_down(tmp_path: Path, port: int) -> None:
    config = tmp_path / "agent.toml"
    hep = "[[hep]]\nuri = 'hep:127.0.0.1:{}'\ncapture_id = {}\n"
    config.write_text(hep.format(9, 1))
    options = ("--config", str(config), "--control", str(tmp_path / "control.sock"), "--http", f"127.0.0.1:{port}")
    running = Running(tmp_path, free_port(), *options)

    def reload() -> tuple[float, float, float]:
        capture_agent("reload", "--control", running.socket, folder=tmp_path)
        text = ask(port).body
        at = metric(text, "capture_agent_config_last_reload_success_timestamp_seconds")
        taken = 'capture_agent_sink_lag_seconds_count{sink="hep:127.0.0.1:9"}'
        return metric(text, "capture_agent_config_last_reload_success"), at, metric(text, taken)

    try:
        running.send(INVITE)
        before = metric(ask(port).body, "capture_agent_config_last_reload_success_timestamp_seconds")
        config.write_text("nonsense")
        assert reload()[:2] == (0, before)
        config.write_text(hep.format(9, 2))  # another sink under the same name
        success, at, taken = reload()
        assert (success, at > before) == (1, True)
        running.send(INVITE)
        assert reload()[2] >= taken
        text = ask(port).body
        assert metric(text, 'capture_agent_messages_total{outcome="traced",reason=""}') == 2
    finally:
        running.peer.close()
        books = running.stop()
    assert "messages: 2 seen, 2 traced" in books
