"""Emits messages. Hot: compiled with outlet.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams.counts import Counts

# Sinks carry microseconds: HEP does, and so does the table.
STEP_NS = cython.declare(cython.longlong, 1000)
# How far a clock can be put back, at most, while the messages of a connection keep their order.
BACK_NS = cython.declare(cython.longlong, 10_000_000_000)


@cython.final
@cython.cclass
class Outlet:
    """Shared by all streams: where messages go, and the segment that completes those which come now."""

    __slots__ = ("carrier", "counts", "out")

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.carrier: Datagram | None = None
        self.out: list[Datagram] = []


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Emitter:
    """Emits the messages of one direction: with its addresses, and each later than the one before."""

    __slots__ = ("addresses", "last_ns", "outlet")

    def __init__(self, addresses: bytes, outlet: Outlet) -> None:
        self.addresses = addresses  # source and destination, packed: in front of a message in its own buffer
        self.outlet = outlet
        self.last_ns = -(1 << 62)  # the time of the last message

    def emit(
        self,
        data: bytes,
        start: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        missing: cython.Py_ssize_t = 0,
        transport: str | None = None,
    ) -> cython.bint:
        """The message data[start:end]. Any other buffer than the carrier's begins with the addresses.

        The message has the time of the segment that completed it. If that is less than a microsecond after the
        previous message of its direction, it is exactly one microsecond later than that one: time grows strictly, also
        in sinks. A message that was far in the future moves no other.
        """
        carrier: Datagram | None = self.outlet.carrier
        assert carrier is not None
        time_ns: cython.longlong = carrier.time_ns
        # A time has 63 bits (packet/decode.py): the difference of two and a constant might not fit into 64.
        if time_ns - STEP_NS <= self.last_ns < time_ns + (BACK_NS - STEP_NS):
            time_ns = self.last_ns + STEP_NS
        self.last_ns = time_ns
        message: Datagram = carrier
        if (
            data is not carrier.data
            or start != carrier.start
            or end != carrier.end
            or time_ns != carrier.time_ns
            or carrier.missing != missing
            or transport is not None
        ):
            message = carrier.carrying(data, start, end, missing)
            message.time_ns = time_ns
            if transport is not None:
                message.transport = transport
        self.outlet.out.append(message)
        self.outlet.counts.messages += 1
        return True

    def emit_own(
        self, payload: bytes | bytearray, missing: cython.Py_ssize_t = 0, transport: str | None = None
    ) -> cython.bint:
        """A message that lies in no segment's buffer gets one of its own."""
        data: bytes = b"".join((self.addresses, payload))
        return self.emit(data, len(self.addresses), len(data), missing, transport)
