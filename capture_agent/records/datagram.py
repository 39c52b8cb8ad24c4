"""The payload of one packet, as offsets in a buffer. Hot: compiled with datagram.pxd, or plain Python."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address

import cython

from capture_agent.records.frames import CapturedFrame, Interface
from capture_agent.records.origin import Envelope

if not cython.compiled:
    NO_VLAN = -1
    NO_FRAME = -1  # a message from several packets has a buffer without their headers
    NO_FRAME_END = 0  # the captured frame is not in the buffer, or has other messages, too
    FROM_HEP = 0x300  # in Datagram.flags: a HEP packet, or what was in one; includes WHOLE_MESSAGE
    WHOLE_MESSAGE = 0x100  # in Datagram.flags, above TCP's: the capture has a whole message, not a piece of a stream


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Datagram:
    """The payload of one transport-layer packet; after `streams`, a complete candidate for a message."""

    __slots__ = (
        "address_at",
        "address_size",
        "data",
        "destination_port",
        "end",
        "envelope",
        "flags",
        "frame",
        "frame_at",
        "frame_cut",
        "frame_end",
        "frames",
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
        frame_end: int = NO_FRAME_END,
        frame_cut: int = 0,
        frames: tuple[CapturedFrame, ...] | None = None,
        envelope: Envelope | None = None,
    ) -> None:
        self.data = data  # the buffer
        self.start = start  # the payload is data[start:end]
        self.end = end
        self.address_at = address_at  # in data: the source address, then the destination address
        self.address_size = address_size  # 4 or 16 bytes each
        self.source_port = source_port
        self.destination_port = destination_port
        self.time_ns = time_ns  # since the epoch: packet time
        self.frame = frame  # the frame's number in its source, from 1
        self.protocol = protocol  # IP protocol number: 17 UDP, 6 TCP, 132 SCTP
        self.transport = transport  # udp, tcp, tls, sctp, ws, wss
        self.vlan = vlan  # the innermost VLAN id, or NO_VLAN
        self.interface = interface
        self.sequence = sequence  # of a TCP segment: the number of its first byte, 32 bits
        self.flags = flags  # of a TCP segment; or WHOLE_MESSAGE, FROM_HEP
        self.frame_at = frame_at  # in data: the first byte of its frame, with all headers; or NO_FRAME
        self.envelope = envelope  # None: it was captured here
        self.missing = missing  # bytes that the capture cut off (snap length)
        self.frame_end = frame_end  # in data: the end of its frame, with padding; or NO_FRAME_END
        self.frame_cut = frame_cut  # bytes that the capture cut off that frame
        self.frames = frames  # copies of the frames that carried it, if they were kept: see `captured_frames`

    def cut(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
        """data[start:end]; b"" if out of bounds."""
        if not cython.compiled:
            return self.data[start:end]
        if start < 0 or end > len(self.data) or start >= end:
            return b""
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821

    def with_payload(self, payload: bytes, missing: int = 0) -> Datagram:
        """A copy with this payload, in a buffer of its own; all else stays, as in `carrying`."""
        addresses = self.source + self.destination
        data = addresses + payload
        return self.carrying(data, len(addresses), len(data), missing)

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
        other.frame_end = self.frame_end if same else NO_FRAME_END
        other.frame_cut = self.frame_cut
        other.frames = self.frames if same else None
        other.envelope = self.envelope
        return other

    def captured_frames(self) -> tuple[CapturedFrame, ...]:
        """The frames that carried this and no other message, as they were captured; none if they were not kept."""
        if self.protocol == 6 and not self.flags & WHOLE_MESSAGE:
            return ()  # in a stream the frames of one message mean nothing without those before
        if self.frames is not None:
            return self.frames
        if self.frame_at < 0 or self.frame_end <= self.frame_at or self.interface is None or self.interface.built:
            return ()
        frame = self.cut(self.frame_at, self.frame_end)
        return (CapturedFrame(frame, self.time_ns, self.frame_cut, self.interface),)

    def keep_frames(self, frames: tuple[CapturedFrame, ...]) -> None:
        """Copies of the frames that carried it; none: they carried other messages, too."""
        self.frames = frames

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
            return b""  # not a packet's; the sums would overflow
        return self.cut(at + number * self.address_size, at + (number + 1) * self.address_size)

    @property
    def source_text(self) -> str:
        return str(ip_address(self.source))

    @property
    def destination_text(self) -> str:
        return str(ip_address(self.destination))


# Creating records here, next to their free lists, costs a third of what it costs elsewhere.


def new_datagram() -> Datagram:
    """An empty one, to be filled in."""
    return Datagram.__new__(Datagram)


if not cython.compiled:
    globals().update(new_datagram=partial(Datagram.__new__, Datagram))
