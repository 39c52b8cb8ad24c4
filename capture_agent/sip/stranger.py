"""The kind of a payload that is not SIP. Hot: compiled with stranger.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.sip.problems import Stranger

BLANK = b" \t\r\n\0"

# As C integers.
EMPTY = cython.declare(cython.int, Stranger.EMPTY)
KEEPALIVE = cython.declare(cython.int, Stranger.KEEPALIVE)
STUN = cython.declare(cython.int, Stranger.STUN)
RTP = cython.declare(cython.int, Stranger.RTP)
RTCP = cython.declare(cython.int, Stranger.RTCP)
HTTP = cython.declare(cython.int, Stranger.HTTP)
SIP_VERSION = cython.declare(cython.int, Stranger.SIP_VERSION)
OTHER = cython.declare(cython.int, Stranger.OTHER)
START_LINE = cython.declare(cython.int, Stranger.START_LINE)
HEP = cython.declare(cython.int, Stranger.HEP)

NAME_HEADER = cython.declare(cython.int, 12)  # RFC 1035 4.1.1
LONGEST_NAME = cython.declare(cython.int, 255)


def stranger(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """The problems.Stranger for data[start:end], which scan.py has found not to be SIP."""
    size: cython.Py_ssize_t = end - start
    if size <= 0:
        return EMPTY
    c: cython.uchar = data[start]
    if c & 0xC0 == 0x80:
        if size >= 12:  # RFC 3550: version 2
            if data[start + 4] == 0 and is_name_service(data, start, end):
                return OTHER
            return RTCP if 192 <= data[start + 1] <= 223 else RTP  # RFC 5761 4
        if size >= 8 and 192 <= data[start + 1] <= 223:
            return RTCP
    elif is_hep(data, start, size):
        return HEP
    if c <= 0x20 and not data[start:end].strip(BLANK):
        return KEEPALIVE
    if c <= 3 and size >= 20 and is_stun(data, start, size):
        return STUN
    line: bytes = data[start : min(end, start + 512)]
    return stranger_by_line(line)


@cython.cfunc
def is_hep(data: bytes, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """HEP3 by its first word; HEP1 and 2 by version, header length (HEP2's time header may be counted) and family."""
    c: cython.uchar = data[start]
    if c == 0x48:
        return size >= 6 and data[start : start + 4] == b"HEP3"
    if (c != 1 and c != 2) or size < 16:
        return False
    length: cython.int = data[start + 1]
    if data[start + 2] == 2:
        return length == 16 or (c == 2 and length == 28)
    return data[start + 2] == 10 and size >= 40 and (length == 40 or (c == 2 and length == 52))


@cython.cfunc
def is_name_service(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """DNS, mDNS, LLMNR or NetBIOS (RFC 1002 4.2), whose random first number may look like RTP's version.

    Requires at least one question or record, with a complete name followed by the Internet class.
    """
    at: cython.Py_ssize_t = start + NAME_HEADER
    label: cython.int
    i: cython.int
    if end - start < NAME_HEADER + 5:
        return False
    for i in range(4, NAME_HEADER, 2):  # entries per section: all of them fit one datagram
        if data[start + i] or data[start + i + 1] > 64:
            return False
    while at < end and at - start <= NAME_HEADER + LONGEST_NAME:
        label = data[at]
        if label & 0xC0 == 0xC0:  # a pointer to the rest of the name
            at += 2
            break
        if label > 63:
            return False
        at += 1 + label
        if not label:
            break
    # type, then class 1, or 255 for any; the highest bit is mDNS's
    return at + 4 <= end and data[at] == 0 and data[at + 2] & 0x7F == 0 and data[at + 3] in (1, 255)


@cython.cfunc
def is_stun(data: bytes, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
    """RFC 5389 6: the magic cookie; RFC 3489 has none, but its length field and types identify it."""
    if data[start + 4 : start + 8] == b"\x21\x12\xa4\x42":
        return True
    length: cython.int = data[start + 2] << 8 | data[start + 3]
    return length + 20 == size and length % 4 == 0 and data[start + 1] in (0x01, 0x11, 0x02, 0x12)


@cython.cfunc
def stranger_by_line(head: bytes) -> cython.int:
    line: bytes = head.lstrip().split(b"\n", 1)[0].upper()
    if line.startswith(b"HTTP/") or b" HTTP/" in line:
        return HTTP
    if b"SIP/2.0" in line.split():
        return START_LINE
    if line.startswith(b"SIP/") or b" SIP/" in line:
        return SIP_VERSION
    return OTHER
