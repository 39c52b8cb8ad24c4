"""What a payload is that is no SIP. Hot: compiled with stranger.pxd, or plain Python."""

from __future__ import annotations

import cython

BLANK = b" \t\r\n\0"

# problems.Stranger as C integers; tests/sip/test_scan.py keeps them equal.
EMPTY = cython.declare(cython.int, 1)
KEEPALIVE = cython.declare(cython.int, 2)
STUN = cython.declare(cython.int, 3)
RTP = cython.declare(cython.int, 4)
RTCP = cython.declare(cython.int, 5)
HTTP = cython.declare(cython.int, 6)
SIP_VERSION = cython.declare(cython.int, 7)
OTHER = cython.declare(cython.int, 8)


def stranger(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """What data[start:end] is, of which scan.py has said that it is no SIP: one of problems.Stranger."""
    size: cython.Py_ssize_t = end - start
    if size <= 0:
        return EMPTY
    c: cython.uchar = data[start]
    if c & 0xC0 == 0x80 and size >= 12:  # RFC 3550: version 2
        return RTCP if 192 <= data[start + 1] <= 223 else RTP  # RFC 5761 4
    if c & 0xC0 == 0x80 and size >= 8 and 192 <= data[start + 1] <= 223:
        return RTCP
    if c <= 0x20 and not data[start:end].strip(BLANK):
        return KEEPALIVE
    if c <= 3 and size >= 20 and is_stun(data, start, size):
        return STUN
    line: bytes = data[start : min(end, start + 512)]
    return stranger_by_line(line)


@cython.cfunc
def is_stun(data: bytes, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """RFC 5389 6: the magic cookie; RFC 3489 has none, but its length field and types are telling enough."""
    if data[start + 4 : start + 8] == b"\x21\x12\xa4\x42":
        return True
    length: cython.int = data[start + 2] << 8 | data[start + 3]
    return length + 20 == size and length % 4 == 0 and data[start + 1] in (0x01, 0x11, 0x02, 0x12)


@cython.cfunc
def stranger_by_line(head: bytes) -> cython.int:
    line: bytes = head.lstrip().split(b"\n", 1)[0].upper()
    if line.startswith(b"HTTP/") or b" HTTP/" in line:
        return HTTP
    if line.startswith(b"SIP/") or b" SIP/" in line:
        return SIP_VERSION
    return OTHER
