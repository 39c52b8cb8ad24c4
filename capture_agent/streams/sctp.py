"""SIP messages from SCTP chunks (RFC 9260; RFC 8260 for I-DATA). RFC 4168: a user message is one SIP message.

A sender gives each DATA chunk a number, the TSN. A message too long for a packet takes several chunks: the first has
the B bit, the last the E bit. Their TSNs follow one another (DATA), or I-DATA numbers them apart (FSN), so that
messages on other streams may come in between. Whether a message is delivered in order is the receiver's affair: each
goes out with the packet that completes it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from enum import StrEnum

from capture_agent.records import NO_FRAME, Datagram
from capture_agent.streams.sctp_fragments import FIRST, LAST, FragmentTable

DATA, INIT_ACK, I_DATA = 0, 2, 64

# How far behind the highest TSN a chunk may be: as many as fit a receive window (a.rwnd) of 1 MiB with 256 bytes each.
WINDOW = 4096
SEEN_MASK = (1 << WINDOW) - 1

# RFC 9260 16: a heartbeat every 30 s keeps a path alive, and after 10 without an answer an association ends.
IDLE_NS = 300 * 10**9


class ChunkRejection(StrEnum):
    """Why a chunk gives nothing."""

    MALFORMED = "malformed"  # shorter than its kind, or longer than its packet
    CUT = "cut"  # the snap length ends within it
    EMPTY = "empty"  # RFC 9260 3.3.1: no user data is a protocol violation
    CONFLICT = "conflict"  # another TSN has brought this part of the message


class _Association:
    """One direction of one: the TSNs that were seen, as bits, counted down from the highest."""

    __slots__ = ("handshake", "highest", "last_ns", "seen")

    def __init__(self, time_ns: int, handshake: bytes = b"") -> None:
        self.handshake = handshake
        self.last_ns = time_ns
        self.highest = 0
        self.seen = 0  # bit n: highest - n

    def distance(self, tsn: int) -> int:
        """How far ahead of the highest; RFC 9260 1.6: TSNs wrap."""
        return ((tsn - self.highest + 0x80000000) & 0xFFFFFFFF) - 0x80000000 if self.seen else 1

    def note(self, tsn: int, ahead: int) -> bool:
        """False if it was seen before."""
        if ahead > 0:
            # Far ahead the shift would be absurd, and nothing of the old bits would stay.
            self.seen = (self.seen << ahead & SEEN_MASK) | 1 if ahead < WINDOW else 1
            self.highest = tsn
            return True
        bit = 1 << -ahead
        if self.seen & bit:
            return False
        self.seen |= bit
        return True


class SctpAssociations:
    """Counts each chunk once.

    seen = delivered + joined + duplicate + control + waiting + rejected + timed_out + evicted

    An association is known by addresses, ports and verification tag, per direction. Ports and tag alone are not enough:
    a tag is the receiver's choice, and two hosts may choose the same. With the tag a restart (RFC 9260 5.2) is another
    association, even where its INIT was missed. A message whose chunks took several paths of a multihomed host stays
    incomplete, and one sent anew on another path comes twice.
    """

    def __init__(
        self,
        limit_associations: int = 10_000,
        limit_bytes: int = 16 * 2**20,
        idle_ns: int = IDLE_NS,
    ) -> None:
        self.limit_associations = limit_associations
        self.idle_ns = idle_ns
        self.seen = 0
        self.delivered = 0  # the chunk that completed a message
        self.joined = 0  # one that another has completed the message of
        self.duplicate = 0  # a TSN that was seen
        self.control = 0  # INIT, SACK, HEARTBEAT, ...
        self.rejected: Counter[ChunkRejection] = Counter()
        self.associations_expired = 0
        self.associations_evicted = 0  # the one that was silent for longest gave way
        self.restarted = 0  # same tag, other TSNs
        self.fragments = FragmentTable(limit_bytes)
        self._associations: OrderedDict[bytes, _Association] = OrderedDict()

    @property
    def associations(self) -> int:
        """How many are known: one for each direction."""
        return len(self._associations)

    def accounts(self) -> Iterator[tuple[str, int]]:
        """What became of the chunks; the counts add up to `seen`, at every moment."""
        for name in ("delivered", "joined", "duplicate", "control"):
            yield name, getattr(self, name)
        yield "waiting", self.fragments.waiting
        for reason in ChunkRejection:
            yield f"rejected_{reason}", self.rejected[reason]
        for name in ("timed_out", "evicted"):
            yield name, getattr(self.fragments, name)

    def feed(self, datagram: Datagram) -> list[Datagram]:
        """The messages that this packet completes; its payload starts behind the common header of 12 bytes."""
        time_ns = datagram.time_ns
        self.expire(time_ns)
        data, at, end = datagram.data, datagram.start, datagram.end
        messages: list[Datagram] = []
        while at + 4 <= end:
            self.seen += 1
            size = data[at + 2] << 8 | data[at + 3]
            if size < 4:
                self.rejected[ChunkRejection.MALFORMED] += 1
                return messages  # where the next one starts nobody knows
            if data[at] in (DATA, I_DATA):
                if (message := self._data(datagram, at, at + size)) is not None:
                    messages.append(message)
            elif at + size > end + datagram.missing:
                self.rejected[ChunkRejection.MALFORMED] += 1
            else:
                self.control += 1
                if data[at] == INIT_ACK and min(at + size, end) >= at + 20:
                    self._handshake(datagram, at)
            at += size + 3 & ~3  # RFC 9260 3.2: padded, and the length is without
        if at < end:
            self.seen += 1
            self.rejected[ChunkRejection.CUT if datagram.missing else ChunkRejection.MALFORMED] += 1
        return messages

    def _data(self, datagram: Datagram, at: int, chunk_end: int) -> Datagram | None:
        """A DATA or I-DATA chunk at this offset: the message that it completes."""
        data, end = datagram.data, min(chunk_end, datagram.end)
        kind, flags = data[at], data[at + 1]
        start = at + (16 if kind == DATA else 20)
        missing = chunk_end - end
        rejection = None
        if chunk_end < start or missing > datagram.missing:
            rejection = ChunkRejection.MALFORMED
        elif chunk_end == start:
            rejection = ChunkRejection.EMPTY
        elif start >= end or (missing and flags & 3 != FIRST | LAST):
            rejection = ChunkRejection.CUT
        elif kind == I_DATA and not flags & FIRST and data[at + 16 : at + 20] == b"\0\0\0\0":
            rejection = ChunkRejection.MALFORMED  # RFC 8260 2.1: FSN 0 is the first fragment's
        if rejection is not None:
            self.rejected[rejection] += 1
            return None
        tsn = int.from_bytes(data[at + 4 : at + 8], "big")
        association = self._association(datagram, tsn)
        if not association.note(tsn, association.distance(tsn)):
            self.duplicate += 1
            return None
        if flags & 3 == FIRST | LAST:
            self.delivered += 1
            return _message(datagram, data, start, end, datagram.address_at, missing)
        return self._fragment(datagram, association, at, start, end, tsn)

    def _fragment(
        self, datagram: Datagram, association: _Association, at: int, start: int, end: int, tsn: int
    ) -> Datagram | None:
        data, flags = datagram.data, datagram.data[at + 1]
        unordered = flags & 4
        if data[at] == DATA:  # RFC 9260 3.3.1: the stream's sequence number says nothing in an unordered one
            name = data[at + 8 : at + (10 if unordered else 12)]
            position = tsn
        else:
            name = data[at + 8 : at + 10] + data[at + 12 : at + 16]
            # RFC 8260 2.1: the first one has the payload protocol in the place of the FSN, which is 0.
            position = 0 if flags & FIRST else int.from_bytes(data[at + 16 : at + 20], "big")
        group = (association, data[at], unordered, name)
        if not self.fragments.is_free(group, position):
            self.rejected[ChunkRejection.CONFLICT] += 1
            return None
        pieces = self.fragments.add(group, position, flags, data[start:end], datagram.time_ns)
        if pieces is None:
            return None
        self.delivered += 1
        self.joined += len(pieces) - 1
        addresses = datagram.source + datagram.destination
        whole = b"".join((addresses, *pieces))
        return _message(datagram, whole, len(addresses), len(whole), 0, 0)

    def _association(self, datagram: Datagram, tsn: int) -> _Association:
        key = _key(
            datagram.source, datagram.destination, datagram.source_port, datagram.destination_port, _tag(datagram)
        )
        association = self._associations.get(key)
        if association is not None and not -WINDOW < association.distance(tsn) < 0x40000000:
            # No sender is that far behind itself: a restart with the same tag, whose INIT ACK we have missed.
            self.restarted += 1
            association = None
        if association is None:
            association = self._begin(key, datagram.time_ns)
        association.last_ns = datagram.time_ns
        self._associations.move_to_end(key)
        return association

    def _begin(self, key: bytes, time_ns: int, handshake: bytes = b"") -> _Association:
        """A new one in the place of what is there; fragments of that wait in vain, and time out."""
        if key not in self._associations and len(self._associations) >= self.limit_associations:
            self._associations.popitem(last=False)
            self.associations_evicted += 1
        association = self._associations[key] = _Association(time_ns, handshake)
        self._associations.move_to_end(key)
        return association

    def _handshake(self, datagram: Datagram, at: int) -> None:
        """INIT ACK: its packet has one direction's tag, its chunk the other's (RFC 9260 5.1).

        A sender may choose its old tag again, and its TSNs start anew. A copy of the INIT ACK restarts nothing.
        """
        source, destination = datagram.source, datagram.destination
        ports = datagram.source_port, datagram.destination_port
        chosen = datagram.data[at + 4 : at + 8]
        handshake = _tag(datagram) + datagram.data[at + 4 : at + 20]
        for key in (
            _key(source, destination, ports[0], ports[1], _tag(datagram)),
            _key(destination, source, ports[1], ports[0], chosen),
        ):
            association = self._associations.get(key)
            if association is None or association.handshake != handshake:
                self.restarted += association is not None
                self._begin(key, datagram.time_ns, handshake)

    def expire(self, time_ns: int) -> None:
        """Let go what was silent, or incomplete, for too long at this packet time."""
        self.fragments.expire(time_ns)
        while self._associations:
            oldest = next(iter(self._associations.values()))
            if -self.idle_ns < time_ns - oldest.last_ns < self.idle_ns:
                break
            self._associations.popitem(last=False)
            self.associations_expired += 1

    def forget(self) -> None:
        """Another capture comes, perhaps the same one again: what is incomplete has timed out."""
        self.fragments.forget()
        self.associations_expired += len(self._associations)
        self._associations.clear()


def _tag(datagram: Datagram) -> bytes:
    """The verification tag: RFC 9260 3.1, bytes 4 to 7 of the common header."""
    return datagram.data[datagram.start - 8 : datagram.start - 4] if datagram.start >= 12 else b""


def _key(source: bytes, destination: bytes, source_port: int, destination_port: int, tag: bytes) -> bytes:
    return b"".join((source, destination, source_port.to_bytes(2, "big"), destination_port.to_bytes(2, "big"), tag))


def _message(packet: Datagram, data: bytes, start: int, end: int, address_at: int, missing: int) -> Datagram:
    return Datagram(
        data,
        start,
        end,
        address_at,
        packet.address_size,
        packet.source_port,
        packet.destination_port,
        packet.time_ns,
        packet.frame,
        protocol=packet.protocol,
        transport=packet.transport,
        vlan=packet.vlan,
        interface=packet.interface,
        missing=missing,
        frame_at=packet.frame_at if data is packet.data else NO_FRAME,
    )
