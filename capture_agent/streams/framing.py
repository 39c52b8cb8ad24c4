"""Where SIP messages start and end in a stream of bytes (RFC 3261 7.5, 18.3). Hot: compiled with framing.pxd, or plain.

Every answer holds however the stream is cut: if these bytes are not a start line, neither are more of them.
"""

from __future__ import annotations

import re

import cython

from capture_agent.streams import limits

NO = cython.declare(cython.int, limits.NO)
YES = cython.declare(cython.int, limits.YES)
PERHAPS = cython.declare(cython.int, limits.PERHAPS)
UNKNOWN = cython.declare(cython.int, limits.UNKNOWN)
NOT_SIP = cython.declare(cython.int, limits.NOT_SIP)
TOO_LONG = cython.declare(cython.int, limits.TOO_LONG)
REFUSED = cython.declare(cython.int, limits.REFUSED)
MAX_METHOD = cython.declare(cython.int, limits.MAX_METHOD)
MAX_LINE = cython.declare(cython.int, limits.MAX_LINE)
MAX_HEADERS = cython.declare(cython.int, limits.MAX_HEADERS)
MAX_BODY = cython.declare(cython.int, limits.MAX_BODY)

TAB = cython.declare(cython.uchar, 0x09)
LF = cython.declare(cython.uchar, 0x0A)
CR = cython.declare(cython.uchar, 0x0D)
SPACE = cython.declare(cython.uchar, 0x20)
COLON = cython.declare(cython.uchar, 0x3A)

# RFC 3261 25.1 token
TOKEN = cython.declare(bytes, bytes((chr(n).isalnum() and n < 128) or n in b"-.!%*_+`'~" for n in range(256)))
VERSION = cython.declare(bytes, b"sip/2.0")
CONTENT_LENGTH = cython.declare(bytes, b"content-length")

# The same for the plain build. None of these patterns backtracks.
METHOD = re.compile(rb"[\w.!%*+`'~-]*+")
HEADERS_END = re.compile(rb"\n\r?\n")
LENGTH = re.compile(rb"\n(?i:l|content-length)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)")


