"""One pass over the bytes of a message. Hot: compiled with scan.pxd, or plain Python.

Finds only the parts that every later stage needs: start line, Call-ID, CSeq, From, To, the topmost Via, Content-Length.
Lenient, as an observer must be (RFC 3261 7.3.1, RFC 4475): it records faults in `problems`.
"""

from __future__ import annotations

import cython

from capture_agent.sip import patterns
from capture_agent.sip import plain_scan as plain
from capture_agent.sip.message import SipMessage, new_message
from capture_agent.sip.problems import Problem

# Bytes are written as numbers, and sets of bytes as bits of one: the compiler would treat a name as a variable.

# As C integers.
BAD_START_LINE = cython.declare(cython.int, Problem.BAD_START_LINE)
NO_HEADER_END = cython.declare(cython.int, Problem.NO_HEADER_END)
BAD_HEADER = cython.declare(cython.int, Problem.BAD_HEADER)
NO_VIA = cython.declare(cython.int, Problem.NO_VIA)
NO_FROM = cython.declare(cython.int, Problem.NO_FROM)
NO_TO = cython.declare(cython.int, Problem.NO_TO)
NO_CALL_ID = cython.declare(cython.int, Problem.NO_CALL_ID)
NO_CSEQ = cython.declare(cython.int, Problem.NO_CSEQ)
BAD_CSEQ = cython.declare(cython.int, Problem.BAD_CSEQ)
CSEQ_METHOD = cython.declare(cython.int, Problem.CSEQ_METHOD)
BAD_CONTENT_LENGTH = cython.declare(cython.int, Problem.BAD_CONTENT_LENGTH)
BODY_SHORT = cython.declare(cython.int, Problem.BODY_SHORT)
BODY_LONG = cython.declare(cython.int, Problem.BODY_LONG)
REPEATED_HEADER = cython.declare(cython.int, Problem.REPEATED_HEADER)

