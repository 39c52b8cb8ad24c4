"""The bytes of a capture file from a file or a pipe, compressed or not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from select import POLLIN, poll
from typing import Protocol

from capture_agent.os_errors import in_words
from capture_agent.sources.compressed_file import LONGEST_MAGIC, CompressionError, Unpacker, unpacker_for
from capture_agent.sources.source import SourceError

STANDARD_INPUT = "-"
CHUNK = 160 * 1024  # a batch, its records and the bytes sent for it fit a cache of 512 KiB
STOP_WITHIN = 200  # milliseconds
COMPRESSED_CHUNK = 64 * 1024


Stopped = Callable[[], bool]  # returns true when no more bytes are wanted


class ByteStream(Protocol):
    """Bytes read in order."""

    problem: str  # why the bytes ended early; empty otherwise

    def read(self, tail: bytes, wanted: int) -> bytes:
        """`tail`, the last bytes it returned, and the bytes after them: at least `wanted` in total, fewer at the end.

        It waits only for these, so that a slow pipe does not delay complete records.
        """
        ...


class FileStream:
    """A file on disk: the tail is read again, which costs less than copying the bytes after it."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._at = 0
        self.problem = ""

    def read(self, tail: bytes, wanted: int) -> bytes:
        data = os.pread(self._file.fileno(), max(wanted, CHUNK), self._at - len(tail))
        self._at += len(data) - len(tail)
        return data


class PipeStream:
    """Bytes that can be read only once."""

    def __init__(self, file: FileIO, first: bytes, stopped: Stopped) -> None:
        self._file = file
        self._first = first
        self._stopped = stopped
        self.problem = ""

    def read(self, tail: bytes, wanted: int) -> bytes:
        return gather(tail, wanted, self._next)

    def _next(self) -> bytes:
        first, self._first = self._first, b""
        return first or read_some(self._file, CHUNK, self._stopped)


class PackedStream:
    """The content of compressed members in order, up to any damage."""

    def __init__(self, file: FileIO, first: bytes, unpacker: Unpacker, stopped: Stopped) -> None:
        self._file = file
        self._packed = first
        self._stopped = stopped
        self._unpacker: Unpacker | None = unpacker
        self._format = unpacker.format
        self.problem = ""

    def read(self, tail: bytes, wanted: int) -> bytes:
        return gather(tail, wanted, self._next)

    def _next(self) -> bytes:
        while not self.problem:
            if self._unpacker is None:
                self._begin_member()
                if self._unpacker is None:
                    return b""
            elif data := self._unpack(self._unpacker):
                return data
        return b""

    def _unpack(self, unpacker: Unpacker) -> bytes:
        if unpacker.needs_input and not self._packed:
            self._packed = read_some(self._file, COMPRESSED_CHUNK, self._stopped)
            if not self._packed:
                self.problem = f"the {self._format} data is cut short"
                return b""
        packed, self._packed = self._packed, b""
        try:
            data = unpacker.unpack(packed, CHUNK)
        except CompressionError as error:
            self.problem = f"the {self._format} data is damaged ({error})"
            return error.salvaged
        if unpacker.ended:
            self._packed = unpacker.rest
            self._unpacker = None
        return data

    def _begin_member(self) -> None:
        """Another member may follow, after NUL bytes, which gzip(1) and xz(1) skip, too."""
        self._packed = self._packed.lstrip(b"\0")
        while len(self._packed) < LONGEST_MAGIC:
            more = read_some(self._file, COMPRESSED_CHUNK, self._stopped)
            self._packed = (self._packed + more).lstrip(b"\0")
            if not more:
                break
        if self._packed:
            self._unpacker = unpacker_for(self._packed)
            if self._unpacker is None:
                self.problem = f"the {self._format} data is followed by something else"


def gather(tail: bytes, wanted: int, read: Callable[[], bytes]) -> bytes:
    parts = [tail]
    size = len(tail)
    while size < wanted and (part := read()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def read_some(file: FileIO, size: int, stopped: Stopped) -> bytes:
    """The available bytes, at most `size`; b"" at the end, or if it is to stop while none are available.

    A single read: it does not wait until a slow pipe has more.
    """
    waiting = poll()
    waiting.register(file, POLLIN)
    while not stopped():
        # After a signal a read would be resumed (PEP 475), for as long as the pipe is silent.
        if waiting.poll(STOP_WITHIN) and (data := file.read(size)) is not None:
            return data
    return b""


def open_file(path: str | Path, name: str) -> FileIO:
    """Open a file, or standard input. Raises SourceError."""
    try:
        if str(path) == STANDARD_INPUT:
            return FileIO(0, closefd=False)
        return FileIO(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise SourceError(f"{name}: {in_words(error)}", usage=True) from None


def open_stream(file: FileIO, stopped: Stopped) -> tuple[ByteStream, str]:
    """The bytes of a file, and how to name an offset in them. The content decides, not the file's name.

    Raises SourceError for a compression whose library is not installed.
    """
    first = gather(b"", LONGEST_MAGIC, lambda: read_some(file, CHUNK, stopped))
    if (unpacker := unpacker_for(first)) is not None:
        return PackedStream(file, first, unpacker, stopped), "byte {} of the decompressed data"
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.tell() == len(first):
        return FileStream(file), "byte {}"
    return PipeStream(file, first, stopped), "byte {}"
