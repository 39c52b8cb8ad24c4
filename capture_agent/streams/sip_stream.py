"""SIP in one direction of a connection: ordered bytes to messages. Hot: compiled with sip_stream.pxd, or plain.

SIP        consecutive messages; `pending` holds one that has begun
SEEK       SIP whose next boundary is not known: joined in the middle, after a gap, after a refused length
"""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.boundary import find_boundary, glued, torn_method
from capture_agent.streams.framing import (
    behind_blank,
    find,
    is_common,
    is_known,
    is_torn,
    measure,
    start_line,
    trail_of,
)
from capture_agent.streams.outlet import Outlet
from capture_agent.streams.websocket import opens_http

SIP = cython.declare(cython.int, 0)
SEEK = cython.declare(cython.int, 1)
HTTP = cython.declare(cython.int, 2)

NO = cython.declare(cython.int, limits.NO)
YES = cython.declare(cython.int, limits.YES)
NOT_SIP = cython.declare(cython.int, limits.NOT_SIP)
TOO_LONG = cython.declare(cython.int, limits.TOO_LONG)
REFUSED = cython.declare(cython.int, limits.REFUSED)
MAX_LINE = cython.declare(cython.int, limits.MAX_LINE)
MAX_HEADERS = cython.declare(cython.int, limits.MAX_HEADERS)
SEEK_LIMIT = cython.declare(cython.int, limits.SEEK_LIMIT)
LF = cython.declare(cython.uchar, 0x0A)
CR = cython.declare(cython.uchar, 0x0D)
TAIL = cython.declare(cython.int, 12)  # bytes: more than a known method has
# Behind this many bytes without a line end, what may be a start line has shown a method, or is none.
TELLING = cython.declare(cython.int, limits.MAX_METHOD + 2)


