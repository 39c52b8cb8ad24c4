"""TCP and TLS peers that misbehave, on loopback, each as a context manager with a `port`; and a host that vanishes.

AcceptAndClose  closes every connection at once, as a load balancer without a server does
Reset           the same with a reset, or after a number of bytes read
NeverRead       accepts and reads nothing
LateClose       accepts, reads nothing and closes after some seconds
Read            reads and keeps everything, for comparison; `slowly`: this many bytes each time
Talk            reads everything and sends bytes without end, also after the other side has closed
Silent          never accepts: only the kernel answers
free_port()        a port where nobody listens
Vanishing       a receiver in a network namespace that takes everything, until it answers nothing any more
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LINGER_0 = struct.pack("ii", 1, 0)  # close() resets
STEP = 0.05  # seconds between two things that a slow peer does
STARTED = 10.0


class Peer:
    """Accepts connections, and runs `serve` for each in its own thread. `tls`: its certificate."""

    def __init__(self, port: int = 0, tls: Path | None = None, room: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if room:  # its kernel's buffer; otherwise the system's default
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._over: list[None] = []  # one for each that is at its end: threads append
        self.streams: list[bytearray] = []  # bytes read, by connection
        self._tls = server_context(tls) if tls else None
        self._open: list[socket.socket] = []
        self._ended = threading.Event()
        self._accepting = threading.Lock()  # or a connection would be neither in the backlog nor counted
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def read(self) -> int:
        """Bytes, over all connections."""
        return sum(map(len, self.streams))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            end(connection)
        if self._thread.is_alive():
            self._thread.join(10)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                self._waits(None)
                with self._accepting:
                    connection, _ = self._listener.accept()
                    self.connections += 1
            except (OSError, ValueError):  # the listener is closed
                return
            stream = bytearray()
            self.streams.append(stream)
            self._keep(connection)
            threading.Thread(target=self._served, args=(connection, stream), daemon=True).start()

    def _keep(self, connection: socket.socket) -> None:
        """`close` ends it, also if it has looked for connections just before this one was there."""
        self._open.append(connection)
        if self._ended.is_set():
            end(connection)

    def _served(self, connection: socket.socket, stream: bytearray) -> None:
        try:
            with suppress(OSError, ValueError):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                    self._keep(connection)
                self.serve(connection, stream)
        finally:
            self._over.append(None)

    @property
    def is_at_rest(self) -> bool:
        """Whether each connection is at its end: nothing of what was sent is still to be read."""
        with self._accepting:
            return not self._waits(0) and len(self._over) == self.connections

    def _waits(self, milliseconds: int | None) -> bool:
        """Whether a connection is in the backlog, at the latest after this time. ValueError: the listener is closed."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        raise NotImplementedError

    def wait(self, seconds: float) -> bool:
        """False if the peer is to end."""
        return not self._ended.wait(seconds)


class AcceptAndClose(Peer):
    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        connection.close()


class Reset(Peer):
    """`after`: bytes that it reads first; `times`: how many connections it resets, others are read to their end."""

    def __init__(self, after: int = 0, times: int = 1 << 30, tls: Path | None = None, port: int = 0) -> None:
        super().__init__(port, tls)
        self._after = after
        self._times = times

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        if self.connections > self._times:
            read_all(connection, stream)
            return
        while len(stream) < self._after and (data := connection.recv(min(65536, self._after - len(stream)))):
            stream += data
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        connection.close()


class NeverRead(Peer):
    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        self._ended.wait()


class LateClose(Peer):
    def __init__(self, seconds: float, tls: Path | None = None) -> None:
        super().__init__(tls=tls)
        self._seconds = seconds

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        self.wait(self._seconds)
        connection.close()


class Read(Peer):
    def __init__(self, port: int = 0, tls: Path | None = None, slowly: int = 0, room: int = 0) -> None:
        super().__init__(port, tls, room)
        self._slowly = slowly

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        if self._slowly:
            while self.wait(STEP) and (data := connection.recv(self._slowly)):
                stream += data
            connection.close()
        else:
            read_all(connection, stream)


class Talk(Peer):
    """`quickly`: as much as the connection accepts; otherwise a byte now and then, like a keep-alive."""

    def __init__(self, quickly: bool = False, tls: Path | None = None) -> None:
        super().__init__(tls=tls)
        self._words = bytes(65536) if quickly else b"\r"
        self._pause = 0.0 if quickly else STEP

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        threading.Thread(target=self._listen, args=(connection, stream), daemon=True).start()
        while self.wait(self._pause):
            connection.sendall(self._words)

    @staticmethod
    def _listen(connection: socket.socket, stream: bytearray) -> None:
        with suppress(OSError, ValueError):
            while data := connection.recv(65536):
                stream += data


class Silent(Peer):
    def _accept(self) -> None:
        self._ended.wait()


def end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def read_all(connection: socket.socket, stream: bytearray) -> None:
    while data := connection.recv(65536):
        stream += data
    connection.close()


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def certificate(folder: Path) -> Path:
    """For 127.0.0.1, signed by itself, with its key in the same file."""
    file = folder / "peer.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=peer"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that prints a line when it is ready, and is ended by its pid."""
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert running.stdout.readline(), f"it did not start: {command}"
        yield running
    finally:
        running.kill()
        running.communicate(timeout=STARTED)


def end_process(running: subprocess.Popen[Any], seconds: float) -> None:
    """By SIGTERM. One that goes on is killed, and TimeoutExpired is raised."""
    running.terminate()
    try:
        running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise


class Vanishing:
    """A host of its own, over a pair of interfaces; its receiver reads all TCP connections to `port`. Needs root."""

    port = 9060
    address = "10.219.7.2"

    def __init__(self) -> None:
        self._name = f"gone{os.getpid()}"
        self._device = f"g{os.getpid()}"[:14]

    def __enter__(self) -> Self:
        ip("netns", "add", self._name)
        ip("link", "add", self._device, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        ip("addr", "add", "10.219.7.1/24", "dev", self._device)
        ip("link", "set", self._device, "up")
        ip("-n", self._name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self._name, "link", "set", "eth0", "up")
        there = Path(__file__).resolve()
        command = ("ip", "netns", "exec", self._name, sys.executable, str(there), self.address, str(self.port))
        self._receiver = process(*command)
        self._receiver.__enter__()
        return self

    def vanish(self) -> None:
        """From now on nothing comes back from it: neither an answer nor an error."""
        shown = ip("-n", self._name, "-br", "link", "show", "eth0").split()
        ip("neigh", "replace", self.address, "lladdr", shown[2], "dev", self._device, "nud", "permanent")
        ip("-n", self._name, "addr", "flush", "dev", "eth0")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._receiver.__exit__(kind, error, at)
        ip("link", "delete", self._device)
        ip("netns", "delete", self._name)


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=STARTED).stdout


def until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def receive(address: str, port: int) -> None:
    """Inside the namespace: read all connections."""
    listener = socket.create_server((address, port))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=read_all, args=(connection, bytearray()), daemon=True).start()


if __name__ == "__main__":
    receive(sys.argv[1], int(sys.argv[2]))
