"""Rarely needed headers, and the URIs in them, without parsing all headers. Hot: compiled with lookup.pxd, or plain.

Bounded, whatever a peer sends: reads the first MOST_VALUES lines of a header, and LONGEST bytes of each.
"""

from __future__ import annotations

import re
from functools import cache

import cython

from capture_agent.sip.message import SipMessage

if not cython.compiled:
    MOST_VALUES = 16  # the .pxd has it

LONGEST = cython.declare(cython.int, 4096)

FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
VALUE = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+")
BLANKS = b" \t\r\n"
# Quoted strings, <...>, commas and semicolons. Unclosed ones extend to the end, so that each byte is examined once.
PIECES = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|<([^>]*+)(?:>|\Z)|[,;]', re.DOTALL)
HOST = re.compile(rb"\[[^]]*+\]?|[^:;?/ \t\r\n]*+")
Found = list[bytes]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def line_end(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The LF that ends the header at data[at], folded lines included (RFC 3261 7.3.1); or end."""
    if not 0 <= at <= end <= len(data):
        return end
    text: cython.p_char = data
    while at < end:
        hit: cython.p_char = cython.cast(cython.p_char, memchr(text + at, 0x0A, end - at))  # type: ignore[name-defined]  # noqa: F821 - cimported
        if not hit:
            return end
        at = hit - text
        if at + 1 >= end or data[at + 1] not in (0x20, 0x09):
            return at
        at += 1
    return end


@cython.cfunc
def cut(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
    """data[start:end] without the blanks around it."""
    if start < 0 or end > len(data):
        return b""
    while start < end and data[start] <= 0x20 and data[start] in (0x20, 0x09, 0x0D, 0x0A):
        start += 1
    while end > start and data[end - 1] <= 0x20 and data[end - 1] in (0x20, 0x09, 0x0D, 0x0A):
        end -= 1
    if start >= end:
        return b""
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821 - cimported


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_name(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, name: bytes) -> cython.Py_ssize_t:
    """The offset of the value if data[at:end] is a header with this lower-case name, or -1."""
    size: cython.Py_ssize_t = len(name)
    if size == 0 or at < 0 or end > len(data) or end - at <= size:
        return -1
    text: cython.p_char = data
    model: cython.p_char = name
    if strncasecmp(text + at, model, size) != 0:  # type: ignore[name-defined]  # noqa: F821 - cimported
        return -1
    at += size
    while at < end and data[at] in (0x20, 0x09):
        at += 1
    return at + 1 if at < end and data[at] == 0x3A else -1


def header_at(sip: SipMessage, at: cython.Py_ssize_t, name: bytes, compact: bytes) -> cython.Py_ssize_t:
    """Where the value of the next such header begins, in the lines from data[at] on; -1: there is none."""
    data: bytes = sip.data
    end: cython.Py_ssize_t = sip.body_start
    stop: cython.Py_ssize_t
    first: cython.Py_ssize_t
    letter: cython.uchar
    long_one: cython.uchar
    short_one: cython.uchar
    if not name or at < 0 or end > len(data):
        return -1
    if not cython.compiled:
        found = pattern(name, compact).search(data, max(at - 1, 0), end)
        return found.start(1) if found else -1
    # Letters to lower case; for other characters, the full comparison below decides.
    long_one = name[0] | 0x20
    short_one = compact[0] | 0x20 if compact else long_one
    while at < end:
        letter = data[at] | 0x20
        stop = line_end(data, at, end)
        if letter in (long_one, short_one):
            first = is_name(data, at, stop, name)
            if first < 0:
                first = is_name(data, at, stop, compact)
            if first >= 0:
                return first
        at = stop + 1
    return -1


def value_stop(sip: SipMessage, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the value that begins there ends: at the LF of its last line, or after the headers."""
    if not cython.compiled:
        return VALUE.match(sip.data, start, sip.body_start).end()  # type: ignore[union-attr]
    return line_end(sip.data, start, sip.body_start)


def header_values(sip: SipMessage, name: bytes, compact: bytes) -> list[bytes]:
    """The values of every line with this header, unfolded. Names in lower case; `compact`: b"" if there is none."""
    data: bytes = sip.data
    values: list[bytes] = []
    stop: cython.Py_ssize_t
    last: cython.Py_ssize_t
    at: cython.Py_ssize_t = header_at(sip, sip.headers_start, name, compact)
    while at >= 0 and len(values) < MOST_VALUES:
        stop = value_stop(sip, at)
        last = min(stop, at + LONGEST)
        values.append(unfolded(cut(data, at, last) if cython.compiled else data[at:last]))
        at = header_at(sip, stop + 1, name, compact)
    return values


def unfolded(value: bytes) -> bytes:
    value = value.strip(BLANKS)
    return FOLD.sub(b" ", value) if b"\n" in value else value


@cache
def pattern(name: bytes, compact: bytes) -> re.Pattern[bytes]:
    """Matches a header's name, from the line end before it; the group is where the value begins."""
    names = b"|".join(re.escape(each) for each in (name, compact) if each)
    return re.compile(rb"\n(?i:" + names + rb")[ \t]*+:()")


def address(value: bytes) -> bytes:
    """The URI in a From or To, which has only one (RFC 3261 20.20, 20.39); b"" if there is none."""
    i: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = min(len(value), LONGEST)
    c: cython.uchar
    if not cython.compiled:
        return first_of(addresses(value))
    while i < end:
        c = value[i]
        if c == 0x3C:
            uri: bytes = cut(value, i + 1, byte_at(value, 0x3E, i + 1, end))
            return uri or first_of(addresses(value))
        if c == 0x2C or c == 0x3B:
            break
        if c == 0x22:
            i = quote_end(value, i, end)
        i += 1
    return cut(value, 0, min(i, end)) or first_of(addresses(value))


def first_of(found: Found) -> bytes:
    return found[0] if found else b""


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def byte_at(value: bytes, byte: cython.uchar, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The byte's offset, or end."""
    if at < 0 or end > len(value):
        return end
    text: cython.p_char = value
    while at < end and cython.cast(cython.uchar, text[at]) != byte:
        at += 1
    return at


@cython.cfunc
@cython.exceptval(-2)
def quote_end(value: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of the quote that closes the one at `at`, or end."""
    at += 1
    while at < end and value[at] != 0x22:
        at += 2 if value[at] == 0x5C else 1
    return min(at, end)


def addresses(value: bytes) -> list[bytes]:
    """All URIs in the value of a header such as P-Asserted-Identity (RFC 3325 9.1), without parameters."""
    found: list[bytes] = []
    start: cython.Py_ssize_t = 0  # of an addr-spec without brackets,
    stop: cython.Py_ssize_t = -1  # and the semicolon after it: the header's parameters follow
    bare: cython.bint = True  # no <URI> yet in this element
    value = value[:LONGEST]
    for token in PIECES.finditer(value):
        if token.lastindex:
            if bare and stop < 0:
                found.append(token[1].strip(BLANKS))
                bare = False
        elif token[0] == b",":
            if bare:
                found.append(value[start : token.start() if stop < 0 else stop].strip(BLANKS))
            bare = True
            start = token.end()
            stop = -1
        elif token[0] == b";" and stop < 0:
            stop = token.start()
        if len(found) > 2 * MOST_VALUES:
            break
    if bare:
        found.append(value[start : len(value) if stop < 0 else stop].strip(BLANKS))
    return [uri for uri in found if uri][:MOST_VALUES]


def user_of(uri: bytes) -> bytes:
    """The user of sip:user:password@host, or the number of a tel: URI; b"" if there is none."""
    end: cython.Py_ssize_t = len(uri)
    colon: cython.Py_ssize_t
    at: cython.Py_ssize_t
    if not cython.compiled:
        return plain_user_of(uri)
    colon = byte_at(uri, 0x3A, 0, end)
    at = byte_at(uri, 0x40, 0, end)
    if at < end:
        if at < colon:
            return b""
    elif colon == end or not is_tel(uri, colon):
        return b""
    end = at
    at = byte_at(uri, 0x3A, colon + 1, end)
    end = min(at, byte_at(uri, 0x3B, colon + 1, end))
    return cut(uri, colon + 1, end)


@cython.cfunc
def is_tel(uri: bytes, colon: cython.Py_ssize_t) -> cython.bint:
    return uri[:colon].lower() == b"tel"


def plain_user_of(uri: bytes) -> bytes:
    """user_of for the plain build."""
    scheme, colon, rest = uri.partition(b":")
    user, at, _ = rest.partition(b"@")
    if not colon or (not at and scheme.lower() != b"tel") or b"@" in scheme:
        return b""
    return user.partition(b":")[0].partition(b";")[0].strip(BLANKS)


def host_of(uri: bytes) -> bytes:
    """The host of sip:user@host:port;parameters, IPv6 with brackets; b"" for a tel: URI."""
    scheme, colon, rest = uri.partition(b":")
    if not colon or scheme.lower() == b"tel":
        return b""
    before, at, host = rest.partition(b"@")
    host = HOST.match(host if at else before)[0]  # type: ignore[index]
    return host
