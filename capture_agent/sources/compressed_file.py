"""Compressed capture files: gzip, bzip2 and xz by the standard library, Zstandard and LZ4 by libraries of an extra."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from capture_agent.sources.source import SourceError

GZIP_WITH_HEADER = 31  # zlib's wbits: the largest window, with a gzip header and trailer
# The largest window that a file may make us allocate: more than `xz -9` and `zstd --ultra -22` need.
MOST_MEMORY = 256 << 20
# Damage costs the output of one call, as these decompressors cannot go back: so each call gets little input.
# Zstandard's output has no limit; a block of 4 bytes yields at most 128 KiB.
PIECE = 128


class CompressionError(Exception):
    """The data is damaged. `salvaged` is the output before the damage that was not returned yet."""

    def __init__(self, words: str, salvaged: bytes = b"") -> None:
        super().__init__(words)
        self.salvaged = salvaged


class Unpacker(Protocol):
    """Decompresses one member (gzip), stream (xz, bzip2) or frame (Zstandard, LZ4)."""

    format: str  # name for people

    @property
    def needs_input(self) -> bool:
        """Whether another call without data would return nothing."""

    @property
    def ended(self) -> bool: ...

    @property
    def rest(self) -> bytes:
        """Once it has ended: the input after the end."""

    def unpack(self, packed: bytes, most: int) -> bytes:
        """Feed these bytes; returns about `most` bytes of output. Raises CompressionError."""
        ...


class GzipMember:
    """RFC 1952, with all output up to the damaged byte."""

    format = "gzip"

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_WITH_HEADER)
        self._packed = b""

    @property
    def needs_input(self) -> bool:
        return not self._packed

    @property
    def ended(self) -> bool:
        return self._member.eof

    @property
    def rest(self) -> bytes:
        return self._member.unused_data

    def unpack(self, packed: bytes, most: int) -> bytes:
        packed = self._packed + packed
        before = self._member.copy()
        try:
            data = self._member.decompress(packed, most)
        except zlib.error as error:
            # The library's text is "Error -3 while decompressing data: incorrect data check".
            raise CompressionError(str(error).rpartition(": ")[2], salvaged(before, packed)) from None
        self._packed = self._member.unconsumed_tail
        return data


def salvaged(member: zlib._Decompress, packed: bytes) -> bytes:
    """The output before the damage: a zlib call that fails returns nothing."""
    data = bytearray()
    try:
        for n in range(len(packed)):
            data += member.decompress(packed[n : n + 1])
    except zlib.error:
        pass
    return bytes(data)


class ChunkedDecompressor:
    """A decompressor with the methods of bz2.BZ2Decompressor, fed in small pieces."""

    def __init__(self, name: str, decompressor: Any, bounded: bool = True) -> None:
        self.format = name
        self._decompressor = decompressor
        self._bounded = bounded  # whether it can limit its output
        self._packed = memoryview(b"")

    @property
    def needs_input(self) -> bool:
        return not self._packed and getattr(self._decompressor, "needs_input", True)

    @property
    def ended(self) -> bool:
        return bool(self._decompressor.eof)

    @property
    def rest(self) -> bytes:
        return (self._decompressor.unused_data or b"") + bytes(self._packed)

    def unpack(self, packed: bytes, most: int) -> bytes:
        if packed:
            self._packed = memoryview(bytes(self._packed) + packed)
        found = bytearray()
        try:
            while len(found) < most and not self.ended and not (self.needs_input and not self._packed):
                found += self._piece(most)
        except Exception as error:  # each library raises a different error, lz4 a RuntimeError
            raise CompressionError(str(error).partition("\n")[0].lower(), bytes(found)) from None
        return bytes(found)

    def _piece(self, most: int) -> bytes:
        piece = b""
        if getattr(self._decompressor, "needs_input", True):
            piece, self._packed = bytes(self._packed[:PIECE]), self._packed[PIECE:]
        limit = (most,) if self._bounded else ()
        data: bytes = self._decompressor.decompress(piece, *limit)
        return data


def bzip2() -> Unpacker:
    import bz2

    return ChunkedDecompressor("bzip2", bz2.BZ2Decompressor())


def xz() -> Unpacker:
    import lzma

    return ChunkedDecompressor("xz", lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY))


def zstandard() -> Unpacker:
    import zstandard as library

    return ChunkedDecompressor(
        "zstd", library.ZstdDecompressor(max_window_size=MOST_MEMORY).decompressobj(), bounded=False
    )


def lz4() -> Unpacker:
    import lz4.frame as library

    return ChunkedDecompressor("lz4", library.LZ4FrameDecompressor())


class Format(NamedTuple):
    magic: bytes
    unpacker: Callable[[], Unpacker]
    needs: str = ""  # the package that provides it


FORMATS = (
    Format(b"\x1f\x8b", GzipMember),
    Format(b"BZh", bzip2),
    Format(b"\xfd7zXZ\0", xz),
    Format(b"\x28\xb5\x2f\xfd", zstandard, "zstandard"),
    Format(b"\x50\x2a\x4d\x18", zstandard, "zstandard"),  # a skippable frame, the beginning of pzstd's files
    Format(b"\x04\x22\x4d\x18", lz4, "lz4"),
)
LONGEST_MAGIC = max(len(each.magic) for each in FORMATS)


def unpacker_for(data: bytes) -> Unpacker | None:
    """By the first bytes; None if they are not a compression's. Raises SourceError if its library is missing."""
    for each in FORMATS:
        if data.startswith(each.magic):
            try:
                return each.unpacker()
            except ImportError:
                raise SourceError(
                    f"to read this compression, install {each.needs} (pip install 'capture-agent[compression]'),"
                    " or unpack the file first",
                    usage=True,
                ) from None
    return None
