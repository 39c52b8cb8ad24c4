"""One direction of an SCTP association: which verification tag and which TSNs its receiver accepts (RFC 9260 8.5, 6.2).

A receiver knows the tag that it chose, and ignores all others. A passive agent learns it from the handshake, or from
most of the chunks. Chunks that do not agree belong to a rival, which is accepted once enough of its chunks have
arrived and none of the previous one.
"""

from __future__ import annotations

from capture_agent.records.datagram import Datagram

# How far from the highest TSN a chunk may be, either way: as many as fit a receive window (a.rwnd) of 1 MiB with
# 256 bytes each.
WINDOW = 4096
SEEN_MASK = (1 << WINDOW) - 1

CONVINCING = 3  # chunks of a rival, at most
FEWEST = 2
MAX_RIVALS = 4
CHUNK_COST = 1024  # what CPython needs for a held chunk in addition to its bytes

HeldChunk = Datagram  # the chunk is the payload


class Association:
    """The TSNs that were seen, as bits, counted down from the highest. Its `tag` is of the packets to the receiver."""

    __slots__ = ("chunks", "handshake", "highest", "seen", "tag")

    def __init__(self, tag: bytes, handshake: bytes = b"", first_tsn: int | None = None) -> None:
        self.tag = tag
        self.handshake = handshake  # empty where none was captured
        self.chunks = 0
        self.highest = 0 if first_tsn is None else first_tsn - 1 & 0xFFFFFFFF
        self.seen = 0 if first_tsn is None else 1  # bit n: highest - n

    def distance(self, tsn: int) -> int:
        """How far ahead of the highest; RFC 9260 1.6: TSNs wrap."""
        return ((tsn - self.highest + 0x80000000) & 0xFFFFFFFF) - 0x80000000 if self.seen else 1

    def accepts(self, tag: bytes, tsn: int) -> bool:
        return tag == self.tag and -WINDOW < self.distance(tsn) < WINDOW

    def note(self, tsn: int) -> bool:
        """False if it was seen before."""
        self.chunks += 1
        ahead = self.distance(tsn)
        if ahead > 0:
            self.seen = (self.seen << ahead & SEEN_MASK) | 1
            self.highest = tsn
            return True
        bit = 1 << -ahead
        if self.seen & bit:
            return False
        self.seen |= bit
        return True


class RivalTag:
    """Chunks with another tag, or with TSNs outside of the window, that agree with each other."""

    __slots__ = ("association", "held", "size")

    def __init__(self, association: Association) -> None:
        self.association = association
        self.held: list[HeldChunk] = []
        self.size = 0

    def hold(self, packet: Datagram, at: int, end: int) -> None:
        """A copy: the packet's buffer holds a batch of frames."""
        copy = packet.with_payload(packet.data[at:end], packet.missing)
        self.held.append(copy)
        self.size += CHUNK_COST + len(copy.data)


class SctpDirection:
    """What is known of one direction. `proposed`: by a handshake whose cookie has not been seen yet."""

    __slots__ = ("association", "last_ns", "proposed", "rivals", "size")

    def __init__(self, association: Association, last_ns: int) -> None:
        self.association = association
        self.proposed: Association | None = None
        self.rivals: list[RivalTag] = []
        self.size = 0  # of what the rivals hold
        self.last_ns = last_ns

    def rival(self, tag: bytes, tsn: int) -> tuple[RivalTag, int]:
        """The rival that this chunk belongs to, and how many chunks were evicted for it."""
        for rival in self.rivals:
            if rival.association.accepts(tag, tsn):
                return rival, 0
        gone = self.drop(self.rivals[0]) if len(self.rivals) == MAX_RIVALS else 0
        self.rivals.append(RivalTag(Association(tag)))
        return self.rivals[-1], gone

    def drop(self, rival: RivalTag) -> int:
        self.rivals.remove(rival)
        self.size -= rival.size
        return len(rival.held)

    def is_convincing(self, rival: RivalTag) -> bool:
        """Whether the ports are this rival's now. After a handshake only what another one has proposed is."""
        current = self.association
        if rival.association.tag != current.tag and current.handshake:
            proposed = self.proposed is not None and self.proposed.tag == rival.association.tag
            return proposed and len(rival.held) >= CONVINCING
        return len(rival.held) >= max(FEWEST, min(CONVINCING, current.chunks + 1))

    def best(self) -> RivalTag | None:
        """The rival to believe if nothing more comes: it has as many chunks as the association it contradicts."""
        for rival in reversed(self.rivals):
            foreign = rival.association.tag != self.association.tag and self.association.handshake
            if not foreign and len(rival.held) >= self.association.chunks:
                return rival
        return None
