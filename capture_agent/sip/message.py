"""A SIP message as offsets in the buffer it was read into. Hot: compiled with message.pxd, or plain Python."""

from __future__ import annotations

from functools import partial

import cython

from capture_agent.sip.headers import canonical, split_headers
from capture_agent.sip.parameters import parameter

ABSENT = -1
NOT_A_NUMBER = -2


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class SipMessage:
    """Made by scan.py. Parts are bytes, or None if the message lacks them; they are sliced on request.

    data[start:end]  the message, as received
    status           three digits of a response; 0 in a request, or if the status line is broken
    cseq             its number; ABSENT, or NOT_A_NUMBER if it is not a number below 2**32
    content_length   as sent; ABSENT, or NOT_A_NUMBER
    problems         a problems.Problem
    """

    __slots__ = (
        "_headers",
        "body_end",
        "body_start",
        "call_id_end",
        "call_id_start",
        "content_length",
        "cseq",
        "cseq_method_end",
        "cseq_method_start",
        "data",
        "end",
        "from_end",
        "from_start",
        "headers_start",
        "is_request",
        "method_end",
        "method_start",
        "problems",
        "start",
        "status",
        "to_end",
        "to_start",
        "uri_end",
        "uri_start",
        "via_end",
        "via_start",
    )

    data: bytes
    start: int
    end: int
    body_start: int
    body_end: int
    headers_start: int
    is_request: bool
    status: int
    cseq: int
    content_length: int
    problems: int
    method_start: int
    method_end: int
    uri_start: int
    uri_end: int
    cseq_method_start: int
    cseq_method_end: int
    call_id_start: int
    call_id_end: int
    from_start: int
    from_end: int
    to_start: int
    to_end: int
    via_start: int
    via_end: int
    _headers: list[tuple[str, bytes]] | None

    def _part(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes | None:
        if start < 0:
            return None
        if not cython.compiled or not start < end <= len(self.data):
            return self.data[start:end]
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821 - cimported

    @property
    def raw(self) -> bytes:
        return self.data[self.start : self.end]

    @property
    def method(self) -> bytes | None:
        """The method of a request; None in a response."""
        return self._part(self.method_start, self.method_end)

    @property
    def uri(self) -> bytes | None:
        return self._part(self.uri_start, self.uri_end)

    @property
    def cseq_method(self) -> bytes | None:
        return self._part(self.cseq_method_start, self.cseq_method_end)

    @property
    def call_id(self) -> bytes | None:
        return self._part(self.call_id_start, self.call_id_end)

    @property
    def from_value(self) -> bytes | None:
        return self._part(self.from_start, self.from_end)

    @property
    def to_value(self) -> bytes | None:
        return self._part(self.to_start, self.to_end)

    @property
    def via_value(self) -> bytes | None:
        """The topmost Via line; it may hold several values."""
        return self._part(self.via_start, self.via_end)

    @property
    def from_tag(self) -> bytes | None:
        return None if self.from_start < 0 else parameter(self.data[self.from_start : self.from_end], b"tag")

    @property
    def to_tag(self) -> bytes | None:
        return None if self.to_start < 0 else parameter(self.data[self.to_start : self.to_end], b"tag")

    @property
    def via_branch(self) -> bytes | None:
        """The branch of the topmost Via."""
        return None if self.via_start < 0 else parameter(self.data[self.via_start : self.via_end], b"branch", True)

    @property
    def bounded(self) -> bytes:
        """The message as bounded by RFC 3261 18.3: without bytes beyond Content-Length. `raw` is the evidence."""
        return self.data[self.start : self.body_end]

    @property
    def body(self) -> bytes:
        """The body by RFC 3261 18.3: cut at Content-Length, bounded by the end of the message."""
        return self.data[self.body_start : self.body_end]

    @property
    def start_line(self) -> bytes:
        return self.data[self.start : self.headers_start].strip()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Every header in order: canonical lower-case name, unfolded value. Parsed at the first call."""
        if self._headers is None:
            self._headers = split_headers(self.data[self.headers_start : self.body_start])
        return self._headers

    def header(self, name: str) -> bytes | None:
        """The first value of a header by its name, long or compact, in any case."""
        wanted = canonical(name)
        return next((value for header, value in self.headers if header == wanted), None)


def new_message() -> SipMessage:
    """An empty one for scan.py to fill in: creating it here, next to its free list, costs a third of elsewhere."""
    return SipMessage.__new__(SipMessage)


if not cython.compiled:
    globals().update(new_message=partial(SipMessage.__new__, SipMessage))
