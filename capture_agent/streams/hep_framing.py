"""HEP3 on a connection that was captured: packets back to back, each with its length in the header."""

from __future__ import annotations

import re

from capture_agent.streams.layer import Between, Layer
from capture_agent.streams.outlet import Emitter

MAGICS = (b"HEP3", b"EEP1")
START_LINE = re.compile(rb"[A-Z]{1,32} [^\r\n]{1,1024} SIP/2\.0|SIP/2\.0 ")
HEADER = 6
CHUNK_HEADER = 6
# Not decided yet, HEP, HEP after a gap, and anything else, which the upper layer gets.
START, PACKETS, LOST, OTHER = range(4)


class HepFraming(Between):
    """Emits whole HEP packets; a connection whose first bytes hold none is the upper layer's.

    After a gap, or where the capture begins within a packet, it goes on at the next header whose first chunk fits.
    """

    def __init__(self, emitter: Emitter, upper: Layer) -> None:
        super().__init__(emitter, upper)
        self._mode = START
        self._pending = bytearray()  # less than one packet

    def deliver(self, data: bytes, start: int, end: int) -> bool:
        if self._mode == OTHER:
            return self.upper.deliver(data, start, end)
        alone = not self._pending
        self._pending += memoryview(data)[start:end]
        if self._mode == START:
            first = bytes(self._pending[:4])
            if len(first) < 4 and any(magic.startswith(first) for magic in MAGICS):
                return True
            if first not in MAGICS and not begins_within_hep(self._pending):
                self._mode = OTHER
                pending = bytes(self._pending)
                self._pending.clear()
                return self.upper.deliver(data, start, end) if alone else self.hand_on(pending)
            self._mode = PACKETS if first in MAGICS else LOST
        self._emit_whole()
        return True

    def _emit_whole(self) -> None:
        pending, at = self._pending, 0
        while len(pending) - at >= HEADER:
            if self._mode == LOST:
                found = next_header(pending, at)
                self.outlet.counts.not_sip_bytes += found - at
                at = found
                if len(pending) - at < HEADER + CHUNK_HEADER:
                    break
                self._mode = PACKETS
            length = pending[at + 4] << 8 | pending[at + 5]
            if pending[at : at + 4] not in MAGICS or length < HEADER:
                self._mode = LOST
                at += 1
                self.outlet.counts.not_sip_bytes += 1
                continue
            if len(pending) - at < length:
                break
            self.emitter.emit_own(bytes(pending[at : at + length]))
            at += length
        del pending[:at]

    def lose(self, size: int, cut: bool) -> bool:
        if self._mode == OTHER or (self._mode == START and not self._pending):
            return self.upper.lose(size, cut)
        self._drop()
        self._mode = LOST
        return True

    def finish(self) -> bool:
        self._drop()
        return self.upper.finish()

    def _drop(self) -> None:
        self.outlet.counts.not_sip_bytes += len(self._pending)
        self._pending.clear()

    def buffered(self) -> int:
        return len(self._pending) + self.upper.buffered()

    def is_foreign(self) -> bool:
        return self._mode == OTHER and self.upper.is_foreign()

    def needs_order(self) -> bool:
        return self._mode in (PACKETS, LOST) or self.upper.needs_order()

    def is_seeking(self) -> bool:
        return self._mode in (START, OTHER) and self.upper.is_seeking()

    def passed(self) -> int:
        return self.upper.passed()


def begins_within_hep(data: bytearray) -> bool:
    """Whether these first bytes of a connection are the rest of a packet, with the next one's header after it."""
    return START_LINE.match(data) is None and len(data) - next_header(data, 0) >= HEADER + CHUNK_HEADER


def next_header(data: bytearray, at: int) -> int:
    """Where a header may begin whose first chunk fits its packet; the last bytes wait for more."""
    while True:
        found = min((place for place in (data.find(magic, at) for magic in MAGICS) if place >= 0), default=-1)
        if found < 0:
            return max(at, len(data) - HEADER + 1)
        if len(data) - found < HEADER + CHUNK_HEADER:
            return found
        length = data[found + 4] << 8 | data[found + 5]
        first = data[found + 10] << 8 | data[found + 11]
        if CHUNK_HEADER <= first <= length - HEADER:
            return found
        at = found + 1
