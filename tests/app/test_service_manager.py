"""What systemd is told, on a real datagram socket: ready, figures, watchdog, stopping."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.interfaces import wires
from faults.peers import end_process
from free_ports import free_port

from capture_agent.app.service_manager import ServiceManager, watchdog_seconds
from capture_agent.records.frames import Frames
from capture_agent.sources.merge import Waits, merged

pytestmark = pytest.mark.once

PATIENCE = 60.0
HOOK = """
import time
def on_message(message):
    while message.call_id == "hang":
        time.sleep(0.1)
"""


def options(call_id: str) -> bytes:
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
        b"Call-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % call_id.encode()
    )


class Systemd:
    """The socket, and what has come so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(0.1)
        self.told: list[dict[str, str]] = []

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                data = self.socket.recv(65536).decode()
            except TimeoutError:
                continue
            self.told.append(dict(line.split("=", 1) for line in data.split("\n")))

    def until(self, true: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < give_up, self.told
            self.listen(0.1)

    def count(self, name: str) -> int:
        return sum(name in one for one in self.told)


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    one = Systemd(f"@capture-agent-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify"))
    with one.socket:
        yield one


@contextmanager
def running(folder: Path, systemd: Systemd, *words: str, watchdog: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "NOTIFY_SOCKET": systemd.address}
    if watchdog:
        environ["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
    command = [sys.executable, "-m", "capture_agent", "run", "--control", str(folder / "c.sock"), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_from_ready_to_stopping(tmp_path: Path, systemd: Systemd) -> None:
    port = free_port()
    words = ["--listen", f"sip:127.0.0.1:{port}", "--hep", "hep+tcp:127.0.0.1:1"]
    with running(tmp_path, systemd, *words) as process, socket.socket(type=socket.SOCK_DGRAM) as sender:
        systemd.until(lambda: systemd.told)
        assert systemd.told[0]["READY"] == "1"
        assert re.fullmatch(r"[\d,]+ packets \(0 lost\), 0 messages traced \(0 lost\).*", systemd.told[0]["STATUS"])
        sender.sendto(options("1"), ("127.0.0.1", port))  # the socket was open by then
        systemd.until(lambda: systemd.count("STATUS") > 1)
        status = systemd.told[-1]["STATUS"]
        assert status == "1 packets (0 lost), 1 messages traced (0 lost); down: hep+tcp:127.0.0.1:1"
        assert not systemd.count("WATCHDOG")
        process.send_signal(signal.SIGTERM)
        systemd.until(lambda: systemd.count("STOPPING"))
        assert process.wait(PATIENCE) == 0
        assert systemd.count("READY") == systemd.count("STOPPING") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root")
def test_the_watchdog_watches_the_capture_loop(tmp_path: Path) -> None:
    """Silence on both interfaces is no reason to be restarted; a hook that never returns is."""
    systemd, port = Systemd(str(tmp_path / "notify")), free_port()
    (tmp_path / "hook.py").write_text(HOOK)
    config = tmp_path / "agent.toml"
    config.write_text('[hooks]\nmodules = ["hook.py"]\n')
    words = ["--config", str(config), "--listen", f"sip:127.0.0.1:{port}", "-i", "lo", "--hep", "hep:127.0.0.1:9"]
    words += ["--filter", "tcp port 1"]
    with (
        systemd.socket,
        running(tmp_path, systemd, *words, watchdog=3.0),
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        systemd.until(lambda: systemd.count("WATCHDOG") >= 3)
        sender.sendto(options("passes"), ("127.0.0.1", port))
        before = systemd.count("WATCHDOG")
        systemd.until(lambda: systemd.count("WATCHDOG") >= before + 3)
        sender.sendto(options("hang"), ("127.0.0.1", port))
        systemd.listen(2.0)
        stopped_at = systemd.count("WATCHDOG")
        systemd.listen(4.0)
        assert systemd.count("WATCHDOG") == stopped_at


@pytest.mark.skipif(os.geteuid() != 0, reason="live capture needs root")
def test_a_silent_interface_alone(tmp_path: Path) -> None:
    """Its loop is the only thread that reads."""
    systemd = Systemd(str(tmp_path / "notify"))
    with wires(("eth1",)) as (here, _), systemd.socket:
        environ = {**os.environ, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "1500000"}
        words = [
            sys.executable,
            "-m",
            "capture_agent",
            "run",
            "--control",
            "",
            "-i",
            "eth1",
            "--hep",
            "hep:127.0.0.1:9",
        ]
        process = subprocess.Popen(here.command(*words), stderr=subprocess.DEVNULL, env=environ)
        try:
            systemd.until(lambda: systemd.count("WATCHDOG") >= 5)
        finally:
            end_process(process, PATIENCE)


class Hanging:
    """A source that gives one empty batch, and then waits until it is closed."""

    def __init__(self, name: str, hangs: bool) -> None:
        self.name = name
        self._hangs = hangs
        self._closed = threading.Event()

    def batches(self) -> Iterator[Frames]:
        while not self._closed.wait(PATIENCE if self._hangs else 0.01):
            yield Frames(b"", array("q"), 0, [])

    def dropped(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self._closed.set()


def test_a_source_that_hangs_beside_another_is_seen() -> None:
    waits, hanging = Waits(), Hanging("two", hangs=True)
    batches = merged([Hanging("one", hangs=False), hanging], waits=waits)
    give_up = time.monotonic() + PATIENCE
    for _ in batches:
        assert time.monotonic() < give_up
        if waits.longer_than(0.5):
            break
    assert waits.longer_than(0.5) == [hanging]
    batches.close()
    assert waits.longer_than(0.0) == []  # they have ended: nothing hangs any more


def test_a_reload_while_it_runs(tmp_path: Path) -> None:
    """A good one and a bad one: systemd waits for READY=1 after each."""
    systemd, config = Systemd(str(tmp_path / "notify")), tmp_path / "agent.toml"
    config.write_text("")
    words = ["--config", str(config), "--listen", f"sip:127.0.0.1:{free_port()}", "--hep", "hep:127.0.0.1:9"]
    with systemd.socket, running(tmp_path, systemd, *words) as process:
        systemd.until(lambda: systemd.count("READY"))
        for n, text in enumerate(('[trace]\nmode = "dialog"\n', "[nonsense]\n"), start=1):
            config.write_text(text)
            process.send_signal(signal.SIGHUP)
            systemd.until(lambda n=n: systemd.count("READY") > n)  # type: ignore[misc]
            assert systemd.count("RELOADING") == n
        names = [name for one in systemd.told for name in one if name in ("READY", "RELOADING")]
        assert names == ["READY", "RELOADING", "READY", "RELOADING", "READY"]


def test_a_reload(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    with systemd.socket:
        manager = ServiceManager({"NOTIFY_SOCKET": systemd.address})
        before = time.monotonic_ns() // 1000
        assert manager.reloading() and manager.ready("STATUS=a\nb") and manager.stopping()
        manager.close()
        systemd.listen(0.3)
    assert before <= int(systemd.told[0].pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert systemd.told == [{"RELOADING": "1"}, {"READY": "1", "STATUS": "a\\nb"}, {"STOPPING": "1"}]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1", "/nowhere/at/all", "@nobody"])
def test_nobody_listens(address: str, caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    assert not manager.ready() and not manager.ping()
    manager.close()
    assert len(caplog.records) == bool(address)  # once


def test_a_socket_that_nobody_reads_blocks_nothing(tmp_path: Path) -> None:
    systemd = Systemd(str(tmp_path / "notify"))
    with systemd.socket:
        manager = ServiceManager({"NOTIFY_SOCKET": systemd.address})
        sent = [manager.ping() for _ in range(100_000)]
        assert sent[0] and not sent[-1]
        systemd.listen(0.5)
        assert manager.ping()
        manager.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
        ({"WATCHDOG_USEC": "9" * 5000}, 0.0),
    ],
)
def test_watchdog_seconds(environ: dict[str, str], seconds: float) -> None:
    assert watchdog_seconds(environ) == seconds
