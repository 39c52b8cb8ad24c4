"""Emits messages. Hot: compiled with outlet.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams.counts import Counts

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.datagram import NO_FRAME

# Sinks carry microseconds: HEP does, and so does the table.
STEP_NS = cython.declare(cython.longlong, 1000)
# What a clock is put back by, at most, while a connection's messages keep their order.
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

    def put(
        self,
        data: bytes,
        start: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        last_ns: cython.longlong,
        missing: cython.Py_ssize_t,
        transport: str | None = None,
    ) -> int:
        """Put out the message data[start:end]. Gives its time.

        It has the time of the segment that completed it, or where that is not at least a microsecond behind the
        message before it on its stream, just as much: time grows strictly, also in sinks. Only one that was far in
        the future moves no other.
        In front of any other buffer than the carrier's stand the addresses.
        """
        carrier: Datagram | None = self.carrier
        assert carrier is not None
        time_ns: cython.longlong = carrier.time_ns
        # A time has 63 bits (packet/decode.py): the difference of two and a constant might not fit into 64.
        if time_ns - STEP_NS <= last_ns < time_ns + (BACK_NS - STEP_NS):
            time_ns = last_ns + STEP_NS
        message: Datagram
        if (
            data is carrier.data
            and start == carrier.start
            and end == carrier.end
            and time_ns == carrier.time_ns
            and carrier.missing == missing
            and transport is None
        ):
            message = carrier
        else:
            message = Datagram.__new__(Datagram)
            message.data = data
            message.start = start
            message.end = end
            message.address_at = carrier.address_at if data is carrier.data else 0
            message.address_size = carrier.address_size
            message.source_port = carrier.source_port
            message.destination_port = carrier.destination_port
            message.time_ns = time_ns
            message.frame = carrier.frame
            message.protocol = carrier.protocol
            message.transport = carrier.transport if transport is None else transport
            message.vlan = carrier.vlan
            message.interface = carrier.interface
            message.missing = missing
            message.sequence = carrier.sequence
            message.flags = carrier.flags
            message.frame_at = carrier.frame_at if data is carrier.data else NO_FRAME
        self.out.append(message)
        self.counts.messages += 1
        return time_ns
