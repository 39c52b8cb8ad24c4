"""What one direction of a connection carries: turns its bytes, in order, into messages. Hot: compiled, or plain Python.

SIP        consecutive messages; `pending` holds one that has begun
SEEK       SIP whose next boundary is not known: joined in the middle, after a gap, after a refused length
HTTP       the header section of a request or response that may open a WebSocket (RFC 6455 4.1)
WEBSOCKET  frames
FOREIGN    something else: only the first bytes of each segment are read
"""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.boundary import find_boundary
from capture_agent.streams.framing import behind_blank, is_torn, start_line, trail_of
from capture_agent.streams.outlet import Outlet
from capture_agent.streams.sip_stream import SipStream
from capture_agent.streams.websocket import LINE_ENDS, WebSocket, frame_before, opens_http, recognise, upgrade

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.streams.sip_stream import FOREIGN, HTTP, SEEK, SIP, WEBSOCKET

YES = cython.declare(cython.int, limits.YES)
FOREIGN_SEARCH = cython.declare(cython.int, limits.FOREIGN_SEARCH)
MAX_UPGRADE = cython.declare(cython.int, limits.MAX_UPGRADE)


@cython.final
@cython.cclass
class Content(SipStream):
    """Takes the bytes of a stream in order with `deliver`, and what is missing of them with `lose`."""

    __slots__ = ("strange", "websocket")

    def __init__(self, addresses: bytes, outlet: Outlet, joined: bool) -> None:
        SipStream.__init__(self, addresses, outlet, joined)
        self.websocket: WebSocket | None = None
        self.strange = 0  # bytes that were no SIP, and were searched for it

    def buffered(self) -> int:
        """Bytes that are kept."""
        size: cython.Py_ssize_t = len(self.pending) if self.pending is not None else 0
        if self.websocket is not None:
            size += self.websocket.buffered
        return size

    @property
    def is_foreign(self) -> bool:
        return self.mode == FOREIGN

    @property
    def is_seeking(self) -> bool:
        return self.mode == SEEK and not self.proven

    def deliver(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """The next bytes of the stream: data[start:end]. Messages go to the outlet."""
        at: cython.Py_ssize_t = start
        passing: cython.Py_ssize_t
        while at < end:
            if self.skip:
                passing = min(self.skip, end - at)
                self.skip -= passing
                self.outlet.counts.skipped_bytes += passing
                at += passing
            elif self.mode == SIP:
                at = self._messages(data, at, end)
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
        """The next `size` bytes were not captured: a gap, or the snap length has cut them."""
        self.outlet.counts.lost_bytes += size
        if self.skip:
            if size > self.skip:
                self._start_seeking()
            self.skip -= min(self.skip, size)
        elif self.mode == SIP:
            self._lose_in_message(size, cut)
        elif self.mode == HTTP or (self.websocket is not None and not self.websocket.lose(size)):
            self._become_foreign()
        return True

    def finish(self) -> cython.bint:
        """The stream has ended, or is given up."""
        if self.mode == SIP:
            self._break()
            self._start_seeking()
        elif self.mode != SEEK:
            self._become_foreign()
        self.skip = 0
        return True

    def _become_foreign(self) -> cython.bint:
        if self.mode != FOREIGN:
            self.outlet.counts.foreign += 1
        self.mode = FOREIGN
        self.websocket = None
        return self._forget()

    def _open_websocket(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Frames of a WebSocket whose upgrade was not captured."""
        if data[at] & 0x34 or not recognise(data, at, end):  # RSV2, RSV3, opcodes that are none
            return False
        self.mode = WEBSOCKET
        self.websocket = WebSocket()
        return True

    def _foreign(self, data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Only what starts here opens the stream again."""
        if start_line(data, at, end) == YES and not is_torn(data, at):
            self.mode = SIP
            self.sought = 0
            return at
        if data[at] in (0x47, 0x48) and opens_http(data[at : min(end, at + 16)]):  # G, H
            self.mode = HTTP
            self.pending = bytearray()
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
                self.doubtful = True
                self.sought = 0
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
        pending: bytearray | None = self.pending
        assert pending is not None
        stop: cython.Py_ssize_t = behind_blank(data, at, end, self.trail)
        if stop >= 0:
            self.websocket = upgrade(bytes(pending) + data[at:stop])
            if self.websocket is not None:
                self.outlet.counts.not_sip_bytes += len(pending) + stop - at
                self.pending = None
                self.mode = WEBSOCKET
                return stop
        elif len(pending) + end - at <= MAX_UPGRADE:
            self.trail = trail_of(data, at, end, self.trail)
            pending += data[at:end]
            return end
        self.outlet.counts.not_sip_bytes += len(pending) + end - at
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
            own: bytes = self.addresses + payload
            start = len(self.addresses)
            transport = "wss" if carrier.transport == "tls" else "ws"
            self.last_ns = self.outlet.put(own, start, len(own), self.last_ns, 0, transport)
            self.proven = True
        if websocket.failed:
            self._become_foreign()
        return end
