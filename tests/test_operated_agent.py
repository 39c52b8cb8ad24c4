"""One run with everything that happens to an agent: calls through Kamailio, scraped by Prometheus, while tracing is
switched, the configuration is reloaded, an interface and the collector go and come back, until SIGTERM.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_prometheus import needs_prometheus, prometheus, value

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import sipp_scenarios as steps
from record_demo import configuration
from sip_lab import CALLEES, CALLER, COLLECTOR, PROXY, Lab, checksums_in_software, lab, wait_for
from test_call_figures import bound, of_last_line
from test_live import Host

PROGRAMS = ("curl", "ip", "kamailio", "sipp")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS), reason=f"not all there: {', '.join(PROGRAMS)}"
    ),
    needs_prometheus,
]
DOOR = "127.0.0.1:9096"
MANY = ["-m", "100000", "-r", "20", "-l", "1000", "-timeout", "300s"]
# When it is told to end, it closes in order: what the agent has sent by then is read and written.
COLLECT = """
import hashlib, signal, socket, sys
from hep import StreamDecoder
ending = []
signal.signal(signal.SIGINT, lambda *_: ending.append(True))
listener = socket.create_server((sys.argv[1], 9060))
listener.settimeout(0.1)
connections = {}
while not ending or connections:
    if ending and listener.fileno() >= 0:
        listener.close()
        for connection in connections:
            connection.shutdown(socket.SHUT_WR)
    elif not ending:
        try:
            connection, _ = listener.accept()
            connection.settimeout(0.1)
            connections[connection] = StreamDecoder()
        except TimeoutError:
            pass
    for connection, decoder in list(connections.items()):
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            continue
        except ConnectionError:
            data = b""
        with open(sys.argv[2], "a") as out:
            for packet in decoder.feed(data):
                digest = hashlib.sha256(packet.payload).hexdigest()
                out.write(f"{packet.seconds}.{packet.microseconds} {packet.source_port} {digest}\\n")
        if not data:
            del connections[connection]
"""
# Requests over the interface that is deleted, whether it is there or not.
OPTIONS = """
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(100_000):
    text = (
        f"OPTIONS sip:198.18.0.1 SIP/2.0\\r\\nVia: SIP/2.0/UDP 198.18.0.2;branch=z9hG4bK{number}\\r\\n"
        f"From: <sip:a@198.18.0.2>;tag=1\\r\\nTo: <sip:198.18.0.1>\\r\\nCall-ID: options-{number}\\r\\n"
        f"CSeq: {number} OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n"
    )
    try:
        sender.sendto(text.encode(), ("198.18.0.1", 5060))
    except OSError:
        pass
    time.sleep(0.02)
"""


class Scraper:
    """Scrapes as fast as it can; `last` is the last complete answer."""

    def __init__(self, net: Lab) -> None:
        self.last = ""
        self.count = 0
        self._command = ["ip", "netns", "exec", net.names["proxy"], "curl", "-sf", f"http://{DOOR}/metrics"]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Scraper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._done.is_set():
            done = subprocess.run(self._command, capture_output=True, text=True, timeout=30, check=False)
            if done.returncode == 0:
                self.last = done.stdout
                self.count += 1
            time.sleep(0.05)


def total(scrape: str, name: str, *labels: str) -> int:
    """The sum of this metric's samples that have all these labels."""
    lines = re.findall(rf"^capture_agent_{name}(\{{.*?\}})? (\S+)$", scrape, re.MULTILINE)
    return int(sum(float(number) for found, number in lines if all(label in found for label in labels)))


def balance(scrape: str) -> None:
    """UDP alone: each frame that carries something is a message; each traced message is somewhere at the sink."""
    assert total(scrape, "frames_total", 'outcome="carried"') == total(scrape, "messages_total")
    of_sink = 'sink="hep+tcp'
    at_sink = total(scrape, "sink_messages_total", of_sink) + total(scrape, "sink_queue_messages", of_sink)
    assert at_sink == total(scrape, "messages_total", 'outcome="traced"')


@contextmanager
def collector(net: Lab, log: str) -> Iterator[subprocess.Popen[bytes]]:
    process = net.start("proxy", sys.executable, "-c", COLLECT, COLLECTOR, "received", log=log)
    try:
        yield process
    finally:
        net.stop(process)