# The shortest first line that Kamailio accepts as SIP.
SHORTEST = cython.declare(cython.int, 10)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def find(data: bytes, byte: cython.uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of `byte` in data[start:end], or -1. The caller ensures 0 <= start, end <= len(data)."""
    if start >= end or start < 0 or end > len(data):
        return -1
    if cython.compiled:
        text: cython.p_char = PyBytes_AS_STRING(data)  # type: ignore[name-defined]  # noqa: F821 - cimported
        hit: cython.p_char = cython.cast(cython.p_char, memchr(text + start, byte, end - start))  # type: ignore[name-defined]  # noqa: F821
        if hit == cython.NULL:
            return -1
        return hit - text  # type: ignore[no-any-return]
    return data.find(byte, start, end)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def byte_at(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.uchar:
    """The byte there; outside data[:end] NUL, which is neither blank nor token nor digit.

    `scan` has checked 0 <= end <= len(data).
    """
    if not cython.compiled:
        return data[at] if 0 <= at < end else 0
    if cython.cast(cython.ulonglong, at) >= cython.cast(cython.ulonglong, end):  # negative ones are huge
        return 0
    text: cython.p_char = PyBytes_AS_STRING(data)  # type: ignore[name-defined]  # noqa: F821 - cimported
    return cython.cast(cython.uchar, text[at])  # type: ignore[no-any-return]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def lower(c: cython.uchar) -> cython.uchar:
    return c | 0x20 if 0x41 <= c <= 0x5A else c


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_blank(c: cython.uchar) -> cython.bint:
    """Linear white space (RFC 3261 25.1), including line ends of folded lines."""
    return c <= 0x20 and (c == 0x20 or (0x2600 >> c) & 1 != 0)  # space, or tab, LF, CR


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_space(c: cython.uchar) -> cython.bint:
    """Space or tab, which fold a line, and are allowed before a colon."""
    return c == 0x20 or c == 0x09


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_digit(c: cython.uchar) -> cython.bint:
    return 0x30 <= c <= 0x39


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_token(c: cython.uchar) -> cython.bint:
    """RFC 3261 25.1 token: alphanum / - . ! % * _ + ` ' ~"""
    if 0x61 <= (c | 0x20) <= 0x7A or is_digit(c):
        return True
    return c in (0x2D, 0x2E, 0x21, 0x25, 0x2A, 0x5F, 0x2B, 0x60, 0x27, 0x7E)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def same(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, wanted: cython.p_char, length: cython.Py_ssize_t
) -> cython.bint:
    """Whether data[start:end] starts with this text of `length` bytes, in any case."""
    if start < 0 or length > end - start:
        return False
    if not cython.compiled:
        return data[start : start + length].lower() == wanted.lower()  # type: ignore[no-any-return]
    text: cython.p_char = PyBytes_AS_STRING(data) + start  # type: ignore[name-defined]  # noqa: F821
    i: cython.Py_ssize_t
    if memcmp(text, wanted, length) == 0:  # type: ignore[name-defined]  # noqa: F821 - the usual spelling, at once
        return True
    for i in range(length):  # noqa: SIM110 - a generator would be an object
        if text[i] != wanted[i] and lower(text[i]) != lower(wanted[i]):
            return False
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def skip_blank(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while is_blank(byte_at(data, start, end)):
        start += 1
    return start


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def trim_blank(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while end > start and is_blank(byte_at(data, end - 1, end)):
        end -= 1
    return end


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def token_end(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while is_token(byte_at(data, start, end)):
        start += 1
    return start


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def blank_after(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while start < end and not is_blank(byte_at(data, start, end)):
        start += 1
    return start


def scan(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> SipMessage | None:
    """The SIP message in data[start:end], or None if it is not SIP: `stranger` then says what it is.

    As in siptrace, only the first line decides what is SIP (docs/decisions/what-is-sip.md): after leading white space,
    `SIP/2.0 ` starts a response, and ` SIP/2.0` ends the first line of a request.
    """
    first: cython.Py_ssize_t
    line_end: cython.Py_ssize_t
    next_line: cython.Py_ssize_t
    if not 0 <= start <= end <= len(data):
        raise ValueError(f"{start}:{end} lies outside of {len(data)} bytes")
    first = skip_blank(data, start, end)
    if end - first < SHORTEST or not is_token(byte_at(data, first, end)):
        return None
    next_line = find(data, 0x0A, first, end)
    line_end = end if next_line < 0 else next_line
    next_line = end if next_line < 0 else next_line + 1
    line_end = trim_blank(data, first, line_end)
    if line_end - first < SHORTEST:
        return None
    message: SipMessage = new_message()
    if not read_start_line(message, data, first, line_end):
        return None
    message._headers = None
    message.data = data
    message.start = start
    message.end = end
    message.headers_start = next_line
    read_headers(message, data, next_line, end)
    return message


def unscanned(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> SipMessage:
    """A record for data[start:end] that is sent although it is not SIP: it lacks every part."""
    if not 0 <= start <= end <= len(data):
        raise ValueError(f"{start}:{end} lies outside of {len(data)} bytes")
    message: SipMessage = SipMessage.__new__(SipMessage)
    message.problems = BAD_START_LINE
    message.is_request = False
    message.status = 0
    message.method_start = message.method_end = -1
    message.uri_start = message.uri_end = -1
    message._headers = None
    message.data = data
    message.start = start
    message.end = end
    message.headers_start = end
    read_headers(message, data, end, end)
    return message


@cython.cfunc
@cython.exceptval(check=False)
def read_start_line(message: SipMessage, data: bytes, first: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """Fill in method and URI, or the status. False if data[first:end] is not a start line of SIP/2.0."""
    message.problems = 0
    message.status = 0
    message.method_start = message.method_end = -1
    message.uri_start = message.uri_end = -1
    if same(data, first, end, b"SIP/2.0", 7) and is_blank(byte_at(data, first + 7, end)):
        message.is_request = False
        message.status = read_status(data, skip_blank(data, first + 7, end), end)
        if not 100 <= message.status <= 699:
            message.problems = BAD_START_LINE
        return True
    if not same(data, end - 7, end, b"SIP/2.0", 7) or not is_blank(byte_at(data, end - 8, end)):
        return False
    i: cython.Py_ssize_t = token_end(data, first, end)
    message.is_request = True
    if not is_blank(byte_at(data, i, end)):  # a word that is not a token cannot be a method
        message.problems = BAD_START_LINE
        return not same(data, first, end, b"HEP3", 4)  # its payload may well begin with a request line
    message.method_start = first
    message.method_end = i
    message.uri_start = skip_blank(data, i, end - 7)
    message.uri_end = trim_blank(data, message.uri_start, end - 7)
    if message.uri_start == message.uri_end:
        message.problems = BAD_START_LINE
    return True


@cython.cfunc
@cython.exceptval(check=False)
def read_status(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """Exactly three digits, or 0."""
    status: cython.int = 0
    i: cython.Py_ssize_t = start
    while is_digit(byte_at(data, i, end)):
        if i - start == 3:
            return 0
        status = status * 10 + (byte_at(data, i, end) - 0x30)
        i += 1
    return status if i - start == 3 else 0


@cython.cfunc
def read_headers(message: SipMessage, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    message.cseq = message.content_length = -1
    message.cseq_method_start = message.cseq_method_end = -1
    message.call_id_start = message.call_id_end = -1
    message.from_start = message.from_end = -1
    message.to_start = message.to_end = -1
    message.via_start = message.via_end = -1
    message.body_start = message.body_end = end
    return close_headers(message, walk_headers(message, data, start, end))


@cython.cfunc
@cython.exceptval(-1)
def walk_headers(message: SipMessage, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """Record the values needed, and where the body starts. Returns the flags of the headers present."""
    seen: cython.int = 0
    at: cython.Py_ssize_t = start
    line_end: cython.Py_ssize_t
    colon: cython.Py_ssize_t
    length: cython.Py_ssize_t
    flag: cython.int
    c: cython.uchar
    while True:
        if at >= end:
            message.problems |= NO_HEADER_END
            return seen
        c = byte_at(data, at, end)
        if c == 0x0A or (c == 0x0D and byte_at(data, at + 1, end) == 0x0A):
            message.body_start = at + (1 if c == 0x0A else 2)
            return seen
        line_end = find(data, 0x0A, at, end)
        while line_end >= 0 and is_space(byte_at(data, line_end + 1, end)):
            line_end = find(data, 0x0A, line_end + 1, end)  # a folded line (RFC 3261 7.3.1)
        if line_end < 0:
            line_end = end
        if c >= 0x43 and (0x50_1248 >> (c & 0x1F)) & 1:  # C F I L T V, by the bits that upper and lower case share
            length = name_length(data, at, line_end)
            colon = at + length
            while is_space(byte_at(data, colon, line_end)):
                colon += 1
            if length and byte_at(data, colon, line_end) == 0x3A:
                start = skip_blank(data, colon + 1, line_end)
                flag = flag_of(c, length)
                seen |= read_value(message, data, start, trim_blank(data, start, line_end), flag, seen)
                at = line_end + 1
                continue
        if find(data, 0x3A, at, line_end) <= at:
            message.problems |= BAD_HEADER
        at = line_end + 1


@cython.cfunc
@cython.exceptval(check=False)
def close_headers(message: SipMessage, seen: cython.int) -> cython.bint:
    """Record missing parts, and where the body ends (RFC 3261 18.3)."""
    message.problems |= (NO_VIA | NO_FROM | NO_TO | NO_CALL_ID | NO_CSEQ) & ~seen
    size: cython.longlong = message.end - message.body_start
    if message.content_length >= 0 and not message.problems & NO_HEADER_END:
        if message.content_length > size:
            message.problems |= BODY_SHORT
        elif message.content_length < size:
            message.problems |= BODY_LONG
            message.body_end = message.body_start + message.content_length
    if message.method_start >= 0 and message.cseq_method_start >= 0:
        length: cython.Py_ssize_t = message.cseq_method_end - message.cseq_method_start
        if length != message.method_end - message.method_start or not equal(
            message.data, message.cseq_method_start, message.method_start, length
        ):
            message.problems |= CSEQ_METHOD
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def equal(data: bytes, one: cython.Py_ssize_t, other: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.bint:
    """Whether `length` bytes are equal at both offsets, which scan.py has found."""
    if not cython.compiled:
        return data[one : one + length] == data[other : other + length]
    text: cython.p_char = PyBytes_AS_STRING(data)  # type: ignore[name-defined]  # noqa: F821
    return memcmp(text + one, text + other, length) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def name_length(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The length of the name at the start of the line if it may be a needed header, otherwise 0.

    Compact forms have one letter: whether the name ends there, the colon after it will show.
    """
    c: cython.uchar = byte_at(data, at, end) | 0x20  # if it is a letter, in lower case
    if c == 0x76:  # v
        return 3 if same(data, at, end, b"Via", 3) else 1
    if c == 0x66:  # f
        return 4 if same(data, at, end, b"From", 4) else 1
    if c == 0x74:  # t
        return 2 if same(data, at, end, b"To", 2) else 1
    if c == 0x69 or c == 0x6C:  # i, l
        return 1
    c = byte_at(data, at + 1, end) | 0x20
    if c == 0x73:  # cs
        return 4 if same(data, at, end, b"CSeq", 4) else 0
    if c == 0x61:  # ca
        return 7 if same(data, at, end, b"Call-ID", 7) else 0
    return 14 if c == 0x6F and same(data, at, end, b"Content-Length", 14) else 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def flag_of(c: cython.uchar, length: cython.Py_ssize_t) -> cython.int:
    """The NO_ flag of the header whose name starts with this letter and has this length."""
    c |= 0x20
    if c == 0x76:  # v
        return NO_VIA
    if c == 0x66:  # f
        return NO_FROM
    if c == 0x74:  # t
        return NO_TO
    if c == 0x69 or length == 7:  # i
        return NO_CALL_ID
    return NO_CSEQ if length == 4 else BAD_CONTENT_LENGTH


@cython.cfunc
@cython.exceptval(-1)
def read_value(
    message: SipMessage,
    data: bytes,
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    flag: cython.int,
    seen: cython.int,
) -> cython.int:
    """Fill in data[start:end], the value of the header with this flag. Returns the flag if the value is valid.

    The first of several wins, as in Kamailio.
    """
    if flag == NO_VIA:
        if not seen & NO_VIA:
            message.via_start, message.via_end = start, end
        return flag
    if seen & flag:
        if is_other_value(message, data, start, end, flag):
            message.problems |= REPEATED_HEADER
        return 0
    if flag == NO_CALL_ID:
        if start == end:
            return 0
        message.call_id_start, message.call_id_end = start, end
    elif flag == NO_FROM:
        message.from_start, message.from_end = start, end
        if start == end or byte_at(data, start, end) == 0x3B:
            return 0
    elif flag == NO_TO:
        message.to_start, message.to_end = start, end
        if start == end or byte_at(data, start, end) == 0x3B:
            return 0
    elif flag == NO_CSEQ:
        read_cseq(message, data, start, end)
    else:
        message.content_length = read_number(data, start, end, 1 << 31)
        if message.content_length < 0:
            message.problems |= BAD_CONTENT_LENGTH
    return flag


@cython.cfunc
@cython.exceptval(-1)
def is_other_value(
    message: SipMessage, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, flag: cython.int
) -> cython.bint:
    """Whether a second header of this kind has a different value."""
    value: bytes = data[start:end]
    if flag == NO_CALL_ID:
        return value != message.call_id
    if flag == NO_FROM:
        return value != message.from_value
    if flag == NO_TO:
        return value != message.to_value
    if flag == NO_CSEQ:
        return True
    return read_number(data, start, end, 1 << 31) != message.content_length


@cython.cfunc
@cython.exceptval(check=False)
def read_number(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, limit: cython.longlong
) -> cython.longlong:
    """All of data[start:end] as a decimal number, or -2 if it is not one below the limit."""
    number: cython.longlong = 0
    c: cython.uchar
    i: cython.Py_ssize_t
    if start >= end:
        return -2
    for i in range(start, end):
        c = byte_at(data, i, end)
        if not is_digit(c):
            return -2
        number = number * 10 + (c - 0x30)
        if number >= limit:
            return -2
    return number


@cython.cfunc
@cython.exceptval(check=False)
def read_cseq(message: SipMessage, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    i: cython.Py_ssize_t = blank_after(data, start, end)
    message.cseq = read_number(data, start, i, 1 << 32)
    i = skip_blank(data, i, end)
    if i < end:
        message.cseq_method_start, message.cseq_method_end = i, end
    if message.cseq < 0 or i >= end:
        message.problems |= BAD_CSEQ
    return True


if not cython.compiled:
    # The smallest steps with the interpreter's own C functions: calls alone would double the time of a scan.
    globals().update(
        scan=plain.scanner(scan, read_headers),
        walk_headers=plain.header_walker(read_value),
        find=bytes.find,
        is_blank=frozenset(b" \t\r\n").__contains__,
        is_token=frozenset(c for c in range(128) if is_token(c)).__contains__,
        lower=bytes(range(256)).lower().__getitem__,
        token_end=patterns.token_end,
        blank_after=patterns.blank_after,
        read_status=patterns.status,
        read_number=patterns.number,
        byte_at=patterns.byte_at,
    )
