"""The batches of a spool, compressed: their messages are alike, so they take a fifth to an eighth of the disk.

zstd takes less CPU than the disk would for the rest; without its library, zlib. What is stored says which it is.
"""

from __future__ import annotations

import zlib

from capture_agent.delivery.spool.spool_error import SpoolError
from capture_agent.delivery.spool.spool_rows import Data

ZSTD = b"\x28\xb5\x2f\xfd"
PLAIN = b"HEP3"
MOST_BYTES = 64 << 20  # of a batch that is compressed; a longer one is stored as it is

try:
    import zstandard
except ImportError:  # the extra `compression` is not installed
    zstandard = None  # type: ignore[assignment]


class NotCompressed(ValueError):
    """These bytes are not what `compressed` has made."""


def compressed(data: Data) -> Data:
    if len(data) > MOST_BYTES:
        return data
    if zstandard is None:
        return zlib.compress(data, 1)
    return zstandard.ZstdCompressor(level=1).compress(data)


def decompressed(data: Data) -> Data:
    """Raises NotCompressed; SpoolError if the library that it needs is missing."""
    if data[:4] == PLAIN:
        return data
    if data[:4] == ZSTD:
        if zstandard is None:
            raise SpoolError("compressed with zstd: install zstandard")
        try:
            if zstandard.frame_content_size(data) > MOST_BYTES:
                raise NotCompressed("longer than a batch")
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=MOST_BYTES)
        except (zstandard.ZstdError, MemoryError):
            raise NotCompressed("zstd") from None
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, MOST_BYTES)
    except zlib.error:
        raise NotCompressed("zlib") from None
    if not unpacker.eof:
        raise NotCompressed("longer than a batch")
    return found
