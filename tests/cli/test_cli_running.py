"""A run with a blocked terminal, signals, dead sinks and vanishing interfaces: it captures, and ends with books."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

import pytest
from faults.interfaces import Namespace, join, wires
from faults.terminals import full_pipe, pipe_without_reader, stopped_terminal
from free_ports import free_port

pytestmark = pytest.mark.once

PATIENCE = 60
AGENT = [sys.executable, "-m", "capture_agent"]
needs_namespaces = [
    pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root"),
    pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2"),
]


def options(n: int) -> bytes:
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
        b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % (n, n)
    )


@dataclass
class Run:
    """`capture-agent run` with its standard error in a file."""

    folder: Path
    words: list[str] = field(default_factory=list)
    inside: Namespace | None = None

    def __post_init__(self) -> None:
        self.control = self.folder / "c.sock"
        self.log = self.folder / "log"
        with self.log.open("wb") as file:
            self.start(file.fileno())
        self.until(lambda: "capturing on" in self.text)

    def start(self, stderr: int) -> None:
        words = [*AGENT, "run", "--control", str(self.control), *self.words]
        command = words if self.inside is None else self.inside.command(*words)
        self.process = subprocess.Popen(command, stderr=stderr)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def until(self, true: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < give_up and self.process.poll() is None, self.text
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *words: str, inside: Namespace | None = None, kind: type[Run] = Run) -> Iterator[Run]:
    run = kind(folder, list(words), inside)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


class Blocked(Run):
    """Its standard error accepts nothing, or does not exist."""

    stderr: int

    def __post_init__(self) -> None:
        self.control = self.folder / "c.sock"
        self.log = self.folder / "log"
        self.log.touch()
        self.start(self.stderr)
        self.until(self.control.exists)


@contextmanager
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(PATIENCE)
        yield made


def is_bound(port: int) -> bool:
    """Whether a UDP socket of this host has the port: a datagram before that is lost."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


def place(one: socket.socket) -> str:
    return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize("how", [full_pipe, pipe_without_reader, stopped_terminal], ids=lambda how: how.__name__)
def test_a_blocked_terminal_stops_nothing(tmp_path: Path, how: object) -> None:
    """Nobody reads warnings, signals or books, but all SIP arrives, and it ends when told to."""
    port = free_port()
    with ExitStack() as stack:
        ends = stack.enter_context(how())  # type: ignore[operator]
        kind = type("Kind", (Blocked,), {"stderr": ends[0] if isinstance(ends, tuple) else ends})
        sink = stack.enter_context(receiver())
        words = ["--listen", f"sip:127.0.0.1:{port}", "--sip", f"sip:{place(sink)}", "--hep", "hep+tcp:127.0.0.1:1"]
        run = stack.enter_context(running(tmp_path, *words, kind=kind))
        run.until(lambda: is_bound(port))
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for n in range(300):
            sender.sendto(options(n), ("127.0.0.1", port))
            run.process.send_signal(signal.SIGHUP)
            assert sink.recv(9999) == options(n)
        assert run.stop() == 0
        assert not run.control.exists()


def test_lines_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    with full_pipe() as (writer, reader):
        kind = type("Kind", (Blocked,), {"stderr": writer})
        port = free_port()
        with running(tmp_path, "--listen", f"sip:127.0.0.1:{port}", "--sip", "sip:127.0.0.1:9", kind=kind) as run:
            for _ in range(1500):
                run.process.send_signal(signal.SIGUSR1)
                time.sleep(0.001)
            os.set_blocking(reader, True)
            run.process.send_signal(signal.SIGTERM)
            text = b""
            give_up = time.monotonic() + PATIENCE
            while not (b"9: 0 seen" in text and b"more lines" in text) and time.monotonic() < give_up:
                text += os.read(reader, 65536)
            run.process.wait(PATIENCE)
    said, unsaid = text.count(b"INFO: SIGUSR1 has no effect"), re.search(rb"(\d+) more lines of one kind", text)
    # Signals that come together are one.
    assert said == 100 and unsaid is not None and int(unsaid[1]) + said <= 1500


