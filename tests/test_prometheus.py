"""Debian's Prometheus scrapes a running agent beside calls by SIPp; scraping costs no packet.

The hosts are network namespaces joined by a veth pair; the agent listens on one end of it.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from faults.interfaces import wires
from http_samples import ask, metric
from test_live import CALLS, PATIENCE, Agent, Host, calls, hosts, needs_ip, needs_root, needs_sipp

from capture_agent.metrics.families import FAMILIES
from capture_agent.metrics.media_families import MEDIA_FAMILIES
from capture_agent.metrics.metric_family import HISTOGRAM
from capture_agent.metrics.sip_families import SIP_FAMILIES

__all__ = ["hosts"]

TOKEN = "o8Zr3kQ2vT9wLx1c"
MESSAGES = 6 * CALLS
PORT = 9096
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus: apt install prometheus"
)


@contextmanager
def prometheus(
    host: Host, target: str, folder: Path, rules: Sequence[Path] = (), interval: str = "1s"
) -> Iterator[Callable[[str], object]]:
    """Scrapes that target, or several with spaces between them, and evaluates these files of rules; gives a function that
    asks its HTTP API.
    """
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n"
        f"rule_files: {json.dumps([str(path) for path in rules])}\n"
        "scrape_configs:\n"
        "  - job_name: capture-agent\n"
        f"    authorization: {{credentials: {TOKEN}}}\n"
        f"    static_configs: [{{targets: {json.dumps(target.split())}}}]\n"
    )
    command = host.command(
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        "--web.listen-address=127.0.0.1:9090", "--log.level=error",
    )  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def asked(path: str) -> object:
        url = f"http://127.0.0.1:9090/api/v1/{path}"
        done = subprocess.run(host.command("curl", "-s", url), capture_output=True, timeout=PATIENCE, check=False)
        return json.loads(done.stdout)["data"] if done.stdout.startswith(b"{") else None  # it has just started

    try:
        yield asked
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def value(asked: Callable[[str], object], query: str) -> float | None:
    data = asked(f"query?query={quote(query)}")
    assert data is None or isinstance(data, dict)
    return float(data["result"][0]["value"][1]) if data and data["result"] else None


def eventually(found: Callable[[], object], wanted: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while (got := found()) != wanted:
        assert time.monotonic() < deadline, (got, wanted)
        time.sleep(0.2)


@needs_root
@needs_sipp
@needs_ip
@needs_prometheus
def test_prometheus_has_what_the_books_have(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    url = f"sqlite:///{tmp_path}/trace.db"
    subprocess.run([sys.executable, "-m", "capture_agent", "db", "create", "--db", url], check=True)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    config = tmp_path / "agent.toml"
    config.write_text(
        f"[http]\nlisten = '{other.address}:{PORT}'\ntoken_file = 'token'\n[trace]\nmode = 'dialog'\n"
        f"[health]\nno_packets_seconds = 3600\nno_sip_seconds = 3600\n[spool]\ndirectory = '{tmp_path}/spool'\n"
        f"[[hep]]\nuri = 'hep:{one.address}:9060'\n[[sql]]\nurl = '{url}'\n"
        f"[[group]]\nname = 'homers'\nmode = 'mirror'\nmembers = 'hep:{one.address}:9060'\n"
    )
    with Agent(other, "--config", str(config), "-i", "eth1") as agent:
        assert "capturing on eth1" in agent.ready
        with prometheus(one, f"{other.address}:{PORT}", tmp_path) as asked:
            eventually(lambda: value(asked, "up"), 1.0)
            calls(one, other, 5060, tmp_path)
            sent = 'capture_agent_sink_messages_total{outcome="sent",sink=~"sqlite.*"}'
            eventually(lambda: value(asked, sent), MESSAGES)
            for query, wanted in (
                ('capture_agent_messages_total{outcome="traced",reason=""}', MESSAGES),
                ("sum(capture_agent_messages_total) + sum(capture_agent_held{what='lookback'})", MESSAGES),
                ('capture_agent_correlation_total{outcome="new"}', MESSAGES),
                ("sum(capture_agent_remembered_total{what='calls'}) + sum(capture_agent_held{what='calls'})", CALLS),
                ('capture_agent_rule_decisions_total{rule="mode dialog",mode="dialog"}', CALLS),
                ('capture_agent_interface_up{interface="eth1"}', 1),
                ("sum(capture_agent_interface_dropped_total)", 0),
                ('capture_agent_sink_lag_seconds_count{sink=~"sqlite.*"}', MESSAGES),
                ('histogram_quantile(0.9, capture_agent_sink_lag_seconds_bucket{sink=~"sqlite.*"}) < 3600', None),
                ('capture_agent_sink_up{sink=~"sqlite.*"}', 1),
                ("capture_agent_tracing", 1),
                ("capture_agent_start_time_seconds < bool time()", 1),
                ("process_open_fds > bool 0", 1),
            ):
                got = value(asked, query)
                assert got == wanted if wanted is not None else got is not None, query
            names = asked("label/__name__/values")
            assert isinstance(names, list)
            with_samples = {re.sub("_(bucket|count|sum)$", "", name) for name in names}
            optional = ("segments", "websocket", "tls", "hep", "rtcp", "chunks", "malformed", "condition", "hook")
            # tests/test_call_figures.py and tests/monitoring have these.
            counted = {family.name for family in (*SIP_FAMILIES, *MEDIA_FAMILIES)} | {"capture_agent_rtp_total"}
            missing = {family.name for family in FAMILIES} - counted - with_samples
            assert {name for name in missing if name.split("_")[2] not in optional} == set()
            assert {family.name for family in FAMILIES if family.kind == HISTOGRAM} - counted <= with_samples
        status, text = agent.stop(signal.SIGTERM)
    assert status == 0, text
    assert f"messages: {MESSAGES} seen, {MESSAGES} traced" in text
    assert "segments: " not in text  # its scrapes are its own traffic
    assert "does not balance" not in text
    assert TOKEN not in text


@needs_root
@needs_ip
def test_scrapes_cost_no_packet(tmp_path: Path) -> None:
    """Whatever time the machine takes: the kernel's buffer has room for all of it."""
    message = (
        b"OPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:b@c>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    count = 20_000
    with wires() as (one, other):
        config = tmp_path / "agent.toml"
        config.write_text("[capture]\ninterfaces = ['eth1']\nbuffer_mib = 128\n[[hep]]\nuri = 'hep:127.0.0.1:9'\n")
        host = Host(other.name, "192.0.2.2")
        with Agent(host, "--config", str(config), "--http", f"127.0.0.1:{PORT}") as agent:
            assert "capturing on eth1" in agent.ready
            counts: list[float] = []
            done = threading.Event()

            def scrape() -> None:
                line = 'capture_agent_messages_total{outcome="traced",reason=""}'
                while not done.is_set():
                    counts.append(metric(ask(PORT).body, line))

            scraping = threading.Thread(target=lambda: other.run(scrape))
            scraping.start()
            sender = one.udp("192.0.2.1")
            try:
                for number in range(count):
                    sender.sendto(message % (number, number), ("192.0.2.2", 5060))
                    if number % (count // 10) == 0:
                        scrapes = len(counts)
                        eventually(lambda scrapes=scrapes: len(counts) > scrapes, True)
                eventually(lambda: bool(counts) and counts[-1], count)
            finally:
                done.set()
                scraping.join(PATIENCE)
                sender.close()
            assert counts == sorted(counts)
            assert len(counts) >= 10
            status, text = agent.stop()
    assert status == 0, text
    assert f"messages: {count} seen, {count} traced" in text
    assert "lost (kernel" not in text


@needs_root
@needs_ip
def test_an_interface_that_is_down_is_seen(tmp_path: Path) -> None:
    with wires(("eth1", "eth2")) as (_, other):
        host = Host(other.name, "192.0.2.2")
        with Agent(
            host, "-i", "eth1", "-i", "eth2", "--hep", "hep:127.0.0.1:9", "--http", f"127.0.0.1:{PORT}"
        ) as agent:
            assert "capturing on eth1" in agent.ready
            assert other.run(lambda: ask(PORT, "/health").status) == 200
            other.down("eth2")
            eventually(lambda: other.run(lambda: ask(PORT, "/health").status), 503)
            reply = other.run(lambda: ask(PORT, "/health").json)
            assert isinstance(reply, dict)
            assert reply["reasons"] == [{"reason": "source_down", "name": "eth2", "text": "down"}]
            text = other.run(lambda: ask(PORT)).body
            assert metric(text, 'capture_agent_interface_up{interface="eth1"}') == 1
            assert metric(text, 'capture_agent_interface_up{interface="eth2"}') == 0
            assert other.run(lambda: ask(PORT, "/ready").status) == 200
            status, said = agent.stop()
    assert status == 1
    assert "health: degraded (eth2: down)" in said
