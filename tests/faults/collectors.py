"""A HEP collector over TCP or TLS as a process of its own, which keeps what it reads in files.

It can be killed (SIGKILL), stopped (SIGSTOP), started again on the same port, and run inside a network namespace.
"""

from __future__ import annotations

import mmap
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from faults.peers import process

COLLECT = "import sys; sys.path.insert(0, sys.argv[1]); from faults.collectors import collect; collect(*sys.argv[2:])"
# A file per connection: how many bytes there are, and the bytes. The kernel writes them there as the collector reads:
# what a collector that is killed has read is in the file.
COUNT_BYTES = 8
MOST_BYTES = 128 << 20  # sparse
AT_ONCE = 1 << 18  # bytes read at once, if it is not slow
PAUSE = 0.05  # seconds after each `slowly` bytes


class Collector:
    """`certificate`: with its key, for TLS. `inside`: the command line before its own. `slowly`: bytes it reads at once."""

    def __init__(
        self,
        folder: Path,
        port: int,
        certificate: Path | None = None,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
        slowly: int = 0,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port
        self._encrypted = certificate is not None
        tests = str(Path(__file__).parents[1])
        arguments = (tests, address, str(port), str(folder), str(certificate or ""), str(slowly))
        self._command = (*inside, sys.executable, "-c", COLLECT, *arguments)
        self._running: AbstractContextManager[subprocess.Popen[str]] | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._running = process(*self._command)
        self._process = self._running.__enter__()

    def kill(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
        self._running = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def bytes_read(self) -> int:
        """By all connections."""
        return sum(map(count, self.folder.glob("*.hep")))

    def streams(self) -> list[list[int]]:
        """The numbers of the complete messages of each connection that had some, the oldest connection first."""
        found = []
        for file in sorted(self.folder.glob("*.hep")):
            if numbers := list(numbers_in(stream(file, self._encrypted))):
                found.append(numbers)
        return found


def count(file: Path) -> int:
    with file.open("rb") as opened:
        return int.from_bytes(opened.read(COUNT_BYTES), "big")


def stream(file: Path, encrypted: bool) -> bytes:
    """What a connection has brought.

    After a kill the count may be too low, by one read. The kernel writes what comes after it in order. A TLS library
    copies, and the C library writes the first bytes of a copy last: there may be a hole, so that read does not count.
    """
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(COUNT_BYTES), "big")
        return opened.read(size) if encrypted else opened.read(size + AT_ONCE).rstrip(b"\0")


def numbers_in(data: bytes) -> Iterator[int]:
    """Of the complete HEP3 packets: there are many, so only their lengths and Call-IDs are looked at."""
    at = 0
    while at + 6 <= len(data):
        assert data.startswith(b"HEP3", at), f"no HEP3 packet at byte {at}"
        end = at + int.from_bytes(data[at + 4 : at + 6], "big")
        if end > len(data):
            return
        yield number(data[at:end])
        at = end


def number(message: bytes) -> int:
    """Of a message as `sink_samples.numbered` makes it."""
    return int(message.partition(b"Call-ID: call-")[2].partition(b"\r\n")[0])


def collect(address: str, port: str, folder: str, certificate: str, slowly: str) -> None:
    """What the process does: each connection goes to a file, named by the time at which it was accepted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if context is not None:
        context.load_cert_chain(certificate)

    def keep(connection: socket.socket, file: Path) -> None:
        try:
            secure = context.wrap_socket(connection, server_side=True) if context is not None else connection
        except OSError:  # our certificate is not accepted
            connection.close()
            return
        with file.open("xb+") as out, secure:
            out.truncate(MOST_BYTES)
            shared = mmap.mmap(out.fileno(), MOST_BYTES)
            room, at = memoryview(shared), COUNT_BYTES
            while size := secure.recv_into(room[at : at + (int(slowly) or AT_ONCE)]):
                at += size
                room[:COUNT_BYTES] = (at - COUNT_BYTES).to_bytes(COUNT_BYTES, "big")
                if int(slowly):
                    time.sleep(PAUSE * size / int(slowly))

    listener = socket.create_server((address, int(port)), backlog=64)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        file = Path(folder, f"{time.monotonic_ns():020}.hep")
        threading.Thread(target=keep, args=(connection, file), daemon=True).start()
