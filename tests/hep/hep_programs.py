"""Real receivers as subprocesses on loopback: found or skipped, started, waited for, stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from installed_programs import unavailable

PATIENCE = 60.0  # seconds: only to end a test that hangs
Found = TypeVar("Found")


def kamailio_module(name: str, package: str) -> None:
    if not list(Path("/usr/lib").glob(f"*/kamailio/modules/{name}.so")):
        unavailable(f"kamailio has no module {name} (Debian package {package})")


class Receiver:
    """A running program, its port and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int = 0) -> None:
        self.process = process
        self.log = log
        self.port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self._socket.sendto(datagram, ("127.0.0.1", self.port))

    def wait_for(self, look: Callable[[], Found | None], what: str) -> Found:
        """The result of `look` once there is one; fails if the program ends first."""
        deadline = time.monotonic() + PATIENCE
        while (found := look()) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}; {self.process.args!r} said:\n{self.log.read_text()}")
            time.sleep(0.01)
        return found

    def wait_until_bound(self) -> None:
        wanted = f":{self.port:04X} "
        self.wait_for(lambda: wanted in Path("/proc/net/udp").read_text() or None, f"port {self.port}")

    def stop(self, how: signal.Signals, patience: float) -> None:
        self._socket.close()
        self.process.send_signal(how)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Its children, should it have left some: they share the group that we gave it.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def running(
    *command: str,
    folder: Path,
    port: int = 0,
    stop: signal.Signals = signal.SIGTERM,
    patience: float = 10,
    environment: dict[str, str] | None = None,
) -> Iterator[Receiver]:
    """The program runs until the block ends, however it ends."""
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    receiver = Receiver(process, log, port)
    try:
        yield receiver
    finally:
        receiver.stop(stop, patience)
