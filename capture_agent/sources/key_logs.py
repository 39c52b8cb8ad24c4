"""Key logs of TLS: a file that grows and is rotated, and lines that arrive in datagrams."""

from __future__ import annotations

import errno
import io
import logging
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from capture_agent.os_errors import in_words
from capture_agent.sources.source import SourceError

LOOK = 0.1  # seconds between two looks at the file
CHUNK = 65_536
LONGEST_LINE = 1_024  # bytes: what is longer is dropped
DATAGRAM = 65_535

Take = Callable[[bytes], object]

_log = logging.getLogger(__name__)


class KeyLogFile:
    """The lines of a file, also those that come later, also after it was truncated or replaced."""

    def __init__(self, path: str, take: Take) -> None:
        self._path = Path(path)
        self._take = take
        self._file: io.FileIO | None = None
        self._rest = b""

    def read(self) -> None:
        """Take the complete lines that have come since the last call. Raises OSError; a regular file is expected."""
        if self._file is not None and self._is_replaced():
            self._read_on()
            self.close()
        if self._file is None:
            if not stat.S_ISREG(self._path.stat().st_mode):  # opening a FIFO would block
                raise OSError(errno.EINVAL, "not a regular file")
            self._file = self._path.open("rb", buffering=0)
        self._read_on()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _is_replaced(self) -> bool:
        assert self._file is not None
        now = os.fstat(self._file.fileno())
        with suppress(OSError):
            there = self._path.stat()
            return (there.st_dev, there.st_ino) != (now.st_dev, now.st_ino) or there.st_size < self._file.tell()
        return False  # it is gone: a new one is waited for

    def _read_on(self) -> None:
        assert self._file is not None
        while data := self._file.read(CHUNK):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(self._rest) > LONGEST_LINE:
                self._rest = self._rest[:LONGEST_LINE]  # too long to be of use, and its end is waited for

    def read_all(self) -> None:
        """The whole file, also a last line without its end. Raises OSError."""
        self.read()
        self._take(self._rest)
        self.close()


class KeyLogs:
    """Follows them in a thread of its own. `take` gets each line."""

    def __init__(self, path: str, place: tuple[str, int] | None, take: Take) -> None:
        self._path = path
        self._place = place
        self._take = take
        self._file = KeyLogFile(path, take) if path else None
        self._socket: socket.socket | None = None
        self._stop = Event()
        self._thread: Thread | None = None
        self._is_there = True

    def open(self) -> None:
        """Read what is there, and follow it. A file may come later. Raises SourceError: the port cannot be bound."""
        if self._place is not None:
            self._socket = self._bound(self._place)
        self._look()
        self._thread = Thread(target=self._follow, name="key log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)
        if self._socket is not None:
            self._socket.close()
        if self._file is not None:
            self._file.close()

    def _bound(self, place: tuple[str, int]) -> socket.socket:
        host, port = place
        receiver = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            receiver.bind((host, port))
            receiver.settimeout(LOOK)
        except OSError as error:
            receiver.close()
            raise SourceError(f"key_log_listen: udp port {port}: {in_words(error)}", usage=True) from None
        return receiver

    def _follow(self) -> None:
        while not self._stop.is_set():
            if self._socket is None:
                self._stop.wait(LOOK)
            else:
                self._receive(self._socket)
            self._look()

    def _receive(self, receiver: socket.socket) -> None:
        with suppress(OSError):  # also: nothing came
            while not self._stop.is_set():
                for line in receiver.recv(DATAGRAM).split(b"\n"):
                    self._take(line)
                receiver.settimeout(0.0)
        receiver.settimeout(LOOK)

    def _look(self) -> None:
        if self._file is None:
            return
        try:
            self._file.read()
            if not self._is_there:
                _log.info("%s: the key log is there", self._path)
            self._is_there = True
        except OSError as error:
            self._file.close()
            if self._is_there:
                _log.warning("%s: %s; TLS is not decrypted until the key log is there", self._path, in_words(error))
            self._is_there = False
