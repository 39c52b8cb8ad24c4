"""Where SIP begins after bytes that are not SIP, or that lack a line end: PROXY headers, bodies with a wrong length.

A Content-Length that is too small leaves the end of a body in front of the next method; one that is too large takes the
beginning of the next message. That message comes out complete either way, if up to MAX_METHOD bytes of it were
taken. The message before it has the body that its Content-Length says: it came out with its last byte, before anyone
could know what follows, and what comes out does not depend on how the stream is cut into segments.
"""

from __future__ import annotations

import re

from capture_agent.streams.framing import COMMON, METHODS, find_start, is_torn
from capture_agent.streams.limits import MAX_LINE, MAX_METHOD

VERSION = b"SIP/2.0"
LOOK = 8_192  # bytes of a header section in which CSeq is looked for
TOKENS = rb"[\w.!%*+`'~-]"
METHOD_AT_END = re.compile(TOKENS + rb"++\Z", re.ASCII)
CSEQ = re.compile(rb"\n(?i:cseq)[ \t]*+:[ \t]*+\d++[ \t]++(" + TOKENS + rb"++)", re.ASCII)
HEADER = re.compile(TOKENS + rb"++[ \t]*+:", re.ASCII)
HEADER_OR_CUT = re.compile(TOKENS + rb"++[ \t]*+(?::|\Z)", re.ASCII)
RESPONSE = re.compile(rb"SIP/2\.0[ \t]++\d{3}[ \t\r\n]")
REQUEST_END = re.compile(rb"SIP/2\.0[ \t]*+\r?\n")
URI = re.compile(rb"[ \t](?:sips?|tel):", re.IGNORECASE)
KNOWN = tuple(method.strip() for method in METHODS)
# How a request may begin at the end of a segment, where nothing but the method says so. What follows decides.
BEGINNINGS = frozenset(
    (method + scheme)[:size] for method in METHODS for scheme in (b"sip:", b"sips:", b"tel:") for size in range(1, 15)
)
# The beginning of a message: a method that is known, or written like one; one and a URI, and more to somewhere in the
# first headers; a response's version, and more.
BEGUN_HEADERS = rb"(?:\r?\n(?:[\w.-]+[ \t]*:.*\n)*(?:[\w.-]+(?:[ \t]*:.*)?)?)?"
BEGUN_URI = rb"(?i:s|sip?|te?|ur?|(?:sips?|tel|urn)(?::[^\s]*(?:[ \t]+[SIP/2.0]*" + BEGUN_HEADERS + rb")?)?)"
BEGUN_STATUS = rb"\d{0,2}|\d{3}(?:[ \t].*)?" + BEGUN_HEADERS
BEGUN = re.compile(
    rb"(?:(?:" + b"|".join(KNOWN) + rb"|[A-Z][A-Z_-]{2,}+)[ \t]*+|" + TOKENS + rb"++[ \t]+" + BEGUN_URI +
    rb"|S(?:I(?:P(?:/(?:2(?:\.(?:0(?:[ \t]+(?:" + BEGUN_STATUS + rb"))?)?)?)?)?)?)?)\Z",
    re.ASCII,
)  # fmt: skip


def find_boundary(data: bytes, at: int, end: int) -> int:
    """The first place in data[at:end] where a message begins, or may begin with more bytes; or -1."""
    found = find_start(data, at, end)
    stop = end if found < 0 else found + MAX_LINE
    version = data.find(VERSION, at, min(end, stop))
    while version >= 0:
        start = begun_before(data, at, version, end)
        if start >= 0 and (found < 0 or start < found):
            return start
        if 0 <= found <= version:
            return found
        version = data.find(VERSION, version + len(VERSION), end)
    return found if found >= 0 else begun_at_end(data, at, end)