def test_a_log_in_json_is_nothing_else(tmp_path: Path) -> None:
    """From the first line to the books; a hook logs what the peer chose, for each message."""
    (tmp_path / "hook.py").write_text(
        "import logging\ndef on_message(message):\n    logging.warning('call %s', message.call_id)\n"
    )
    config = tmp_path / "agent.toml"
    config.write_text('[log]\nformat = "json"\n[hooks]\nmodules = ["hook.py"]\n')
    port = free_port()
    words = ["--config", str(config), "--listen", f"sip:127.0.0.1:{port}", "--hep", "hep+tcp:127.0.0.1:1"]
    with running(tmp_path, *words) as run, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(300):
            sender.sendto(options(n).replace(b"Call-ID: ", b'Call-ID: \x1b[31m"{'), ("127.0.0.1", port))
        run.until(lambda: "call " in run.text)
        assert run.stop() == 0
    lines = [json.loads(line) for line in run.text.splitlines()]
    calls = [line for line in lines if line["event"].startswith("call ")]
    assert calls[0]["event"] == 'call \\x1b[31m"{0' and len(calls) == 100 and calls[0]["level"] == "warning"
    assert [line["fields"]["left_out"] for line in lines if "more lines of one kind" in line["event"]] == [200]
    assert any(line.get("fields") == {"name": "hep+tcp:127.0.0.1:1", "down": True} for line in lines)
    assert any(line["event"].startswith("hep+tcp:127.0.0.1:1: 300 seen") for line in lines)


@pytest.mark.parametrize(
    ("number", "ends"),
    [
        *((getattr(signal, f"SIG{name}"), True) for name in ("INT", "TERM", "QUIT", "XCPU")),
        *(
            (getattr(signal, f"SIG{name}"), False)
            for name in ["USR1", "USR2", "ALRM", "PIPE", "IO", "PWR", "VTALRM", "PROF", "RTMIN"]
        ),
    ],
)
def test_signals(tmp_path: Path, number: signal.Signals, ends: bool) -> None:
    """Each signal ends it in order, or has no effect except a line; the socket is never left behind."""
    with running(tmp_path, "--listen", f"sip:127.0.0.1:{free_port()}", "--sip", "sip:127.0.0.1:9") as run:
        if not ends:
            run.process.send_signal(number)
            if number != signal.SIGPIPE:
                run.until(lambda: f"{number.name} has no effect" in run.text)
        assert run.stop(number if ends else signal.SIGTERM) == 0
        assert not run.control.exists()
        assert "sip:127.0.0.1:9: 0 seen" in run.text


def test_log_lines_have_a_time_but_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--listen", f"sip:127.0.0.1:{free_port()}", "--hep", "hep+tcp:127.0.0.1:1"]
    with running(tmp_path, *words) as run:
        run.until(lambda: "trying again" in run.text)
        assert re.search(
            r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} capture-agent: WARNING: hep", run.text, re.MULTILINE
        )
        run.stop()

    class Journal(Run):
        def start(self, stderr: int) -> None:
            found = os.fstat(stderr)
            monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
            super().start(stderr)

    with running(tmp_path, *words, kind=Journal) as run:
        run.until(lambda: "trying again" in run.text)
        assert re.search(r"^<4>capture-agent: WARNING: hep", run.text, re.MULTILINE)
        assert re.search(r"^<6>capturing on", run.text, re.MULTILINE)
        run.stop()


