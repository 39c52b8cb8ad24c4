"""IP datagrams from their fragments: IPv4 (RFC 791, RFC 815) and IPv6 (RFC 8200 4.5).

Two sorted lists hold the start and the end of each received range of a datagram: a fragment costs a binary search plus
the ranges that it joins, however many there are and in whatever order they arrive.

Overlaps: the bytes that came first are kept, also for IPv6. RFC 5722 requires a receiver to drop an overlapping IPv6
datagram. The agent is not a receiver, and dropping it would hide from the trace what a lenient receiver has seen. The
overlap is counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from enum import StrEnum

from capture_agent.clock import Clock
from capture_agent.records.frames import CapturedFrame

LONGEST = 65535  # RFC 791 3.1: the total length has 16 bits; so has RFC 8200's payload length

# From the first fragment seen. RFC 8200 4.5 and RFC 1122 3.3.2 let a receiver wait 60 s or longer, but IPv4's
# identification has 16 bits, and fragments after a reuse belong to another datagram (RFC 4963): Linux waits 30 s for
# IPv4. Fragments leave the sender together; one that is 30 s late serves no SIP transaction (RFC 3261: 32 s).
TIMEOUT_NS = 30 * 10**9

# Copies of a packet (mirror ports, interface "any") are milliseconds apart. A sender that does not increment its
# identification repeats it in a SIP retransmission: after T1 at the earliest, 500 ms (RFC 3261 17.1.1.1).
REMEMBER_NS = 250 * 10**6

# CPython's memory in addition to the payload, so that `limit_bytes` limits memory, not payload.
DATAGRAM_COST = 1024
FRAGMENT_COST = 192
FRAME_COST = 256  # of a captured frame that is kept

NEVER_NS = 1 << 63  # no packet has this time


class Refusal(StrEnum):
    """Why a fragment is not used."""

    EMPTY = "empty"  # no bytes, as in some attacks
    UNEVEN = "uneven"  # RFC 791 3.1: all but the last have a multiple of 8 bytes
    TOO_LONG = "too_long"  # it ends after byte 65535
    CONTRADICTION = "contradiction"  # another last fragment has set a different end, or there are bytes after it
    TOO_MANY = "too_many"  # its datagram already has as many fragments as allowed


class _Partial:
    """An incomplete datagram: the pieces stay separate, the ranges that they cover are merged."""

    __slots__ = ("carriers", "ends", "frames", "pieces", "since_ns", "size", "starts", "time_ns", "total")

    def __init__(self, time_ns: int, since_ns: int) -> None:
        self.time_ns = time_ns  # time of its first fragment
        self.since_ns = since_ns  # when it began to wait, by the clock
        self.frames = 0
        self.carriers: list[CapturedFrame] = []
        self.size = DATAGRAM_COST
        self.total: int | None = None  # known with the last fragment
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.pieces: list[tuple[int, bytes]] = []

    @property
    def complete(self) -> bool:
        return self.total is not None and self.starts == [0] and self.ends[0] == self.total

    def contradicts(self, end: int, more: bool) -> bool:
        if self.total is not None:
            return end > self.total or (not more and end < self.total)
        return not more and bool(self.ends) and end < self.ends[-1]

    def fill(self, offset: int, payload: bytes) -> int:
        """Take the bytes that are still missing. Returns how many."""
        end = offset + len(payload)
        first = bisect_left(self.ends, offset)  # the ranges that the fragment touches: first to behind - 1
        behind = bisect_right(self.starts, end)
        at, new = offset, 0
        for n in range(first, behind):
            if at < self.starts[n]:
                new += self._piece(at, payload[at - offset : self.starts[n] - offset])
            at = max(at, self.ends[n])
        if at < end:
            new += self._piece(at, payload[at - offset :])
        if first < behind:
            offset = min(offset, self.starts[first])
            end = max(end, self.ends[behind - 1])
        self.starts[first:behind] = [offset]
        self.ends[first:behind] = [end]
        return new

    def keep(self, carriers: Iterable[CapturedFrame]) -> None:
        for one in carriers:
            self.carriers.append(one)
            self.size += len(one.data) + FRAME_COST

    def _piece(self, at: int, piece: bytes) -> int:
        self.pieces.append((at, piece))
        self.size += len(piece) + FRAGMENT_COST
        return len(piece)

    def joined(self) -> bytes:
        self.pieces.sort()
        return b"".join([piece for _, piece in self.pieces])


class Defragmenter:
    """Counts each fragment once: seen = completed + joined + waiting + duplicate + refused + timed_out + evicted.

    Time is packet time, and a packet with a wrong time does not expire waiting datagrams: see capture_agent.clock.
    """

    def __init__(
        self,
        limit_datagrams: int = 10_000,
        limit_bytes: int = 32 * 2**20,
        limit_fragments: int = 2048,  # a datagram of 64 KiB over the smallest IPv4 MTU, 68 (RFC 791), has 1366
        timeout_ns: int = TIMEOUT_NS,
        remember_ns: int = REMEMBER_NS,
    ) -> None:
        self.limit_datagrams = limit_datagrams
        self.limit_bytes = limit_bytes
        self.limit_fragments = limit_fragments
        self.timeout_ns = timeout_ns
        self.remember_ns = remember_ns
        self.seen = 0
        self.completed = 0  # the fragment that completed a datagram
        self.joined = 0  # a fragment of a datagram that another one completed
        self.waiting = 0
        self.duplicate = 0  # it added no bytes
        self.refused: Counter[Refusal] = Counter()
        self.timed_out = 0
        self.evicted = 0  # the oldest datagram was evicted for a new one
        self.overlapping = 0  # used fragments that had bytes in common with earlier ones: outside the balance
        self.held_bytes = 0
        self.carriers: tuple[CapturedFrame, ...] = ()  # of the datagram that was completed last, if they are kept
        self._partials: OrderedDict[bytes, _Partial] = OrderedDict()
        # Datagrams completed recently, so that copies of their fragments do not start ones that never complete.
        self._done: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._clock = Clock()
        # Nothing expires while the clock is between these times.
        self._looked_ns = 0
        self._due_ns = 0

    @property
    def incomplete(self) -> int:
        """How many datagrams wait for a fragment."""
        return len(self._partials)

    def accounts(self) -> Iterator[tuple[str, int]]:
        """The fragments' outcomes; the counts always add up to `seen`."""
        for name in ("completed", "joined", "waiting", "duplicate"):
            yield name, getattr(self, name)
        for reason in Refusal:
            yield f"refused_{reason}", self.refused[reason]
        for name in ("timed_out", "evicted"):
            yield name, getattr(self, name)

    def add(
        self,
        key: bytes,
        offset: int,
        more: bool,
        payload: bytes,
        time_ns: int,
        carriers: tuple[CapturedFrame, ...] = (),
    ) -> bytes | None:
        """The payload of the IP datagram if this fragment completes it.

        `key` identifies datagrams: source, destination, protocol and identification (RFC 791; RFC 8200 omits the
        protocol). `offset` is in bytes; `more` is the flag "more fragments"; `carriers`: the frames that
        carried it, if they are to be kept.
        """
        self.seen += 1
        time_ns = self._clock.tick(time_ns)
        if not self._looked_ns <= (now_ns := self._clock.now_ns) < self._due_ns:
            self._expire(now_ns)
        partial = self._partials.get(key)
        if partial is not None and not -self.timeout_ns < time_ns - partial.time_ns < self.timeout_ns:
            self._drop_timed_out(key)
            partial = None
        if (refusal := self._refusal(partial, offset, more, payload)) is not None:
            self.refused[refusal] += 1
            return None
        if partial is None:
            if self._is_late_copy(key, offset, more, payload, time_ns):
                self.duplicate += 1
                return None
            if offset == 0 and not more:  # RFC 6946: complete as it is
                self.completed += 1
                self.carriers = carriers
                return payload
            partial = self._begin(key, time_ns)
        self._join(partial, offset, more, payload, carriers)
        if partial.complete:
            return self._complete(key, partial, time_ns)
        self._make_room()
        return None

    def _refusal(self, partial: _Partial | None, offset: int, more: bool, payload: bytes) -> Refusal | None:
        if not payload:
            return Refusal.EMPTY
        if offset < 0 or offset + len(payload) > LONGEST:
            return Refusal.TOO_LONG
        if (more and len(payload) % 8) or offset % 8:
            return Refusal.UNEVEN
        if partial is not None:
            if partial.contradicts(offset + len(payload), more):
                return Refusal.CONTRADICTION
            if partial.frames >= self.limit_fragments:
                return Refusal.TOO_MANY
        return None

    def _is_late_copy(self, key: bytes, offset: int, more: bool, payload: bytes, time_ns: int) -> bool:
        """Only with the same bytes, so that a sender may reuse an identification at once without a loss."""
        if key not in self._done:
            return False
        done_ns, whole = self._done[key]
        end = offset + len(payload)
        return abs(time_ns - done_ns) < self.remember_ns and whole[offset:end] == payload and more == (end < len(whole))

    def _begin(self, key: bytes, time_ns: int) -> _Partial:
        if len(self._partials) >= self.limit_datagrams:
            self._evict_oldest()
        now_ns = self._clock.now_ns
        if not self._partials:
            self._note_due(time_ns, now_ns, now_ns + self.timeout_ns)
        partial = self._partials[key] = _Partial(time_ns, time_ns if time_ns > now_ns else now_ns)
        self.held_bytes += partial.size
        return partial

    def _join(
        self, partial: _Partial, offset: int, more: bool, payload: bytes, carriers: tuple[CapturedFrame, ...]
    ) -> None:
        before = partial.size
        new = partial.fill(offset, payload)
        tells_end = not more and partial.total is None
        if new or tells_end:
            partial.keep(carriers)
        self.held_bytes += partial.size - before
        if tells_end:
            partial.total = offset + len(payload)
        if new or tells_end:
            partial.frames += 1
            self.waiting += 1
            self.overlapping += new < len(payload)
        else:
            self.duplicate += 1

    def _complete(self, key: bytes, partial: _Partial, time_ns: int) -> bytes:
        whole = partial.joined()
        self.carriers = tuple(partial.carriers)
        self.waiting -= partial.frames
        self.joined += partial.frames - 1
        self.completed += 1
        del self._partials[key]
        self.held_bytes -= partial.size
        if key in self._done:
            self._forget(key)
        if len(self._done) >= self.limit_datagrams:
            self._forget(next(iter(self._done)))
        if not self._done:
            self._note_due(time_ns, self._clock.now_ns, time_ns + 2 * self.remember_ns)
        self._done[key] = (time_ns, whole)
        self.held_bytes += len(whole) + DATAGRAM_COST
        self._make_room()
        return whole

    def _expire(self, now_ns: int) -> None:
        """Remove datagrams that have waited, or were remembered, for too long."""
        self._looked_ns, self._due_ns = now_ns, NEVER_NS
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            age_ns = now_ns - partial.since_ns
            if age_ns >= self.timeout_ns:
                self._drop_timed_out(key)
            elif age_ns < 0 and self._clock.is_ahead(partial.since_ns, self.timeout_ns):
                partial.since_ns = now_ns
                self._partials.move_to_end(key)
            else:
                self._due_ns = now_ns if age_ns < 0 else partial.since_ns + self.timeout_ns
                break
        while self._done:
            key, (done_ns, _) = next(iter(self._done.items()))
            age_ns = now_ns - done_ns
            if age_ns < self.remember_ns and not (age_ns < 0 and self._clock.is_ahead(done_ns, self.remember_ns)):
                self._note_due(
                    done_ns, now_ns, done_ns + 2 * self.remember_ns
                )  # in batches; none is used after its time
                break
            self._forget(key)

    def _note_due(self, time_ns: int, now_ns: int, due_ns: int) -> None:
        """When to check the first entry of a table, which came at this time. If it is ahead of the clock: at once."""
        if time_ns > now_ns:
            due_ns = now_ns
        self._due_ns = min(self._due_ns, due_ns)

    def forget(self) -> None:
        """Another capture begins, perhaps the same one: waiting datagrams have timed out; nothing is a late copy."""
        for key in list(self._partials):
            self._drop_timed_out(key)
        for key in list(self._done):
            self._forget(key)
        self._clock.reset()
        self._due_ns = 0

    def _make_room(self) -> None:
        while self.held_bytes > self.limit_bytes and self._done:  # nothing is lost with these
            self._forget(next(iter(self._done)))
        while self.held_bytes > self.limit_bytes and self._partials:
            self._evict_oldest()

    def _evict_oldest(self) -> None:
        self.evicted += self._drop(next(iter(self._partials)))

    def _drop_timed_out(self, key: bytes) -> None:
        self.timed_out += self._drop(key)

    def _drop(self, key: bytes) -> int:
        partial = self._partials.pop(key)
        self.held_bytes -= partial.size
        self.waiting -= partial.frames
        return partial.frames

    def _forget(self, key: bytes) -> None:
        _, whole = self._done.pop(key)
        self.held_bytes -= len(whole) + DATAGRAM_COST