def control(net: Lab, *words: str) -> str:
    command = ["ip", "netns", "exec", net.names["proxy"], sys.executable, "-m", "capture_agent", *words]
    done = subprocess.run(
        [*command, "--control", str(net.folder / "control")], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def extra(net: Lab, what: str) -> None:
    """One more interface between the callers and the proxy, to be made or deleted."""
    proxy, callers = net.names["proxy"], net.names["callers"]
    more = ["type", "veth", "peer", "name", "extra", "netns", callers] if what == "add" else []
    subprocess.run(["ip", "-n", proxy, "link", what, "extra", *more], check=True)
    for namespace, address in ((proxy, "198.18.0.1"), (callers, "198.18.0.2")) if what == "add" else ():
        checksums_in_software(namespace, "extra")
        subprocess.run(["ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "extra"], check=True)
        subprocess.run(["ip", "-n", namespace, "link", "set", "extra", "up"], check=True)


class Operated:
    """An agent beside Kamailio, with calls through it until the test ends."""

    def __init__(self, net: Lab, folder: Path) -> None:
        self.net = net
        self.config = folder / "agent.toml"
        self.log = folder / "agent.log"
        self.head = (
            f"[capture]\ninterfaces = ['access', 'core', 'extra']\nlocal = ['{PROXY}']\n[http]\nlisten = '{DOOR}'\n"
            f"[control]\nsocket = '{folder}/control'\n[queue]\ndrain_seconds = 60\n[metrics]\ncalls = true\n"
        )
        self.hep = f"[[hep]]\nuri = 'hep+tcp:{COLLECTOR}:9060'\n"
        self.config.write_text(self.head + self.hep)
        net.kamailio(configuration())
        command = [sys.executable, "-m", "capture_agent", "run", "--config", str(self.config)]
        self.process = net.start("proxy", *command, log="agent")
        wait_for(lambda: b"capturing on" in self.log.read_bytes(), "the agent")
        self.paths = steps.write(folder)
        net.sipp("callees", CALLEES[0], self.paths["call-callee"], *MANY)
        wait_for(lambda: bound(net, CALLEES[0]), "SIPp")
        net.start("callers", sys.executable, "-c", OPTIONS, log="options")
        self.callers = self.call()

    def call(self) -> subprocess.Popen[bytes]:
        statistics = ["-trace_stat", "-stf", str(self.net.folder / "calls.csv")]
        return self.net.sipp("callers", CALLER, self.paths["call-caller"], *MANY, *statistics)

    def end_calls(self) -> int:
        """The calls that are there end, none begins any more: how many there were, by SIPp's own statistics."""
        self.callers.send_signal(signal.SIGUSR1)
        self.callers.wait(60)
        return int(of_last_line(self.net.folder / "calls.csv")["TotalCallCreated"])

    def reload(self, text: str) -> None:
        self.config.write_text(self.head + text)
        self.process.send_signal(signal.SIGHUP)

    def seen_and_traced(self) -> tuple[int, int]:
        """In the books at the end."""
        text = self.log.read_text()
        assert "does not balance" not in text
        books = re.search(r"messages: ([\d,]+) seen, ([\d,]+) traced", text)
        assert books is not None, text
        seen, traced = (int(number.replace(",", "")) for number in books.groups())
        return seen, traced


def go_through_everything(net: Lab, agent: Operated, scraper: Scraper, first: subprocess.Popen[bytes]) -> None:
    """Each step ends when the scrapes show that messages go on."""

    def grows(name: str, *labels: str) -> None:
        before = total(scraper.last, name, *labels)
        wait_for(lambda: total(scraper.last, name, *labels) > before, f"{name} {labels} {net.logs()}")

    def becomes(name: str, label: str, number: int) -> None:
        wait_for(lambda: total(scraper.last, name, label) == number, f"{name} {label} {number}")

    sent = ("sink_messages_total", 'outcome="sent"', 'sink="hep+tcp')
    grows(*sent)
    assert control(net, "status", "check").strip() == "Enabled"
    assert control(net, "status", "off").strip() == "Disabled"
    grows("messages_total", 'outcome="not_traced"')
    control(net, "status", "on")
    grows(*sent)

    agent.reload(agent.hep + "[[jsonl]]\nfile = 'traced.jsonl'\n")
    grows("sink_messages_total", 'outcome="sent"', 'sink="jsonl')
    agent.reload("nonsense = 1\n")
    becomes("config_last_reload_success", "", 0)
    grows(*sent)

    of_extra = ("interface_packets_total", 'interface="extra"')
    grows(*of_extra)
    extra(net, "delete")
    becomes("interface_up", 'interface="extra"', 0)
    grows(*sent)
    extra(net, "add")
    becomes("interface_up", 'interface="extra"', 1)
    grows(*of_extra)

    net.stop(first)
    becomes("sink_up", 'sink="hep+tcp', 0)
    with collector(net, "second") as second:
        becomes("sink_up", 'sink="hep+tcp', 1)
        grows(*sent)
        becomes("call_attempts_total", "", agent.end_calls())
        agent.call()
        grows("call_attempts_total")
        stop(net, agent, second)


def stop(net: Lab, agent: Operated, last: subprocess.Popen[bytes]) -> None:
    """While calls run. The collector stands still, so the agent waits for it with its sources closed: time to scrape."""
    last.send_signal(signal.SIGSTOP)
    try:
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(90) == 0, net.logs()
    finally:
        last.send_signal(signal.SIGCONT)


def test_all_of_it_in_one_run(tmp_path: Path) -> None:
    with lab(tmp_path) as net, collector(net, "first") as first:
        extra(net, "add")
        agent = Operated(net, tmp_path)
        host = Host(net.names["proxy"], PROXY)
        with prometheus(host, DOOR, tmp_path) as asked, Scraper(net) as scraper:
            wait_for(lambda: bool(value(asked, "sum(capture_agent_call_attempts_total)")), "Prometheus")
            go_through_everything(net, agent, scraper, first)
    seen, traced = agent.seen_and_traced()
    balance(scraper.last)
    assert scraper.count > 10
    assert (total(scraper.last, "messages_total"), total(scraper.last, "messages_total", 'outcome="traced"')) == (
        seen,
        traced,
    )
    received = (tmp_path / "received").read_text().splitlines()
    assert (len(received), len(set(received))) == (traced, traced)
    assert all(json.loads(line) for line in (tmp_path / "traced.jsonl").read_text().splitlines())