def test_deaf_collectors_delay_neither_start_nor_stop(tmp_path: Path) -> None:
    """Their connection queues are full: connecting waits for ever. In parallel it takes a third of the time."""
    with ExitStack() as stack:
        deaf = []
        for _ in range(6):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(2):
                client = stack.enter_context(closing(socket.socket()))
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            deaf += ["--hep", f"hep+tcp:{place(server)}"]
        sink = stack.enter_context(receiver())
        config = tmp_path / "agent.toml"
        config.write_text("[queue]\ndrain_seconds = 1.0\n")
        port = free_port()
        began = time.monotonic()
        words = ["--config", str(config), "--listen", f"sip:127.0.0.1:{port}", *deaf, "--sip", f"sip:{place(sink)}"]
        run = stack.enter_context(running(tmp_path, *words))
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.sendto(options(1), ("127.0.0.1", port))
        assert sink.recv(9999) == options(1)
        assert run.stop() == 0
        assert time.monotonic() - began < 10  # 6 x 5 s to open, 6 x 1 s to drain
        assert len(re.findall(r"^hep\+tcp.*: 1 seen, 0 sent", run.text, re.MULTILINE)) == 6


def test_losses_are_logged_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "agent.toml"
    config.write_text("[queue]\nmessages = 5\n")
    words = ["--config", str(config), "--listen", f"sip:127.0.0.1:{port}", "--hep", "hep+tcp:127.0.0.1:1"]
    with running(tmp_path, *words) as run, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(12):
            sender.sendto(options(n), ("127.0.0.1", port))
        run.until(lambda: "messages lost (" in run.text)
        assert re.search(r"WARNING: hep\+tcp:127.0.0.1:1: \d+ messages lost \((queue_full|unreachable) \d+", run.text)
        run.stop()


ENDS = [pytest.param(end, marks=needs_namespaces) for end in ("down", "vanish")]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("names", [["eth1"], ["eth1", "eth2"], ["eth*"]], ids=" ".join)
def test_an_interface_that_comes_back(tmp_path: Path, names: list[str], end: str) -> None:
    """It is captured again; another one goes on meanwhile."""
    with wires(("eth1", "eth2")) as (here, there), here.udp("127.0.0.1") as sink:
        sink.settimeout(PATIENCE)
        interfaces = [word for name in names for word in ("-i", name)]
        with running(tmp_path, *interfaces, "--sip", f"sip:{place(sink)}", inside=here) as run:
            with there.udp("192.0.2.2") as first:
                first.sendto(options(1), ("192.0.2.1", 5060))
                assert sink.recv(9999) == options(1)
            getattr(here, end)("eth1")
            run.until(lambda: "waiting for it" in run.text)
            assert re.search(r"ERROR: eth1: the interface (went down|disappeared); waiting for it", run.text)
            if names != ["eth1"]:
                with there.udp("198.51.100.2") as second:
                    second.sendto(options(2), ("198.51.100.1", 5060))
                    assert sink.recv(9999) == options(2)
            if end == "down":
                here.up("eth1")
            else:
                join(here, there, "eth1", "203.0.113")  # another network: its address is of the server's side, too
            run.until(lambda: "eth1: captured" in run.text)
            network = "192.0.2" if end == "down" else "203.0.113"
            with there.udp(f"{network}.2") as first:
                first.sendto(options(3), (f"{network}.1", 5060))
                assert sink.recv(9999) == options(3)
            assert run.stop() == 0
            assert "does not balance" not in run.text
            assert run.text.count("waiting for it") == 1


