"""Connections that may have taken over another one's ports, and that other one: it is not yet known which is real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capture_agent.records.datagram import NO_FRAME, Datagram
from capture_agent.streams.limits import PARKED_COST, PARKED_SEGMENTS, PIECE_COST, RIVAL_COST

if TYPE_CHECKING:
    from capture_agent.streams.tcp import Stream


class Rival:
    """Known by a SYN, or by a segment far from where the stream is. Two segments in a row confirm it."""

    __slots__ = ("first", "next", "segments", "since_ns", "size", "synchronised")

    def __init__(self, first: int, synchronised: bool) -> None:
        self.first = self.next = first  # sequence numbers
        self.synchronised = synchronised
        self.segments: list[Datagram] = []
        self.since_ns = 0
        self.size = RIVAL_COST

    @property
    def is_confirmed(self) -> bool:
        syn_alone = self.synchronised and not self.segments[0].flags & 2
        return len(self.segments) + syn_alone >= 2

    def add(self, segment: Datagram, addresses: bytes, now_ns: int) -> None:
        """A copy: the segment's buffer is a whole batch of frames."""
        payload = segment.payload
        own = Datagram(
            segment.data if not addresses else addresses + payload,
            segment.start if not addresses else len(addresses),
            segment.end if not addresses else len(addresses) + len(payload),
            0, segment.address_size, segment.source_port, segment.destination_port,
            segment.time_ns, segment.frame, segment.protocol, segment.transport, segment.vlan, segment.interface,
            missing=segment.missing, sequence=segment.sequence if addresses else self.next, flags=segment.flags,
            frame_at=NO_FRAME,
        )  # fmt: skip
        if not self.segments:
            self.since_ns = now_ns
        self.segments.append(own)
        self.size += len(own.data) + PIECE_COST
        self.next = (self.next + len(payload) + segment.missing) & 0xFFFFFFFF


class Parked:
    """The connection that a rival has replaced, as it was. It goes on where its next byte comes."""

    __slots__ = ("closed", "content", "end_at", "first", "held", "joining", "next", "patience", "position")

    def __init__(self, stream: Stream) -> None:
        self.closed = stream.closed
        self.content = stream.content
        self.end_at = stream.end_at
        self.first = stream.first
        self.held = stream.held
        self.joining = stream.joining
        self.next = stream.next
        self.position = stream.position
        self.patience = PARKED_SEGMENTS  # of the other one, before this one is over

    @property
    def buffered(self) -> int:
        size = PARKED_COST + self.held.cost() + self.content.buffered()
        return size + (self.joining.size if self.joining is not None else 0)


def exchange(stream: Stream, parked: Parked) -> None:
    """The parked connection is the stream, and the other way round."""
    other = Parked(stream)
    for name in ("closed", "content", "end_at", "first", "held", "joining", "next", "position"):
        setattr(stream, name, getattr(parked, name))
        setattr(parked, name, getattr(other, name))
    stream.content.last_ns = max(stream.content.last_ns, parked.content.last_ns)
    parked.patience = PARKED_SEGMENTS
