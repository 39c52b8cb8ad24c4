"""Where SIP begins after bytes that are not SIP or have no line end: PROXY headers, bodies with a wrong length."""

from __future__ import annotations

import re

from capture_agent.streams.framing import COMMON, METHODS, find_start, is_torn, start_line
from capture_agent.streams.limits import MAX_LINE, MAX_METHOD, YES

VERSION = b"SIP/2.0"
LOOK = 8_192  # bytes of a header section in which CSeq is looked for
TOKENS = rb"[\w.!%*+`'~-]"
METHOD_AT_END = re.compile(TOKENS + rb"++\Z", re.ASCII)
CSEQ = re.compile(rb"\n(?i:cseq)[ \t]*+:[ \t]*+\d++[ \t]++(" + TOKENS + rb"++)", re.ASCII)
HEADER = re.compile(TOKENS + rb"++[ \t]*+:", re.ASCII)
RESPONSE = re.compile(rb"SIP/2\.0[ \t]++\d{3}[ \t\r\n]")
REQUEST_END = re.compile(rb"SIP/2\.0[ \t]*+\r?\n")
URI = re.compile(rb"[ \t](?:sips?|tel):", re.IGNORECASE)
KNOWN = tuple(method.strip() for method in METHODS)


def find_boundary(data: bytes, at: int, end: int) -> int:
    """The first place in data[at:end] where a message begins, or may begin with more bytes; or -1."""
    found = find_start(data, at, end)
    stop = end if found < 0 else found + MAX_LINE
    version = data.find(VERSION, at, min(end, stop))
    while version >= 0 and (found < 0 or version > at):
        start = begun_before(data, at, version, end)
        if start >= 0 and (found < 0 or start < found or line_of(data, found, start)):
            return start
        if 0 <= found <= version:
            return found
        version = data.find(VERSION, version + len(VERSION), end)
    return found if found >= 0 else begun_at_end(data, at, end)


def line_of(data: bytes, start: int, at: int) -> bool:
    """Whether `at` is in the line that starts there."""
    return data.find(b"\n", start, at) < 0


def begun_before(data: bytes, at: int, version: int, end: int) -> int:
    """Where the start line begins that has this SIP/2.0, or -1."""
    if RESPONSE.match(data, version, end) and has_header(data, version, end):
        return version
    if not REQUEST_END.match(data, version, end) or not has_header(data, version, end):
        return -1
    line = max(at, data.rfind(b"\n", max(at, version - MAX_LINE), version) + 1)
    method = method_before(data, line, version)
    start = real_method(data, *method, end) if method is not None else -1
    return -1 if start >= 0 and is_torn(data, start) else start


def has_header(data: bytes, at: int, end: int) -> bool:
    following = data.find(b"\n", at, end) + 1
    return following in (0, end) or HEADER.match(data, following, min(end, following + MAX_METHOD)) is not None


def method_before(data: bytes, line: int, version: int) -> tuple[int, int] | None:
    """Start and end of what stands before a URI without blanks and the version."""
    left, _, uri = data[line:version].rstrip(b" \t").rpartition(b" ")
    left = left.rstrip(b" \t")
    if not uri or (token := METHOD_AT_END.search(left[-2 * MAX_METHOD :])) is None:
        return None
    return line + len(left) - len(token[0]), line + len(left)


def real_method(data: bytes, start: int, stop: int, end: int) -> int:
    """Where the method begins whose token ends at stop: it is what CSeq says, or else a known one."""
    token = data[start:stop]
    look = min(end, stop + LOOK)
    blanks = [blank + 1 for blank in (data.find(b"\n\n", stop, look), data.find(b"\n\r\n", stop, look)) if blank >= 0]
    cseq = CSEQ.search(data, stop, min(blanks, default=look))
    if cseq is not None:
        return stop - len(cseq[1]) if token.endswith(cseq[1]) else start
    return max([stop - len(known) for known in KNOWN if token.endswith(known)], default=start)


def glued(data: bytes, at: int, end: int) -> int:
    """How many bytes of the request line at data[at] are none of it, but the tail of a body."""
    if start_line(data, at, end) != YES:
        return 0
    stop = data.find(b"\n", at, end)
    version = data.rfind(VERSION, at, stop) if stop >= 0 else -1
    if version <= at:
        return 0
    method = method_before(data, at, version)
    return real_method(data, *method, end) - at if method is not None else 0


def begun_at_end(data: bytes, at: int, end: int) -> int:
    """A start line whose end has not come: a known method before a URI, or the beginning of one on the last line."""
    line = max(at, data.rfind(b"\n", at, end) + 1, end - MAX_LINE)
    uri = URI.search(data, line, end)
    if uri is not None:
        method = METHOD_AT_END.search(data[max(line, uri.start() - MAX_METHOD) : uri.start()])
        known = [len(each) for each in KNOWN if method is not None and method[0].endswith(each)]
        return uri.start() - max(known) if known else -1
    last = data[line:end]
    return line if last and line > at and any(each.startswith(last) for each in COMMON) else -1


def torn_method(tail: bytes, data: bytes, at: int) -> int:
    """How many bytes at the end of this tail belong to the method that goes on at data[at]; 0: none."""
    for size in range(min(len(tail), MAX_METHOD), 0, -1):
        line = tail[-size:] + data[at : at + MAX_METHOD]
        if line.startswith(METHODS) and line.index(b" ") >= size:
            return size
    return 0
