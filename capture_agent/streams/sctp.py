"""SIP messages from SCTP chunks (RFC 9260; RFC 8260 for I-DATA). RFC 4168: a user message is one SIP message.

A sender gives each DATA chunk a number, the TSN. A message too long for a packet takes several chunks: the first has
the B bit, the last the E bit. Their TSNs are consecutive (DATA), or I-DATA numbers them separately (FSN), so that
messages on other streams may come in between. Ordered delivery of messages is the receiver's business: here each is
emitted with the packet that completes it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from capture_agent.books import Account, Ledger
from capture_agent.clock import Clock
from capture_agent.records.datagram import Datagram
from capture_agent.streams.sctp_chunk import DATA, I_DATA, ChunkRejection, data_start, fragment_place, refusal
from capture_agent.streams.sctp_direction import CONVINCING, Association, RivalTag, SctpDirection
from capture_agent.streams.sctp_fragments import FIRST, LAST, FragmentTable
from capture_agent.streams.sctp_packet import key_of, tag_of

INIT_ACK, COOKIE_ECHO, COOKIE_ACK = 2, 10, 11

# RFC 9260 16: a heartbeat every 30 s keeps a path alive, and after 10 without an answer an association ends.
IDLE_NS = 300 * 10**9


CHUNKS = Account(
    "chunks",
    ("delivered", "joined", "duplicate", "control", "waiting"),
    (*(str(reason) for reason in ChunkRejection), "timed_out", "evicted"),
)


class SctpAssociations:
    """Counts each chunk once.

    seen = delivered + joined + duplicate + control + waiting + rejected + timed_out + evicted

    A direction is known by addresses and ports, and of each there is one association at a time (RFC 9260 5.2): see
    sctp_direction.py. What real ends would ignore - another tag, a TSN outside of the window, a handshake that nobody
    has asked for, ABORT, SHUTDOWN - ends nothing. A message whose chunks took several paths of a multihomed host
    stays incomplete, and one sent anew on another path comes twice.
    """

    def __init__(
        self,
        limit_associations: int = 10_000,
        limit_bytes: int = 16 * 2**20,
        idle_ns: int = IDLE_NS,
        limit_held_bytes: int = 4 * 2**20,
        clock: Clock | None = None,
    ) -> None:
        self.limit_associations = limit_associations
        self.idle_ns = idle_ns
        self.seen = 0
        self.delivered = 0  # the chunk that completed a message
        self.joined = 0  # a chunk whose message another one completed
        self.duplicate = 0  # its TSN was seen before
        self.control = 0  # INIT, SACK, HEARTBEAT, ...
        self.rejected: Counter[ChunkRejection] = Counter()
        self.associations_expired = 0
        self.associations_evicted = 0  # the one that was silent for longest
        self.restarted = 0  # another one took the same addresses and ports
        self.fragments = FragmentTable(limit_bytes)
        self.limit_held_bytes = limit_held_bytes
        self.held = 0  # chunks of rivals
        self.held_bytes = 0  # in these
        self._clock = Clock() if clock is None else clock
        self._seen_ns = 0
        self._directions: OrderedDict[bytes, SctpDirection] = OrderedDict()
        self._doubted: OrderedDict[int, SctpDirection] = OrderedDict()  # those with rivals

    @property
    def associations(self) -> int:
        """How many are known: one for each direction."""
        return len(self._directions)

    def accounts(self) -> Iterator[tuple[str, int]]:
        """What became of the chunks; the counts add up to `seen`, at every moment."""
        for name in ("delivered", "joined", "duplicate", "control"):
            yield name, getattr(self, name)
        yield "waiting", self.fragments.waiting + self.held
        for reason in ChunkRejection:
            yield reason, self.rejected[reason]
        for name in ("timed_out", "evicted"):
            yield name, getattr(self.fragments, name)

    def ledgers(self) -> list[Ledger]:
        """Empty if there was no chunk."""
        counts = dict(self.accounts())
        return [CHUNKS.ledger(self.seen, counts, counts)] if any(counts.values()) else []

    def feed(self, datagram: Datagram) -> list[Datagram]:
        """The messages that this packet completes; its payload starts after the common header of 12 bytes."""
        self._seen_ns = self._clock.tick(datagram.time_ns)
        self._seen_ns = max(self._seen_ns, self._clock.now_ns)
        data, at, end = datagram.data, datagram.start, datagram.end
        messages = self._expire()
        chunks = 0
        while at + 4 <= end:
            self.seen += 1
            size = data[at + 2] << 8 | data[at + 3]
            if size < 4:
                self.rejected[ChunkRejection.MALFORMED] += 1
                return messages  # where the next chunk starts is unknown
            if data[at] in (DATA, I_DATA):
                chunks += 1
                messages += self._data(datagram, at, at + size)
            elif at + size > end + datagram.missing:
                self.rejected[ChunkRejection.MALFORMED] += 1
            else:
                self.control += 1
                if data[at] == INIT_ACK and min(at + size, end) >= at + 20:
                    messages += self._handshake(datagram, at)
                elif data[at] in (COOKIE_ECHO, COOKIE_ACK):
                    self._cookie(datagram)
            at += size + 3 & ~3  # RFC 9260 3.2: padded, and the length is without
        if at < end:
            self.seen += 1
            self.rejected[ChunkRejection.CUT if datagram.missing else ChunkRejection.MALFORMED] += 1
        if chunks > 1:
            for message in messages:
                if message.data is data:
                    message.keep_frames(())
        return messages

    def _data(self, datagram: Datagram, at: int, chunk_end: int) -> list[Datagram]:
        """A DATA or I-DATA chunk at this offset: the messages that it completes."""
        data, end = datagram.data, min(chunk_end, datagram.end)
        if (reason := refusal(datagram, at, chunk_end)) is not None:
            self.rejected[reason] += 1
            return []
        tsn, tag, key = int.from_bytes(data[at + 4 : at + 8], "big"), tag_of(datagram), key_of(datagram)
        messages: list[Datagram] = []
        direction = self._directions.get(key)
        if direction is None:
            direction, messages = self._direction(key, Association(tag))
        if not direction.association.accepts(tag, tsn):
            return messages + self._compete(datagram, direction, at, end, tsn)
        direction.last_ns = self._seen_ns
        self._directions.move_to_end(key)
        if direction.rivals:
            self._contradict(direction)
        if (message := self._accept(datagram, direction.association, at, end, chunk_end)) is not None:
            messages.append(message)
        return messages

    def _accept(
        self, datagram: Datagram, association: Association, at: int, end: int, chunk_end: int
    ) -> Datagram | None:
        """A chunk of this association: the message that it completes. Its bytes end at `end`, or it was cut."""
        data, flags = datagram.data, datagram.data[at + 1]
        start, missing = data_start(data, at), chunk_end - end
        tsn = int.from_bytes(data[at + 4 : at + 8], "big")
        if not association.note(tsn):
            self.duplicate += 1
            return None
        if flags & 3 == FIRST | LAST:
            self.delivered += 1
            return datagram.carrying(data, start, end, missing)
        return self._fragment(datagram, association, at, start, end)

    def _fragment(self, datagram: Datagram, association: Association, at: int, start: int, end: int) -> Datagram | None:
        data, flags = datagram.data, datagram.data[at + 1]
        message, position = fragment_place(data, at)
        group = (association, *message)
        if not self.fragments.is_free(group, position):
            self.rejected[ChunkRejection.CONFLICT] += 1
            return None
        pieces = self.fragments.add(group, position, flags, data[start:end], self._seen_ns)
        if pieces is None:
            return None
        self.delivered += 1
        self.joined += len(pieces) - 1
        addresses = datagram.source + datagram.destination
        whole = b"".join((addresses, *pieces))
        return datagram.carrying(whole, len(addresses), len(whole))

    def _settle(self, direction: SctpDirection) -> list[Datagram]:
        """Nothing more comes: the messages of the rival that nothing has contradicted, if there is one."""
        rival = direction.best()
        messages = [] if rival is None else self._promote(direction, rival)
        self._contradict(direction)
        return messages

    def _promote(self, direction: SctpDirection, rival: RivalTag) -> list[Datagram]:
        """The ports are this rival's; fragments of the previous association will time out."""
        before = direction.size
        direction.drop(rival)
        self.held_bytes += direction.size - before
        self.held -= len(rival.held)
        self._contradict(direction)
        direction.association = Association(rival.association.tag)
        self.restarted += 1
        messages = []
        for chunk in rival.held:
            message = self._accept(chunk, direction.association, chunk.start, chunk.end, chunk.end + chunk.missing)
            if message is not None:
                messages.append(message)
        return messages

    def _contradict(self, direction: SctpDirection) -> None:
        """Its rivals are not real."""
        for rival in tuple(direction.rivals):
            self._refuse(len(rival.held))
            direction.drop(rival)
            self.held_bytes -= rival.size
        self._doubted.pop(id(direction), None)

    def _refuse(self, chunks: int) -> None:
        self.held -= chunks
        self.rejected[ChunkRejection.OUTSIDE] += chunks

    def _compete(self, datagram: Datagram, direction: SctpDirection, at: int, end: int, tsn: int) -> list[Datagram]:
        before = direction.size
        rival, gone = direction.rival(tag_of(datagram), tsn)
        self._refuse(gone)
        if any(held.payload[4:8] == datagram.data[at + 4 : at + 8] for held in rival.held):
            self.duplicate += 1
        elif len(rival.held) >= CONVINCING:  # it was not convincing, and more chunks do not help
            self.rejected[ChunkRejection.OUTSIDE] += 1
        else:
            size = rival.size
            rival.hold(datagram, at, end)
            rival.association.note(tsn)
            direction.size += rival.size - size
            self.held += 1
        self.held_bytes += direction.size - before
        self._doubted[id(direction)] = direction
        if direction.is_convincing(rival):
            return self._promote(direction, rival)
        while self.held_bytes > self.limit_held_bytes:
            self._contradict(next(iter(self._doubted.values())))
        return []

    def _direction(self, key: bytes, association: Association) -> tuple[SctpDirection, list[Datagram]]:
        """A new one. The one evicted for it may have held messages."""
        messages: list[Datagram] = []
        if len(self._directions) >= self.limit_associations:
            messages = self._settle(self._directions.popitem(last=False)[1])
            self.associations_evicted += 1
        direction = self._directions[key] = SctpDirection(association, self._seen_ns)
        return direction, messages

    def _handshake(self, datagram: Datagram, at: int) -> list[Datagram]:
        """INIT ACK: its packet has one direction's tag, its chunk the other's (RFC 9260 5.1).

        Its receiver has asked for it, and its sender keeps what it had until the cookie comes back (5.2.4): a stranger
        can make neither end forget anything.
        """
        handshake = tag_of(datagram) + datagram.data[at + 4 : at + 20]
        first_tsn = int.from_bytes(datagram.data[at + 16 : at + 20], "big")
        messages: list[Datagram] = []
        for key, association in (
            (key_of(datagram), Association(tag_of(datagram), handshake, first_tsn)),
            (key_of(datagram, back=True), Association(datagram.data[at + 4 : at + 8], handshake)),
        ):
            direction = self._directions.get(key)
            if direction is None:  # what it says is not certain before the cookie
                plain = Association(association.tag, first_tsn=first_tsn if association.seen else None)
                direction, more = self._direction(key, plain)
                messages += more
                direction.proposed = association
            elif direction.association.handshake != handshake:
                direction.proposed = association
        return messages

    def _cookie(self, datagram: Datagram) -> None:
        """COOKIE ECHO or COOKIE ACK: what the handshake has proposed holds, in both directions."""
        one = self._directions.get(key_of(datagram))
        if one is None or one.proposed is None or one.proposed.tag != tag_of(datagram):
            return
        handshake = one.proposed.handshake
        for direction in (one, self._directions.get(key_of(datagram, back=True))):
            if direction is not None and direction.proposed is not None and direction.proposed.handshake == handshake:
                self._contradict(direction)
                self.restarted += direction.association.chunks > 0
                direction.association = direction.proposed
                direction.proposed = None

    def _expire(self) -> list[Datagram]:
        """Drop associations that were silent, and messages that were incomplete, for too long."""
        clock = self._clock
        self.fragments.expire(clock)
        messages: list[Datagram] = []
        while self._directions:
            key, oldest = next(iter(self._directions.items()))
            if clock.is_ahead(oldest.last_ns, self.idle_ns):
                oldest.last_ns = clock.now_ns
                self._directions.move_to_end(key)
                continue
            if clock.now_ns - oldest.last_ns < self.idle_ns:
                break
            del self._directions[key]
            messages += self._settle(oldest)
            self.associations_expired += 1
        return messages

    def close(self) -> list[Datagram]:
        """The capture has ended: the messages of rivals that nothing has contradicted."""
        return [message for direction in tuple(self._doubted.values()) for message in self._settle(direction)]

    def forget(self) -> None:
        """Another capture follows, perhaps the same one again: incomplete messages have timed out."""
        for direction in tuple(self._doubted.values()):
            self._contradict(direction)
        self.fragments.forget()
        self.associations_expired += len(self._directions)
        self._directions.clear()
        self._clock.reset()
