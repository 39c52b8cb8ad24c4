"""Files of gzip members or zstd frames, one for each write: where the last whole one ends."""

from __future__ import annotations

import errno
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

STEP = 1 << 18
BEGINNING = 24  # bytes of the content: the header of a pcap file


@dataclass(frozen=True, slots=True)
class Compression:
    """`pack` makes a member; `reader` a decompressor of one, with `decompress`, `eof` and `unused_data`."""

    suffix: str
    magic: bytes
    pack: Callable[[bytes], bytes]
    reader: Callable[[], Any]

    def whole(self, handle: int, size: int) -> tuple[int, bytes]:
        """The end of the last whole member, and how the content begins. Raises OSError if it is another format."""
        if not self.magic.startswith(os.pread(handle, len(self.magic), 0)):
            raise OSError(errno.EINVAL, "it exists and was not written by this sink")
        end, begins, reader = 0, b"", self.reader()
        for at, chunk in chunks(handle, size):
            rest = chunk
            while rest:
                try:
                    found = reader.decompress(rest)
                except (zlib.error, zstd_error()):
                    return end, begins
                begins += found[: BEGINNING - len(begins)]
                if not reader.eof:
                    break
                rest = reader.unused_data
                end, reader = at + len(chunk) - len(rest), self.reader()
        return end, begins


def chunks(handle: int, size: int) -> Iterator[tuple[int, bytes]]:
    for at in range(0, size, STEP):
        yield at, os.pread(handle, min(STEP, size - at), at)


def zstd_error() -> type[Exception]:
    from zstandard import ZstdError

    return ZstdError


def gzip_member(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1, mtime=0)


def zstd_frame(data: bytes) -> bytes:
    from zstandard import ZstdCompressor

    return ZstdCompressor(level=3).compress(data)


def zstd_reader() -> Any:
    from zstandard import ZstdDecompressor

    return ZstdDecompressor().decompressobj()


COMPRESSIONS = {
    "gzip": Compression(".gz", b"\x1f\x8b", gzip_member, lambda: zlib.decompressobj(31)),
    "zstd": Compression(".zst", b"\x28\xb5\x2f\xfd", zstd_frame, zstd_reader),
}