@cython.cclass
class SipStream:
    """The framing of SIP. `content` adds what else a connection may carry."""

    __slots__ = (
        "addresses",
        "doubtful",
        "last_ns",
        "mode",
        "outlet",
        "passed",
        "pending",
        "proven",
        "size",
        "skip",
        "sought",
        "tail",
        "trail",
        "verified",
    )

    def __init__(self, addresses: bytes, outlet: Outlet, joined: bool) -> None:
        self.addresses = addresses  # source and destination, packed: they stand before a message in its own buffer
        self.outlet = outlet
        self.mode = SEEK if joined else SIP
        self.pending: bytearray | None = None
        self.verified = False  # pending starts with a start line
        self.doubtful = False  # pending was found by seeking
        self.trail = 0  # how pending ends, see trail_of()
        self.size = 0  # of the message that pending starts, once its headers are there
        self.skip = 0  # bytes that belong to a message which is lost already
        self.proven = False  # a message came out
        self.sought = 0  # bytes since a start line is looked for
        self.passed = 0  # bytes that went by without a start line, in all
        self.tail: bytes | None = None  # of the message before, if it ended without a line end
        self.last_ns = -(1 << 62)

    def _messages(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        size: cython.Py_ssize_t
        c: cython.uchar
        while at < end and self.mode == SIP and self.skip == 0:
            if self.pending is not None:
                at = self._go_on(data, at, end)
                continue
            c = data[at]
            if c in (CR, LF, 0):
                at += 1
                self.outlet.counts.keepalive_bytes += 1
                continue
            if not is_known(data, at):
                at = self._mend(data, at, end)
                if self.pending is not None:
                    continue
            size = measure(data, at, end)
            if size > 0 and at + size <= end:
                self._emit(data, at, at + size)
                at += size
            elif size >= 0:
                self.pending = bytearray(data[at:end])
                self.size = size
                self.verified = find(data, LF, at, end) >= 0
                self.trail = trail_of(data, at, end, 0)
                return end
            else:
                at = self._refuse(data, at, end, size)
        return at

    def _mend(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where the message with an unknown method begins: a wrong Content-Length may have cut it, or glued it."""
        cut: cython.Py_ssize_t
        last: Datagram
        tail: bytes | None = self.tail
        if tail is not None:
            cut = torn_method(tail, data, at)
            if cut:
                if self.outlet.out:  # the message before it, if it has not gone on
                    last = self.outlet.out[-1]
                    if last.time_ns == self.last_ns and last.payload.endswith(tail[-cut:]):
                        last.end -= cut
                self.tail = None
                self.verified = self.doubtful = False
                self.trail = 0
                self.pending = bytearray(tail[-cut:])
                return at
        cut = glued(data, at, end)
        self.outlet.counts.skipped_bytes += cut
        return at + cut

    def _refuse(
        self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, why: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """What starts at data[at] is no message, or one whose end cannot be told."""
        stop: cython.Py_ssize_t
        if why == NOT_SIP:
            if not self.proven:
                return self._foreign(data, at, end)
            self._start_seeking()
            if find_boundary(data, at, end) != at:
                return at
            # It looks like a beginning, and is none: without this line the search would come back here for ever.
            stop = find(data, LF, at, end)
            stop = end if stop < 0 else stop + 1
            self._pass_by(stop - at)
            return stop
        self._start_seeking()
        if why == TOO_LONG:
            self.outlet.counts.headers_refused += 1
            self.outlet.counts.skipped_bytes += MAX_HEADERS
            return at + MAX_HEADERS
        # What is SIP by its first line is evidence, whatever its Content-Length says: it goes out without a body.
        self.outlet.counts.bodies_refused += 1
        why = REFUSED - why
        self._emit(data, at, at + why)
        return at + why

    def _go_on(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The next bytes of a message that has begun. Each byte is looked at once, however it is cut."""
        pending: bytearray | None = self.pending
        stop: cython.Py_ssize_t
        assert pending is not None
        if self.size:
            stop = min(end, at + self.size - len(pending))
            pending += data[at:stop]
            if len(pending) == self.size:
                self._emit_pending(0)
            return stop
        if not self.verified:
            stop = self._verify(data, at, end)
            if stop != at or not self.verified:
                return stop
        stop = behind_blank(data, at, end, self.trail)
        if (end if stop < 0 else stop) - at > MAX_HEADERS - len(pending):
            stop = at + MAX_HEADERS - len(pending)
            self.outlet.counts.headers_refused += 1
            self.outlet.counts.skipped_bytes += MAX_HEADERS
            self._forget()
            self._start_seeking()
            return stop
        if stop < 0:
            self.trail = trail_of(data, at, end, self.trail)
            pending += data[at:end]
            return end
        pending += data[at:stop]
        self._headers_ended()
        return stop

    def _headers_ended(self) -> cython.bint:
        assert self.pending is not None
        headers: bytes = bytes(self.pending)
        size: cython.Py_ssize_t
        cut: cython.Py_ssize_t = 0 if is_known(headers, 0) else glued(headers, 0, len(headers))
        if cut:
            self.outlet.counts.skipped_bytes += cut
            headers = headers[cut:]
            self.pending = bytearray(headers)
        size = measure(headers, 0, len(headers))
        if size == len(headers):
            self._emit_pending(0)
        elif size > 0:
            self.size = size
        else:
            self.outlet.counts.bodies_refused += 1
            self._emit_pending(0)
            self._start_seeking()
        return True

    def _verify(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Whether pending with these bytes has a start line. Gives `at` if it has, else where to go on."""
        pending: bytearray | None = self.pending
        line_end: cython.Py_ssize_t = find(data, LF, at, end)
        stop: cython.Py_ssize_t = end if line_end < 0 else line_end + 1
        verdict: cython.int
        line: bytes
        assert pending is not None
        if line_end < 0 and len(pending) > TELLING and len(pending) + end - at < MAX_LINE:
            pending += data[at:end]  # a long line is looked at when it ends
            return end
        line = bytes(pending) + data[at:stop]
        verdict = start_line(line, 0, len(line))
        if verdict == YES and self.doubtful and line_end >= 0:
            if is_torn(line, 0):
                verdict = NO
            elif self._is_new_start(line, data, at, end):
                verdict = NO
                stop = at
        if verdict == YES and line_end >= 0:
            self.verified = True
            return at
        if verdict != NO:
            pending += data[at:end]
            return end
        if not self.proven and opens_http(line):
            self.mode = HTTP
            return at
        found: cython.Py_ssize_t = find_boundary(line, 1, len(line)) if stop != at else -1
        if 0 < found < len(pending):  # a start line begins within
            self.outlet.counts.skipped_bytes += found
            del pending[:found]
            return at
        if found > 0:
            stop = at + found - len(pending)
        self._drop_pending()
        if stop != at:
            self._pass_by(stop - at)
        return stop

    def _is_new_start(self, line: bytes, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """While seeking: do these bytes start a message of their own, behind the end of a body without line end?"""
        return start_line(data, at, end) == YES and is_common(data, at) and not is_common(line, 0)

    def _seek(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        found: cython.Py_ssize_t
        if not self.proven and self.sought == 0 and not is_text(data, at, end):
            return self._foreign(data, at, end)
        found = self._boundary(data, at, end)
        if found < 0 and self._open_websocket(data, at, end):
            return at
        if found >= 0 and self.mode == SEEK:
            self.mode = SIP
            self.doubtful = True
        self._pass_by((end if found < 0 else found) - at)
        return end if found < 0 else found

    def _boundary(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        return find_boundary(data, at, end)

    def _start_seeking(self) -> cython.bint:
        self.mode = SEEK
        self.sought = 0
        return True

    def _drop_pending(self) -> cython.bint:
        """It is no message: look for the next one."""
        self.mode = SEEK
        if self.pending is not None:
            self._pass_by(len(self.pending))
        return self._forget()

    def _pass_by(self, size: cython.Py_ssize_t) -> cython.bint:
        self.outlet.counts.skipped_bytes += size
        self.sought += size
        self.passed += size
        if self.sought > SEEK_LIMIT:
            self._become_foreign()
        return True

    def _forget(self) -> cython.bint:
        self.pending = None
        self.size = 0
        self.verified = False
        self.doubtful = False
        return True

    def _emit(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        self.last_ns = self.outlet.put(data, start, end, self.last_ns, 0)
        self.tail = None if data[end - 1] == LF else data[max(start, end - TAIL) : end]
        self.proven = True
        self.sought = 0
        return True

    def _emit_pending(self, missing: cython.Py_ssize_t) -> cython.bint:
        """A message that came in several segments gets a buffer of its own."""
        assert self.pending is not None
        data: bytes = b"".join((self.addresses, self.pending))
        self.last_ns = self.outlet.put(data, len(self.addresses), len(data), self.last_ns, missing)
        self.tail = None if missing or data[len(data) - 1] == LF else data[len(data) - TAIL :]
        self.proven = True
        self.sought = 0
        return self._forget()

    def _break(self) -> cython.bint:
        """The message that has begun will not become whole."""
        if self.pending is not None and self.mode == SIP:
            self.outlet.counts.broken += 1
            self.outlet.counts.skipped_bytes += len(self.pending)
        return self._forget()

    def _lose_in_message(self, size: cython.Py_ssize_t, cut: cython.bint) -> cython.bint:
        """The next bytes are not there. Within a body of known length it is known where the next message starts."""
        rest: cython.Py_ssize_t = self.size - len(self.pending) if self.pending is not None and self.size else 0
        if cut and self.verified:
            self.outlet.counts.truncated += 1
            self._emit_pending(min(size, rest) if rest else size)
        else:
            self._break()
        if 0 < size <= rest:
            self.skip = rest - size
        else:
            self._start_seeking()
        return True

    def _become_foreign(self) -> cython.bint:
        raise NotImplementedError

    def _foreign(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        raise NotImplementedError

    def _open_websocket(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        raise NotImplementedError


@cython.cfunc
def is_text(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """So far as its first bytes tell: what may be the middle of a SIP message."""
    i: cython.Py_ssize_t
    for i in range(at, min(end, at + 16)):
        if data[i] < 0x20 and data[i] != LF and data[i] != CR and data[i] != 0x09:
            return False
    return True