def begun_before(data: bytes, at: int, version: int, end: int) -> int:
    """Where the start line with this SIP/2.0 begins, or -1; method_at() finds what is glued to its method."""
    if RESPONSE.match(data, version, end) and has_header(data, version, end):
        return version
    if not REQUEST_END.match(data, version, end) or not has_header(data, version, end):
        return -1
    line = max(at, data.rfind(b"\n", max(at, version - MAX_LINE), version) + 1)
    method = method_before(data, line, version)
    return -1 if method is None or is_torn(data, method[0]) else method[0]


def has_header(data: bytes, at: int, end: int) -> bool:
    following = data.find(b"\n", at, end) + 1
    if following in (0, end):
        return True
    pattern = HEADER if end - following > MAX_METHOD else HEADER_OR_CUT
    return pattern.match(data, following, min(end, following + MAX_METHOD)) is not None


def method_before(data: bytes, line: int, version: int) -> tuple[int, int] | None:
    """Start and end of the token before a URI without blanks and the version."""
    left, _, uri = data[line:version].rstrip(b" \t").rpartition(b" ")
    left = left.rstrip(b" \t")
    if not uri or (token := METHOD_AT_END.search(left[-2 * MAX_METHOD :])) is None:
        return None
    return line + len(left) - len(token[0]), line + len(left)


def real_method(data: bytes, start: int, stop: int, end: int) -> int:
    """Where the method begins whose token ends at stop: it is what CSeq says, or else a known one."""
    token = data[start:stop]
    named = cseq_method(data, stop, end)
    if named is not None:
        return stop - len(named) if token.endswith(named) else start
    return min([stop - len(known) for known in KNOWN if token.endswith(known)], default=start)


def cseq_method(data: bytes, at: int, end: int) -> bytes | None:
    look = min(end, at + LOOK)
    blanks = [blank + 1 for blank in (data.find(b"\n\n", at, look), data.find(b"\n\r\n", at, look)) if blank >= 0]
    cseq = CSEQ.search(data, at, min(blanks, default=look))
    return cseq[1] if cseq is not None else None


def method_at(tail: bytes | None, data: bytes, at: int, end: int) -> int:
    """Where the request whose line and headers are at data[at] really begins: the number of bytes after data[at].

    Below zero: the number of its first bytes at the end of the tail, the bytes before data[at].
    """
    stop = data.find(b"\n", at, end)
    version = data.rfind(VERSION, at, stop) if stop >= 0 else -1
    method = method_before(data, at, version) if version > at else None
    if method is None:
        return 0
    start, stop = method
    taken = taken_of_method(tail, data[at:stop], cseq_method(data, stop, end)) if tail else 0
    return -taken if taken else real_method(data, start, stop, end) - at


def taken_of_method(tail: bytes, rest: bytes, named: bytes | None) -> int:
    """How many bytes of a method that ends with `rest` the tail ends with. `named`: what CSeq says."""
    taken = [0]
    for method in KNOWN if named is None else (named,):
        size = len(method) - len(rest)
        if size > 0 and method.endswith(rest) and tail.endswith(method[:size]):
            taken.append(size)
    return max(taken)


def begun_at_end(data: bytes, at: int, end: int) -> int:
    """A start line whose end has not come: a known method before a URI, or the beginning of one on the last line."""
    line = max(at, data.rfind(b"\n", at, end) + 1, end - MAX_LINE)
    uri = URI.search(data, line, end)
    if uri is not None:
        method = METHOD_AT_END.search(data[max(line, uri.start() - MAX_METHOD) : uri.start()])
        known = [len(each) for each in KNOWN if method is not None and method[0].endswith(each)]
        return uri.start() - max(known) if known else -1
    last = data[line:end]
    if last and line > at and any(each.startswith(last) for each in COMMON):
        return line
    return next((end - size for size in range(min(14, len(last)), 0, -1) if last[-size:] in BEGINNINGS), -1)


def begun_in(tail: bytes) -> int:
    """How many bytes at the end of this tail may begin a message that goes on where it ends; 0: none."""
    begun = BEGUN.search(tail)
    return len(tail) - begun.start() if begun is not None else 0
