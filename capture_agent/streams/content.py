"""What one direction of a connection carries: turns its bytes, in order, into messages. Hot: compiled, or plain Python.

SIP        consecutive messages (sip_stream.py)
SEEK       SIP whose next boundary is not known: joined in the middle, after a gap, after a refused length
HTTP       the header section of a request or response that may open a WebSocket (RFC 6455 4.1)
WEBSOCKET  frames (websocket.py)
FOREIGN    something else: only the first bytes of each segment are read
"""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.boundary import find_boundary
from capture_agent.streams.framing import after_blank, is_torn, start_line, trail_of
from capture_agent.streams.layer import Layer
from capture_agent.streams.outlet import Emitter
from capture_agent.streams.sip_stream import SipStream
from capture_agent.streams.websocket import (
    LINE_ENDS,
    Agreement,
    WebSocket,
    frame_before,
    opens_http,
    recognise,
    upgrade,
)

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.streams.sip_stream import FOREIGN, HTTP, SEEK, SIP, UNREAD, WEBSOCKET

YES = cython.declare(cython.int, limits.YES)
FOREIGN_SEARCH = cython.declare(cython.int, limits.FOREIGN_SEARCH)
MAX_UPGRADE = cython.declare(cython.int, limits.MAX_UPGRADE)


@cython.final
@cython.cclass
class Content(Layer):
    """The top layer: finds out what the bytes are, has them read as that, and emits the messages in them."""

    __slots__ = ("head", "mode", "sip", "strange", "trail", "websocket")

    def __init__(self, emitter: Emitter, joined: bool) -> None:
        Layer.__init__(self, emitter)
        self.mode = SEEK if joined else SIP
        self.sip = SipStream(emitter)
        self.websocket: WebSocket | None = None
        self.head: bytearray | None = None  # what came of an HTTP header section
        self.trail = 0  # how it ends, see trail_of()
        self.strange = 0  # bytes that were not SIP, and were searched for it

    def buffered(self) -> int:
        size: cython.Py_ssize_t = 0
        if self.sip.pending is not None:
            size = len(self.sip.pending)
        if self.head is not None:
            size += len(self.head)
        if self.websocket is not None:
            size += self.websocket.buffered
        return size

    def is_foreign(self) -> cython.bint:
        return self.mode == FOREIGN

    def needs_order(self) -> cython.bint:
        return self.mode != FOREIGN or self.strange < FOREIGN_SEARCH

    def is_seeking(self) -> cython.bint:
        return self.mode == SEEK and not self.sip.proven

    def passed(self) -> int:
        return self.sip.passed

    def learned(self) -> object:
        return None if self.websocket is None else self.websocket.agreement()

    def learn(self, news: object) -> cython.bint:
        if self.websocket is not None and isinstance(news, Agreement):
            self.websocket.agree(news)
        return True

    def deliver(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """The next bytes of the stream: data[start:end]. Messages go to the outlet."""
        at: cython.Py_ssize_t = start
        while at < end:
            if self.mode == SIP:
                at = self.sip.read(data, at, end)
                if self.sip.found != SIP:
                    at = self._leave_sip(data, at, end)
            elif self.mode == SEEK:
                at = self._seek(data, at, end)
            elif self.mode == FOREIGN:
                at = self._foreign(data, at, end)
            elif self.mode == HTTP:
                at = self._http(data, at, end)
            else:
                at = self._frames(data, at, end)
        return True

    def lose(self, size: cython.Py_ssize_t, cut: cython.bint) -> cython.bint:
        if self.mode == SIP:
            self.sip.lose(size, cut)
            if self.sip.found != SIP:
                self._leave_sip(b"", 0, 0)
        elif self.mode == HTTP or (self.websocket is not None and not self.websocket.lose(size)):
            self._become_foreign()
        return True

    def finish(self) -> cython.bint:
        if self.mode == SIP:
            self.sip.finish()
            self._leave_sip(b"", 0, 0)
        elif self.mode != SEEK:
            self._become_foreign()
        return True

    def _leave_sip(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Something other than SIP messages begins at data[at]. Returns where to go on."""
        sip = self.sip
        found: cython.int = sip.found
        sip.found = SIP
        if found == UNREAD:
            return self._foreign(data, at, end)
        if found == FOREIGN:
            self._become_foreign()
            return at
        if found == HTTP:
            self.head = sip.pending
            self.trail = sip.trail
            sip.forget()
        self.mode = found
        return at

    def _become_foreign(self) -> cython.bint:
        if self.mode != FOREIGN:
            self.outlet.counts.foreign += 1
        self.mode = FOREIGN
        self.websocket = None
        self.head = None
        return self.sip.forget()

    def _seek(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        sip = self.sip
        found: cython.Py_ssize_t
        last: cython.Py_ssize_t
        if not sip.proven and sip.sought == 0 and not is_text(data, at, end):
            return self._foreign(data, at, end)
        last = sip.last_line(data, at, end)
        found = self._boundary(data, at, last)
        if found < 0 and self._open_websocket(data, at, end):
            return at
        if found < 0 and last < end:
            found = last
        if found >= 0 and self.mode == SEEK:
            self.mode = SIP
            sip.doubtful = True
        if found < 0:
            found = end
        sip.pass_by(found - at)
        if sip.found == FOREIGN:
            self._leave_sip(data, found, end)
        return found

    def _open_websocket(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Frames of a WebSocket whose upgrade was not captured."""
        if data[at] & 0x34 or not recognise(data, at, end):  # RSV2, RSV3, opcodes that do not exist
            return False
        self.mode = WEBSOCKET
        self.websocket = WebSocket()
        return True

    def _foreign(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Only what starts here opens the stream again."""
        if start_line(data, at, end) == YES and not is_torn(data, at):
            self.mode = SIP
            self.sip.sought = 0
            return at
        if data[at] in (0x47, 0x48) and opens_http(data[at : min(end, at + 16)]):  # G, H
            self.mode = HTTP
            self.head = bytearray()
            self.trail = 0
            return at
        if self._open_websocket(data, at, end):
            return at
        found: cython.Py_ssize_t = -1
        if self.strange < FOREIGN_SEARCH:  # a load balancer's PROXY header, or whatever else precedes SIP
            self.strange += end - at
            found = self._boundary(data, at, end)
        if found > at:
            if self.mode != WEBSOCKET:
                self.mode = SIP
                self.sip.doubtful = True
                self.sip.sought = 0
        else:
            self._become_foreign()
            found = end
        self.outlet.counts.not_sip_bytes += found - at
        return found

    def _boundary(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where SIP begins; in a WebSocket, where its frame begins."""
        found: cython.Py_ssize_t = find_boundary(data, at, end)
        frame: cython.Py_ssize_t = frame_before(data, at, found) if found > at else -1
        if frame < 0:
            return found
        self.mode = WEBSOCKET
        self.websocket = WebSocket()
        return frame

    def _http(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        head: bytearray | None = self.head
        assert head is not None
        stop: cython.Py_ssize_t = after_blank(data, at, end, self.trail)
        if stop >= 0:
            self.websocket = upgrade(bytes(head) + data[at:stop])
            if self.websocket is not None:
                self.outlet.counts.not_sip_bytes += len(head) + stop - at
                self.head = None
                self.mode = WEBSOCKET
                return stop
        elif len(head) + end - at <= MAX_UPGRADE:
            self.trail = trail_of(data, at, end, self.trail)
            head += data[at:end]
            return end
        self.outlet.counts.not_sip_bytes += len(head) + end - at
        self._become_foreign()
        return end

    def _frames(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        websocket: WebSocket | None = self.websocket
        carrier: Datagram | None = self.outlet.carrier
        assert websocket is not None
        assert carrier is not None
        payload: bytes
        for message in websocket.feed(data[at:end], self.outlet.counts):
            payload = message.lstrip(LINE_ENDS)  # keep-alives (RFC 5626 3.5.1)
            if start_line(payload, 0, len(payload)) != YES:
                self.outlet.counts.websocket_other += 1
                continue
            self.outlet.counts.websocket_messages += 1
            self.emitter.emit_own(payload, 0, "wss" if carrier.transport == "tls" else "ws")
            self.sip.proven = True
        if websocket.failed:
            self._become_foreign()
        return end


@cython.cfunc
def is_text(data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """Whether the first bytes may be the middle of a SIP message."""
    i: cython.Py_ssize_t
    for i in range(at, min(end, at + 16)):
        if data[i] < 0x20 and data[i] != 0x0A and data[i] != 0x0D and data[i] != 0x09:
            return False
    return True
