"""Requests, responses and retransmissions by method. Hot: compiled with sip_counters.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from array import array
from collections.abc import Iterator

import cython

from capture_agent.counting.said_counts import grown
from capture_agent.counting.sides import Sides
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.message import SipMessage
from capture_agent.sip.methods import NAMES, kind_of

OTHER = "other"
METHODS = tuple(name.decode() or OTHER for name in NAMES)
TRANSPORTS = ("udp", "tcp", "tls", "sctp", "ws", "wss", OTHER)
NUMBERS = {name: number for number, name in enumerate(TRANSPORTS)}

# A place is side << 7 | transport << 4 | method. Those that have responses have a row, with a cell for each status.
PLACES = cython.declare(cython.int, 128)
OTHER_TRANSPORT = cython.declare(cython.int, len(TRANSPORTS) - 1)
STATUSES = cython.declare(cython.int, 600)  # from 100; the cell after them is that of all others
ROW = cython.declare(cython.int, 601)
MOST_ROWS = cython.declare(cython.int, 2048)
MOST_SERIES = cython.declare(cython.int, 16384)

# What names a transport is one of these objects, nearly always.
UDP = cython.declare(str, "udp")
TCP = cython.declare(str, "tcp")

Counts = Iterator[tuple[tuple[str, ...], int]]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def kind_in(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """methods.kind_of, copied here: a call to it costs as much."""
    if not cython.compiled:
        return kind_of(data, start, end)
    return kind_within(data, start, end, KIND_TABLE, NAME_TABLE)  # type: ignore[name-defined, no-any-return]  # noqa: F821 - cimported


@cython.final
@cython.cclass
class SipCounters:
    """Counts each message by method, transport and side; a response by its status, too.

    Bounded whatever is sent: MOST_ROWS rows, and MOST_SERIES cells that are not 0. Without a row, a response counts
    under method, transport and peer `other`; without a cell, under status `other`.
    """

    __slots__ = ("_again", "_count", "_of_rows", "_requests", "_responses", "_rows", "series", "sides")

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.series = 0  # cells that are not 0
        self._count = 0  # sides that there is room for
        self._requests = array("Q")
        self._again = array("Q")
        self._rows = array("i")
        self._responses = array("Q")
        self._of_rows: list[int] = []  # the place of each row
        self._grow()
        # Of those that find no row, in and out: the first two rows.
        self._new_row(OTHER_TRANSPORT << 4)
        self._new_row(PLACES | OTHER_TRANSPORT << 4)

    def count_all(self, messages: list[CapturedMessage]) -> None:
        message: CapturedMessage
        for message in messages:
            self.count(message)

    def count(self, message: CapturedMessage) -> cython.int:
        """Its side << 4 | method."""
        sip: SipMessage = message.sip
        datagram: Datagram = message.datagram
        side: cython.int = self.sides.of(message)
        transport: cython.int = 0
        kind: cython.int
        place: cython.Py_ssize_t
        if side >= self._count:
            self._grow()
        if datagram.transport is not UDP:
            transport = 1 if datagram.transport is TCP else NUMBERS.get(datagram.transport, OTHER_TRANSPORT)
        # Compiled, places are not checked: _grow has made room for each side, and _new_row for each row.
        if sip.is_request:
            kind = kind_in(sip.data, sip.method_start, sip.method_end)
            place = side << 7 | transport << 4 | kind
            if cython.compiled:
                self._request_counts[place] += 1
            else:
                self._requests[place] += 1
        else:
            kind = kind_in(sip.data, sip.cseq_method_start, sip.cseq_method_end)
            self._count_response(side << 7 | transport << 4 | kind, sip.status - 100)
        if message.retransmission:
            self._again[side << 4 | kind] += 1
        return side << 4 | kind

    def _count_response(self, place: cython.Py_ssize_t, status: cython.int) -> cython.bint:
        row: cython.int = self._row_numbers[place] if cython.compiled else self._rows[place]
        if row < 0:
            row = self._new_row(place)
        if not 0 <= status < STATUSES:
            status = STATUSES
        place = row * ROW + status
        if cython.compiled and self._response_counts[place]:
            self._response_counts[place] += 1
            return True
        if not self._responses[place]:
            return self._first(place, row)
        self._responses[place] += 1
        return True

    def _grow(self) -> cython.bint:
        """As many sides as there are now."""
        self._count = self.sides.count
        self._requests = grown("Q", self._requests, self._count * PLACES, 0)
        self._again = grown("Q", self._again, self._count << 4, 0)
        self._rows = grown("i", self._rows, self._count * PLACES, -1)
        if cython.compiled:
            self._request_counts = self._requests.data.as_ulonglongs
            self._row_numbers = self._rows.data.as_ints
        return True

    def _new_row(self, place: cython.Py_ssize_t) -> cython.int:
        row: cython.int = len(self._of_rows)
        if row >= MOST_ROWS:
            row = (place >> 7) & 1
        else:
            self._of_rows.append(place)
            if len(self._responses) < (row + 1) * ROW:
                self._responses = grown("Q", self._responses, min(2 * (row + 1), MOST_ROWS) * ROW, 0)
                if cython.compiled:
                    self._response_counts = self._responses.data.as_ulonglongs
        self._rows[place] = row
        return row

    def _first(self, cell: cython.Py_ssize_t, row: cython.int) -> cython.bint:
        if self.series >= MOST_SERIES:
            cell = row * ROW + STATUSES
        self.series += not self._responses[cell]
        self._responses[cell] += 1
        return True

    def requests(self) -> Counts:
        """By method, transport, direction and peer."""
        for place, count in enumerate(self._requests):
            if count:
                yield self._labels(place), count

    def responses(self) -> Counts:
        """By method, status, transport, direction and peer."""
        for row, place in enumerate(self._of_rows):
            method, *rest = self._labels(place)
            for status in range(ROW):
                if count := self._responses[row * ROW + status]:
                    yield (method, str(100 + status) if status < STATUSES else OTHER, *rest), count

    def retransmissions(self) -> Counts:
        """By method and peer."""
        for peer, name in enumerate(self.sides.peers.names[: self._count // 2]):
            for kind, method in enumerate(METHODS):
                if count := self._again[peer << 5 | kind] + self._again[peer << 5 | 16 | kind]:
                    yield (method, name), count

    def _labels(self, place: int) -> tuple[str, ...]:
        return METHODS[place & 15], TRANSPORTS[place >> 4 & 7], *self.sides.labels(place >> 7)
