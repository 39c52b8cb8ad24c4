"""The compressed payload, chunk 0x0010.

Rev. 37 says only "gzip/inflate". We write gzip (RFC 1952), which it names first and which no reader can mistake for
another format. We read gzip and zlib (RFC 1950), which differ in their first byte.
"""

import zlib

from hep.errors import HepError, Reason
from hep.tables import MAX_BYTES

_GZIP = zlib.MAX_WBITS | 16
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


def deflate(payload: bytes) -> bytes:
    """`payload` as gzip, without a time in its header, so that equal payloads give equal packets."""
    return zlib.compress(payload, wbits=_GZIP)


def inflate(data: bytes, offset: int) -> bytes:
    """The inflated `data`, at most 65,535 bytes: no payload is longer before compression.

    Raises HepError. Never inflates more than one byte beyond the limit, whatever `data` claims.
    """
    engine = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    try:
        text = engine.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise _damaged(str(error), offset) from None
    if len(text) > MAX_BYTES:
        raise HepError(Reason.TOO_LONG, "payload", f"inflates beyond {MAX_BYTES} bytes", offset)
    if not engine.eof:
        raise _damaged(f"compressed data ends early, after {len(data)} bytes", offset)
    if engine.unused_data:
        raise _damaged(f"{len(engine.unused_data)} bytes after the compressed data", offset)
    return text


def _damaged(detail: str, offset: int) -> HepError:
    return HepError(Reason.COMPRESSION, "payload", detail, offset)