def find(data: bytes, byte: cython.uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where byte is in data[start:end], or -1."""
    if start >= end or start < 0 or end > len(data):
        return -1
    if cython.compiled:
        text: cython.p_char = data
        hit: cython.p_char = cython.cast(cython.p_char, memchr(text + start, byte, end - start))  # type: ignore[name-defined]  # noqa: F821 - cimported
        if hit == cython.NULL:
            return -1
        return hit - text  # type: ignore[no-any-return]
    return data.find(byte, start, end)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def same(data: bytes, start: cython.Py_ssize_t, wanted: bytes, size: cython.Py_ssize_t) -> cython.bint:
    """Are the `size` bytes at start those that this lower-case text begins with, in any case?"""
    if start < 0 or size > len(wanted) or start + size > len(data):
        return False
    if cython.compiled:
        text: cython.p_char = data
        model: cython.p_char = wanted
        return strncasecmp(text + start, model, size) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    return data[start : start + size].lower() == wanted[:size]


@cython.cfunc
@cython.inline
@cython.exceptval(-2)
def after_token(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    if not cython.compiled:
        return METHOD.match(data, start, end).end()  # type: ignore[union-attr]
    while start < end and TOKEN[data[start]]:
        start += 1
    return start


def start_line(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """Whether data[start:end] begins with `METHOD URI SIP/2.0` or `SIP/2.0 NNN`: YES, NO, or PERHAPS with more bytes.

    NO comes early: at the first byte for TLS and most else, before the end of the line for other text.
    """
    size: cython.Py_ssize_t = end - start
    i: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    if start < 0 or end > len(data):
        raise ValueError(f"{start}:{end} lies outside of {len(data)} bytes")
    if size <= 0:
        return PERHAPS
    if not TOKEN[data[start]]:
        return NO
    if data[start] | 0x20 == 0x73 and same(data, start, VERSION, min(size, 7)):
        if size <= 7:
            return PERHAPS
        i = start + 7
        while i < end and (data[i] == SPACE or data[i] == TAB):
            i += 1
        if i == end:
            return PERHAPS if size < MAX_LINE else NO
        return YES if start + 7 < i <= start + MAX_LINE and 0x30 <= data[i] <= 0x39 else NO
    stop = min(end, start + MAX_METHOD + 1)
    i = after_token(data, start, stop)
    if i == stop:
        return PERHAPS if size <= MAX_METHOD else NO
    if data[i] != SPACE and data[i] != TAB:
        return NO
    stop = find(data, LF, i, min(end, start + MAX_LINE))
    if stop < 0:
        return PERHAPS if size < MAX_LINE else NO
    while stop > i and data[stop - 1] <= SPACE:
        stop -= 1
    if stop - 8 <= i or data[stop - 8] > SPACE:
        return NO
    return YES if same(data, stop - 7, VERSION, 7) else NO


def measure(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The size of the message at data[at], which may reach beyond end; UNKNOWN, NOT_SIP, TOO_LONG or REFUSED."""
    verdict: cython.int = start_line(data, at, end)
    if verdict != YES:
        return NOT_SIP if verdict == NO else UNKNOWN
    limit: cython.Py_ssize_t = min(end, at + MAX_HEADERS)
    line: cython.Py_ssize_t = find(data, LF, at, limit) + 1
    value: cython.Py_ssize_t = -1  # where that of Content-Length starts; the first of several wins, as in Kamailio
    c: cython.uchar
    if not cython.compiled:
        return measure_with_patterns(data, at, limit, end)
    while 0 < line < limit:
        c = data[line]
        if c == LF:
            return whole(data, at, line + 1, value)
        if c == CR and line + 1 < limit and data[line + 1] == LF:
            return whole(data, at, line + 2, value)
        if value < 0 and (c | 0x20 == 0x63 or c | 0x20 == 0x6C):  # c, l
            value = after_length_name(data, line, limit)
        line = find(data, LF, line, limit) + 1
    return TOO_LONG if end - at >= MAX_HEADERS else UNKNOWN


def measure_with_patterns(data: bytes, at: int, limit: int, end: int) -> int:
    """The headers for the plain build."""
    blank = HEADERS_END.search(data, at, limit)
    if blank is None:
        return TOO_LONG if end - at >= MAX_HEADERS else UNKNOWN
    length = LENGTH.search(data, at, blank.end())
    return whole(data, at, blank.end(), length.start(1) if length else -1)


@cython.cfunc
@cython.exceptval(-2)
def after_length_name(data: bytes, line: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """After the colon, if this line is Content-Length or its compact form (RFC 3261 7.3.3); otherwise -1."""
    i: cython.Py_ssize_t = line + 1
    if data[line] | 0x20 == 0x63:
        if line + 14 > end or not same(data, line, CONTENT_LENGTH, 14):
            return -1
        i = line + 14
    while i < end and (data[i] == SPACE or data[i] == TAB):
        i += 1
    return i + 1 if i < end and data[i] == COLON else -1


@cython.cfunc
@cython.exceptval(-3)
def whole(data: bytes, at: cython.Py_ssize_t, body: cython.Py_ssize_t, value: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The size of the message whose header section ends at body, and whose Content-Length is at value.

    Without one it ends with its headers: on a stream it must have one (RFC 3261 18.3).
    """
    length: cython.longlong = 0
    i: cython.Py_ssize_t = value
    stop: cython.Py_ssize_t
    if value < 0:
        return body - at
    stop = find(data, LF, value, body)
    while 0 <= stop < body - 1 and (data[stop + 1] == SPACE or data[stop + 1] == TAB):
        stop = find(data, LF, stop + 1, body)  # a folded line (RFC 3261 7.3.1)
    while stop > i and data[stop - 1] <= SPACE:
        stop -= 1
    while i < stop and data[i] <= SPACE:
        i += 1
    if i >= stop:
        return REFUSED - (body - at)
    while i < stop:
        length = length * 10 + (data[i] - 0x30)
        if not 0x30 <= data[i] <= 0x39 or length > MAX_BODY:
            return REFUSED - (body - at)
        i += 1
    return body - at + length


def after_blank(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, trail: cython.int) -> cython.Py_ssize_t:
    """The end of the first empty line in data[at:end], or -1. `trail`: how the bytes before data[at] end."""
    line: cython.Py_ssize_t = at
    if at >= end:
        return -1
    if trail == 2 and data[at] == LF:
        return at + 1
    if trail != 1:
        line = find(data, LF, at, end) + 1
    while 0 < line < end or (line == at < end and trail == 1):
        if data[line] == LF:
            return line + 1
        if data[line] == CR and line + 1 < end and data[line + 1] == LF:
            return line + 2
        line = find(data, LF, line, end) + 1
        trail = 0
    return -1


def trail_of(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, trail: cython.int) -> cython.int:
    """How data[at:end] ends: 1 with a line end, 2 with a line end and CR, else 0. `trail`: the same of data[:at]."""
    if at >= end:
        return trail
    if data[end - 1] == LF:
        return 1
    if data[end - 1] != CR:
        return 0
    if end - at >= 2:
        return 2 if data[end - 2] == LF else 0
    return 2 if trail == 1 else 0


def find_start(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The first line of data[at:end] that is a start line followed by a header, or may become one; or -1.

    Followed by a header, because a start line in a sipfrag (RFC 3420) often has none.
    """
    verdict: cython.int
    line: cython.Py_ssize_t = at
    following: cython.Py_ssize_t
    while line < end:
        verdict = start_line(data, line, end)
        following = find(data, LF, line, end) + 1
        if verdict == PERHAPS:
            return line
        if verdict == YES and not is_torn(data, line) and (following == 0 or may_be_header(data, following, end)):
            return line
        if following == 0:
            return -1
        line = following
    return -1


METHODS = (
    b"INVITE ", b"ACK ", b"BYE ", b"CANCEL ", b"REGISTER ", b"OPTIONS ", b"PRACK ", b"SUBSCRIBE ", b"NOTIFY ",
    b"PUBLISH ", b"INFO ", b"REFER ", b"MESSAGE ", b"UPDATE ",
)  # fmt: skip
COMMON = (*METHODS, b"SIP/2.0 ")
LONGEST_KNOWN = cython.declare(cython.int, 10)  # of those that is_known() compares itself
TORN = tuple({method[n:] for method in METHODS for n in range(1, len(method) - 1)} - set(METHODS))


def is_known(data: bytes, at: cython.Py_ssize_t) -> cython.bint:
    """Whether a start line with a common method begins here: is_common(), fast enough for every message."""
    if not cython.compiled:
        return data.startswith(COMMON, at)
    if not 0 <= at <= len(data) - LONGEST_KNOWN:
        return is_common(data, at)
    # Bytes of known size: the compiler compares words instead of calling a function.
    text: cython.p_char = cython.cast(cython.p_char, data) + at
    c: cython.uchar = data[at]
    if c == 0x53:  # S
        return memcmp(text, b"SIP/2.0 ", 8) == 0 or memcmp(text, b"SUBSCRIBE ", 10) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    if c == 0x49:  # I
        return memcmp(text, b"INVITE ", 7) == 0 or memcmp(text, b"INFO ", 5) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    if c == 0x41:  # A
        return memcmp(text, b"ACK ", 4) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    if c == 0x42:  # B
        return memcmp(text, b"BYE ", 4) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    if c == 0x4F:  # O
        return memcmp(text, b"OPTIONS ", 8) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    if c == 0x52:  # R
        return memcmp(text, b"REGISTER ", 9) == 0 or memcmp(text, b"REFER ", 6) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    return is_common(data, at)


def is_common(data: bytes, at: int) -> bool:
    return data.startswith(COMMON, at)


def is_torn(data: bytes, at: int) -> bool:
    """After a gap a segment may start within a method: this looks like a start line but is not one."""
    return data.startswith(TORN, at)


@cython.cfunc
def may_be_header(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    i: cython.Py_ssize_t = after_token(data, at, end)
    if i == at and i < end:
        return False
    while i < end and (data[i] == SPACE or data[i] == TAB):
        i += 1
    return i >= end or data[i] == COLON
