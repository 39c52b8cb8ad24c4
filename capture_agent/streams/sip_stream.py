"""Consecutive SIP messages in the bytes of one direction. Hot: compiled with sip_stream.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.streams import limits
from capture_agent.streams.boundary import begun_in, find_boundary, has_header, method_at
from capture_agent.streams.framing import (
    after_blank,
    find,
    is_known,
    is_torn,
    measure,
    start_line,
    trail_of,
)
from capture_agent.streams.outlet import Emitter
from capture_agent.streams.websocket import opens_http

if not cython.compiled:
    # What a stream carries: see content.py.
    SIP = 0
    SEEK = 1
    HTTP = 2
    WEBSOCKET = 3
    FOREIGN = 4
    UNREAD = 5

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
TAIL = cython.declare(cython.int, limits.MAX_METHOD)  # bytes of a body in which a message may begin
# After this many bytes without a line end, a start line has shown its method.
TELLING = cython.declare(cython.int, limits.MAX_METHOD + 2)


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class SipStream:
    """Reads messages until something else comes: `found` says what, and `pending` has a message that has begun.

    found   SIP: it goes on; SEEK: the next boundary is not known; HTTP: pending may open a WebSocket;
            UNREAD: not SIP by its first bytes; FOREIGN: a start line was sought for too long
    """

    __slots__ = (
        "doubtful",
        "emitter",
        "found",
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

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.found = SIP
        self.pending: bytearray | None = None
        self.verified = False  # pending starts with a start line
        self.doubtful = False  # the next message was found by seeking
        self.trail = 0  # how pending ends, see trail_of()
        self.size = 0  # of the message that pending starts, once its headers are there
        self.skip = 0  # bytes that belong to a message which is lost already
        self.proven = False  # a message came out
        self.sought = 0  # bytes in which a start line was sought
        self.passed = 0  # bytes that went by without a start line, in all
        self.tail: bytes | None = None  # the last bytes since the message before, if it ended without a line end

    def read(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The next bytes: data[at:end]. Returns where it stopped: at `end`, or where `found` begins."""
        size: cython.Py_ssize_t
        cut: cython.Py_ssize_t
        c: cython.uchar
        known: cython.bint
        if self.skip:
            size = min(self.skip, end - at)
            self.skip -= size
            self.emitter.outlet.counts.skipped_bytes += size
            at += size
        while at < end and self.found == SIP:
            if self.pending is not None:
                at = self._go_on(data, at, end)
                continue
            c = data[at]
            if c in (CR, LF, 0):
                if self.tail is not None:
                    self.tail = (self.tail + data[at : at + 1])[-TAIL:]
                at += 1
                self.emitter.outlet.counts.keepalive_bytes += 1
                continue
            known = self.tail is None and is_known(data, at)
            size = measure(data, at, end)
            if not known and (size > 0 or size <= REFUSED):
                cut = method_at(self.tail, data, at, end)
                if cut:
                    at = self._begin_at(at, cut)
                    continue
            if size > 0 and at + size <= end:
                self._emit(data, at, at + size)
                at += size
            elif size >= 0:
                self.pending = bytearray(data[at:end])
                self.size = size
                size = find(data, LF, at, end) + 1
                self.verified = size > 0 and (not self.doubtful or find(data, LF, size, end) >= 0)
                self.trail = trail_of(data, at, end, 0)
                return end
            else:
                at = self._refuse(data, at, end, size)
        return at

    def _begin_at(self, at: cython.Py_ssize_t, cut: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """A message begins `cut` bytes after data[at]; below zero: before it, where a body seemed to end."""
        if cut > 0:
            self.emitter.outlet.counts.skipped_bytes += cut
            return at + cut
        self._take_back(-cut)
        return at

    def _take_back(self, size: cython.Py_ssize_t) -> cython.bint:
        """The last `size` bytes of the tail begin the pending message. The message before keeps them, too."""
        tail: bytes | None = self.tail
        begun: bytes
        assert tail is not None
        begun = tail[-size:]
        self.tail = None
        self.verified = self.doubtful = False
        if self.pending is None:
            self.pending = bytearray()
            self.trail = trail_of(begun, 0, len(begun), 0)
        self.pending[:0] = begun
        return True

    def _refuse(
        self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, why: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """What starts at data[at] is not a message, or one whose end is not known."""
        stop: cython.Py_ssize_t
        if why == NOT_SIP:
            if not self.proven:
                self.found = UNREAD
                return at
            if find(data, LF, at, min(end, at + MAX_LINE)) < 0 and end - at < MAX_LINE:
                self.pending = bytearray()
                self.doubtful = True
                self.trail = 0
                return self._keep(data, at, end)
            if self._begun_before():
                return at
            self._start_seeking()
            if find_boundary(data, at, self.last_line(data, at, end)) != at:
                return at
            # It only looks like a beginning: unless this line is passed by, the search comes back here for ever.
            stop = find(data, LF, at, end)
            stop = end if stop < 0 else stop + 1
            self.pass_by(stop - at)
            return stop
        self._start_seeking()
        if why == TOO_LONG:
            self.emitter.outlet.counts.headers_refused += 1
            self.emitter.outlet.counts.skipped_bytes += MAX_HEADERS
            return at + MAX_HEADERS
        # A message with a start line is evidence, whatever its Content-Length says: it goes out without a body.
        self.emitter.outlet.counts.bodies_refused += 1
        why = REFUSED - why
        self._emit(data, at, at + why)
        return at + why

    def _go_on(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The next bytes of a message that has begun. Each byte is read once, however the message is cut."""
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
        stop = after_blank(data, at, end, self.trail)
        if (end if stop < 0 else stop) - at > MAX_HEADERS - len(pending):
            stop = at + MAX_HEADERS - len(pending)
            self.emitter.outlet.counts.headers_refused += 1
            self.emitter.outlet.counts.skipped_bytes += MAX_HEADERS
            self.forget()
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
        cut: cython.Py_ssize_t = 0
        if self.tail is not None or not is_known(headers, 0):
            cut = method_at(self.tail, headers, 0, len(headers))
        if cut:
            del self.pending[: self._begin_at(0, cut)]
            headers = bytes(self.pending)
        size = measure(headers, 0, len(headers))
        if size == len(headers):
            self._emit_pending(0)
        elif size > 0:
            self.size = size
        else:
            self.emitter.outlet.counts.bodies_refused += 1
            self._emit_pending(0)
            self._start_seeking()
        return True

    def _verify(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Whether pending and these bytes have a start line. Returns `at` if so, else where to go on."""
        pending: bytearray | None = self.pending
        line_end: cython.Py_ssize_t = find(data, LF, at, end)
        stop: cython.Py_ssize_t = end if line_end < 0 else line_end + 1
        verdict: cython.int
        line: bytes
        assert pending is not None
        if line_end < 0 and len(pending) > TELLING and len(pending) + end - at < MAX_LINE:
            return self._keep(data, at, end)  # a long line is checked when it ends
        line = bytes(pending) + data[at:stop]
        verdict = start_line(line, 0, len(line))
        if verdict == YES and self.doubtful and line_end >= 0:
            if find(line, LF, 0, len(line)) == len(line) - 1:
                return self._keep(data, at, stop)  # the next line says whether this one is a start line
            if is_torn(line, 0) or not has_header(line, 0, len(line)):
                verdict = NO
        if verdict == YES and line_end >= 0:
            self.verified = True
            return at
        if verdict != NO or (self.proven and line_end < 0 and len(line) < MAX_LINE):
            return self._keep(data, at, end)
        if self._begun_before():
            return at
        if not self.proven and opens_http(line):
            self.found = HTTP
            return at
        found: cython.Py_ssize_t = find_boundary(line, 0, len(line))
        if 0 < found < len(pending):  # a start line begins within
            self.emitter.outlet.counts.skipped_bytes += found
            del pending[:found]
            self.doubtful = True
            return at
        if found > 0:
            stop = at + found - len(pending)
        self._drop_pending()
        self.pass_by(stop - at)
        return stop

    def _keep(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Keep these bytes: whether a message begins is known when the line ends."""
        assert self.pending is not None
        self.trail = trail_of(data, at, end, self.trail)
        self.pending += data[at:end]
        return end

    def _begun_before(self) -> cython.bint:
        """Whether this is the rest of a start line that began in a body with a wrong Content-Length."""
        size: cython.Py_ssize_t = begun_in(self.tail) if self.tail is not None else 0
        if size:
            self._take_back(size)
        self.tail = None
        return size > 0

    def last_line(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where the incomplete last line begins: what it is must not depend on where a segment ends."""
        last: cython.Py_ssize_t = data.rfind(b"\n", at, end) + 1
        if not self.proven or end - max(last, at) >= MAX_LINE:
            return end
        return max(last, at)

    def finish(self) -> cython.bint:
        """Nothing more comes of this stream."""
        self._abandon()
        self._start_seeking()
        self.skip = 0
        return True

    def _start_seeking(self) -> cython.bint:
        self.found = SEEK
        self.sought = 0
        self.tail = None
        return True

    def _drop_pending(self) -> cython.bint:
        """It is not a message: look for the next one."""
        self.found = SEEK
        if self.pending is not None:
            self.pass_by(len(self.pending))
        return self.forget()

    def pass_by(self, size: cython.Py_ssize_t) -> cython.bint:
        """No message begins in these bytes."""
        self.emitter.outlet.counts.skipped_bytes += size
        self.sought += size
        self.passed += size
        if self.sought > SEEK_LIMIT:
            self.found = FOREIGN
        return True

    def forget(self) -> cython.bint:
        self.pending = None
        self.size = 0
        self.verified = False
        self.doubtful = False
        return True

    def _emit(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        self.emitter.emit(data, start, end)
        self.doubtful = False
        self.tail = None if data[end - 1] == LF else data[max(start, end - TAIL) : end]
        self.proven = True
        self.sought = 0
        return True

    def _emit_pending(self, missing: cython.Py_ssize_t) -> cython.bint:
        """A message that came in several segments gets a buffer of its own."""
        pending: bytearray | None = self.pending
        assert pending is not None
        self.emitter.emit_own(pending, missing)
        self.tail = None
        if not missing and pending[len(pending) - 1] != LF:
            self.tail = bytes(pending[max(0, len(pending) - TAIL) :])
        self.proven = True
        self.sought = 0
        return self.forget()

    def _abandon(self) -> cython.bint:
        """The message that has begun will not be completed."""
        begun: bytes
        if self.pending is not None:
            begun = bytes(self.pending)
            if start_line(begun, 0, len(begun)) != NO:
                self.emitter.outlet.counts.broken += 1
            self.emitter.outlet.counts.skipped_bytes += len(begun)
        self.tail = None
        return self.forget()

    def lose(self, size: cython.Py_ssize_t, cut: cython.bint) -> cython.bint:
        """The next bytes are missing. Within a body of known length it is known where the next message starts."""
        rest: cython.Py_ssize_t
        if self.skip:
            if size > self.skip:
                self._start_seeking()
            self.skip -= min(self.skip, size)
            return True
        rest = self.size - len(self.pending) if self.pending is not None and self.size else 0
        if cut and self.verified:
            self.emitter.outlet.counts.truncated += 1
            self._emit_pending(min(size, rest) if rest else size)
        else:
            self._abandon()
        if 0 < size <= rest:
            self.skip = rest - size
        else:
            self._start_seeking()
        return True