@pytest.mark.parametrize("end", ENDS)
def test_an_interface_that_is_away_at_the_stop(tmp_path: Path, end: str) -> None:
    words = ["-i", "eth1", "--sip", "sip:127.0.0.1:9"]
    with wires(("eth1",)) as (here, _), running(tmp_path, *words, inside=here) as run:
        getattr(here, end)("eth1")
        run.until(lambda: "waiting for it" in run.text)
        assert run.stop() == 1
        assert "capture-agent: run: eth1: the interface" in run.text
        assert not run.control.exists()


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_namespaces) for name in ("eth1", "eth[0-9]")])
def test_an_interface_that_is_not_there_yet(tmp_path: Path, name: str) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("[capture]\nwait_for_interfaces = true\n")
    with wires(()) as (here, there), here.udp("127.0.0.1") as sink:
        sink.settimeout(PATIENCE)
        words = ["--config", str(config), "-i", name, "--sip", f"sip:{place(sink)}"]
        with running(tmp_path, *words, inside=here) as run:
            why = "no such interface, expected one of" if name == "eth1" else "no interface matches, there are"
            run.until(lambda: "capturing on" in run.text and f"{name}: {why} lo, any; waiting for it" in run.text)
            degraded = f"health: degraded ({name}: {'down' if name == 'eth1' else 'no interface matches'})"
            run.until(lambda: degraded in run.text)
            words = [*AGENT, "stats", "--prometheus", "--control", str(run.control)]
            shown = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
            assert f'capture_agent_interface_up{{interface="{name}"}} 0.0\n' in shown
            join(here, there, "eth1", "192.0.2")
            run.until(lambda: "INFO: eth1: captured" in run.text and "INFO: health: ok" in run.text)
            with there.udp("192.0.2.2") as sender:
                sender.sendto(options(1), ("192.0.2.1", 5060))
                assert sink.recv(9999) == options(1)
            assert run.stop() == 0


@pytest.mark.parametrize("how", [pytest.param(how, marks=needs_namespaces) for how in ("hangup", "command")])
def test_another_configuration(tmp_path: Path, how: str) -> None:
    """Another interface, another sink and another file of rules, while it runs."""
    config = tmp_path / "agent.toml"
    with ExitStack() as stack:
        here, there = stack.enter_context(wires(("eth1", "eth2")))
        sinks = [stack.enter_context(here.udp("127.0.0.1")) for _ in range(2)]
        for sink in sinks:
            sink.settimeout(PATIENCE)
        texts = [
            f'[capture]\ninterfaces = ["{interface}"]\n[[sip]]\nuri = "sip:{place(sink)}"\n'
            for interface, sink in zip(("eth1", "eth2"), sinks, strict=True)
        ]
        config.write_text(texts[0])
        run = stack.enter_context(running(tmp_path, "--config", str(config), inside=here))
        first, second = (stack.enter_context(there.udp(f"{network}.2")) for network in ("192.0.2", "198.51.100"))
        second.sendto(options(1), ("198.51.100.1", 5060))  # nobody captures there yet
        first.sendto(options(2), ("192.0.2.1", 5060))
        assert sinks[0].recv(9999) == options(2)
        config.write_text(texts[1])
        if how == "hangup":
            run.process.send_signal(signal.SIGHUP)
            run.until(lambda: "the configuration is reloaded" in run.text)
        else:
            done = subprocess.run(
                [*AGENT, "reload", "--control", str(run.control)], capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")
        first.sendto(options(3), ("192.0.2.1", 5060))
        second.sendto(options(4), ("198.51.100.1", 5060))
        assert sinks[1].recv(9999) == options(4)
        assert run.stop() == 0
        assert "messages: 2 seen, 2 traced" in run.text
        assert "does not balance" not in run.text


def test_a_wrong_configuration_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    text = f'[capture]\nlisten = ["sip:127.0.0.1:{free_port()}"]\n[[sip]]\nuri = "sip:127.0.0.1:9"\n'
    config.write_text(text)
    with running(tmp_path, "--config", str(config)) as run:
        config.write_text(text + "[trace]\nmode = 3\n[queue]\nmessages = -1\n")
        done = subprocess.run(
            [*AGENT, "reload", "--control", str(run.control)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("capture-agent: reload: the configuration is not reloaded: ")
        assert "agent.toml:6: trace.mode: value 3" in done.stderr
        assert "agent.toml:8: queue.messages: value -1" in done.stderr
        config.write_text("")
        run.process.send_signal(signal.SIGHUP)
        run.until(lambda: "not reloaded: no interface: give -i" in run.text)
        assert run.stop() == 0
