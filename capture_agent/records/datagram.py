"""The payload of one packet, as offsets in a buffer. Hot: compiled with datagram.pxd, or plain Python."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address

import cython

from capture_agent.records.frames import Interface

if not cython.compiled:
    NO_VLAN = -1
    NO_FRAME = -1  # a message out of several packets has a buffer without their headers
    WHOLE_MESSAGE = 0x100  # in Datagram.flags, above those of TCP: the capture has one message, not a piece of a stream


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Datagram:
    """The payload of one transport-layer packet; behind `streams`, one whole candidate for a message."""

    __slots__ = (
        "address_at",
        "address_size",
        "data",
        "destination_port",
        "end",
        "flags",
        "frame",
        "frame_at",
        "interface",
        "missing",
        "protocol",
        "sequence",
        "source_port",
        "start",
        "time_ns",
        "transport",
        "vlan",
    )

    def __init__(
        self,
        data: bytes,
        start: int,
        end: int,
        address_at: int,
        address_size: int,
        source_port: int,
        destination_port: int,
        time_ns: int = 0,
        frame: int = 0,
        protocol: int = 17,
        transport: str = "udp",
        vlan: int = NO_VLAN,
        interface: Interface | None = None,
        missing: int = 0,
        sequence: int = 0,
        flags: int = 0,
        frame_at: int = NO_FRAME,
    ) -> None:
        self.data = data  # the buffer
        self.start = start  # the payload is data[start:end]
        self.end = end
        self.address_at = address_at  # in data: the source address, then the destination address
        self.address_size = address_size  # 4 or 16 bytes each
        self.source_port = source_port
        self.destination_port = destination_port
        self.time_ns = time_ns  # since the epoch: the packet's own time
        self.frame = frame  # its number in the source, from 1
        self.protocol = protocol  # IP protocol number: 17 UDP, 6 TCP, 132 SCTP
        self.transport = transport  # udp, tcp, tls, sctp, ws, wss
        self.vlan = vlan  # the innermost VLAN id, or NO_VLAN
        self.interface = interface
        self.sequence = sequence  # of a TCP segment: the number of its first byte, 32 bits
        self.flags = flags  # of a TCP segment; or WHOLE_MESSAGE
        self.frame_at = frame_at  # in data: its frame's first byte, all headers behind it; or NO_FRAME
        self.missing = missing  # bytes that the wire had and the capture cut off (snap length)

    def cut(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
        """data[start:end]; of bounds that lie outside nothing."""
        if not cython.compiled:
            return self.data[start:end]
        if start < 0 or end > len(self.data) or start >= end:
            return b""
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821

    def carrying(
        self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, missing: cython.Py_ssize_t = 0
    ) -> Datagram:
        """What data[start:end] is in the place of its payload: all else stays, time and ports too.

        `data` is its buffer, or one of its own that begins with the two addresses.
        """
        same: cython.bint = data is self.data
        other: Datagram = Datagram.__new__(Datagram)
        other.data = data
        other.start = start
        other.end = end
        other.address_at = self.address_at if same else 0
        other.address_size = self.address_size
        other.source_port = self.source_port
        other.destination_port = self.destination_port
        other.time_ns = self.time_ns
        other.frame = self.frame
        other.protocol = self.protocol
        other.transport = self.transport
        other.vlan = self.vlan
        other.interface = self.interface
        other.missing = missing
        other.sequence = self.sequence
        other.flags = self.flags
        other.frame_at = self.frame_at if same else NO_FRAME
        return other

    @property
    def payload(self) -> bytes:
        return self.cut(self.start, self.end)

    @property
    def source(self) -> bytes:
        """The source address, packed: 4 or 16 bytes."""
        return self._address(0)

    @property
    def destination(self) -> bytes:
        """The destination address, packed: 4 or 16 bytes."""
        return self._address(1)

    def _address(self, number: cython.int) -> bytes:
        at: cython.Py_ssize_t = self.address_at
        if not 0 <= at <= len(self.data):
            return b""  # of no packet; the sums would overflow
        return self.cut(at + number * self.address_size, at + (number + 1) * self.address_size)

    @property
    def source_text(self) -> str:
        return str(ip_address(self.source))

    @property
    def destination_text(self) -> str:
        return str(ip_address(self.destination))


# To make records here, beside their free lists, costs a third of what it costs elsewhere.


def new_datagram() -> Datagram:
    """An empty one, to be filled in."""
    return Datagram.__new__(Datagram)


if not cython.compiled:
    globals().update(new_datagram=partial(Datagram.__new__, Datagram))
