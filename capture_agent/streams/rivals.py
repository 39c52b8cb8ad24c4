"""Connections that may have taken over another one's ports, and that other one: it is not yet known which is real."""

from __future__ import annotations

from capture_agent.records.datagram import Datagram
from capture_agent.streams.limits import (
    MAX_RIVALS,
    PARKED_COST,
    PARKED_SEGMENTS,
    PATIENCE_NS,
    PIECE_COST,
    RIVAL_COST,
    SegmentReject,
)
from capture_agent.streams.outlet import Emitter
from capture_agent.streams.reassembly import Reassembly


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

    def add(self, segment: Datagram, now_ns: int) -> None:
        """A segment with a buffer of its own."""
        if not self.segments:
            self.since_ns = now_ns
        self.segments.append(segment)
        self.size += len(segment.data) + PIECE_COST
        self.next = (self.next + segment.end - segment.start + segment.missing) & 0xFFFFFFFF


class Parked:
    """The connection that a rival has replaced, as it was. It goes on where its next byte comes."""

    __slots__ = ("order", "patience")

    def __init__(self, order: Reassembly) -> None:
        self.order = order
        self.patience = PARKED_SEGMENTS  # of the other one, before this one is over

    @property
    def buffered(self) -> int:
        return PARKED_COST + self.order.buffered()


class Contest:
    """Who else may have the ports of a stream: some rivals, and the connection that one of them has replaced."""

    __slots__ = ("emitter", "parked", "rivals")

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.rivals: list[Rival] = []
        self.parked: Parked | None = None

    @property
    def is_over(self) -> bool:
        return not self.rivals and self.parked is None

    def buffered(self) -> int:
        size = sum([rival.size for rival in self.rivals])
        return size if self.parked is None else size + self.parked.buffered

    def waits(self) -> bool:
        """Whether time alone may decide."""
        return any(rival.segments for rival in self.rivals)

    def enter(self, first: int, synchronised: bool) -> Rival | None:
        """A new rival, or None: it has entered before."""
        if any(rival.synchronised == synchronised and rival.first == first for rival in self.rivals):
            return None
        if len(self.rivals) == MAX_RIVALS:
            self._refuse(self.rivals.pop(0))
        self.rivals.append(Rival(first, synchronised))
        return self.rivals[-1]

    def awaiting(self, sequence: int) -> Rival | None:
        """The rival that goes on with this sequence number."""
        return next((rival for rival in self.rivals if rival.next == sequence), None)

    def awaited_longest(self, now_ns: int) -> Rival | None:
        """The latest rival that nothing has contradicted for so long that it is believed."""
        old = [rival for rival in self.rivals if rival.segments and now_ns - rival.since_ns >= PATIENCE_NS]
        return old[-1] if old else None

    def follow(self, rival: Rival, segment: Datagram, now_ns: int) -> None:
        """The rival keeps a copy: the segment's buffer holds a batch of frames."""
        addresses = self.emitter.addresses
        data = addresses + segment.payload
        rival.add(segment.carrying(data, len(addresses), len(data), segment.missing), now_ns)
        self.emitter.outlet.counts.waiting += 1

    def dismiss(self, winner: Rival | None = None) -> None:
        """The rivals are not real, except for this one."""
        for rival in self.rivals:
            if rival is not winner:
                self._refuse(rival)
        self.rivals = []

    def confirm(self, order: Reassembly) -> None:
        """The connection that has the ports goes on: its rivals are not real."""
        self.dismiss()
        if self.parked is not None:
            self.parked.patience -= 1
            if self.parked.patience == 0:
                self.release(order)

    def exchange(self, order: Reassembly) -> Reassembly:
        """The parked connection has the ports again, and the one that had them is parked."""
        assert self.parked is not None
        awake = self.parked.order
        awake.go_on_from(order)
        self.parked = Parked(order)
        return awake

    def release(self, order: Reassembly) -> None:
        """The parked connection is over."""
        if self.parked is None:
            return
        outlet = self.emitter.outlet
        carrier = outlet.carrier
        self.parked.order.go_on_from(order)
        self.parked.order.flush()
        self.parked = None
        outlet.carrier = carrier

    def _refuse(self, rival: Rival) -> None:
        counts = self.emitter.outlet.counts
        counts.waiting -= len(rival.segments)
        counts.rejected[SegmentReject.OUTSIDE] += len(rival.segments)
