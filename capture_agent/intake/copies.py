"""Optional de-duplication: keeps one copy of a packet that was captured more than once.

Interface `any`, mirror ports and several VLANs show a packet more than once. A retransmission looks much the same:
docs/decisions/copies.md explains how to distinguish them. If in doubt, both are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from capture_agent.books import Account, Ledger, OfMessages
from capture_agent.clock import Clock
from capture_agent.hashing import digest
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram

UDP = 17
LIMIT = 65_536  # remembered messages
LIMIT_WAYS = 64  # ways of one message: a sender can choose any outer addresses of a tunnel
WAYS_PER_MESSAGE = 2  # bytes of all messages together, per message of LIMIT
# Batches of several interfaces arrive one after another, not sorted by time.
RETAIN_NS = 1_000_000_000

ACCOUNT = Account("messages", (OfMessages.DUPLICATE,))


class _Original:
    """A message, and how often it came each way within the window."""

    __slots__ = ("since_ns", "taken", "time_ns", "ways")

    def __init__(self, time_ns: int, since_ns: int) -> None:
        self.time_ns = time_ns  # when it was last treated as new
        self.since_ns = since_ns  # the same by the clock
        self.taken = 1
        self.ways: dict[bytes, int] = {}


class CopyFilter:
    """Takes messages, returns those that are not copies. Only for UDP: TCP and SCTP number their data.

    A packet's `identification` is 0 if it says nothing; its `way` is None if unknown.
    """

    def __init__(
        self,
        window_ns: int,
        identification: Callable[[Datagram], int],
        way: Callable[[Datagram], Hashable | None],
        limit: int = LIMIT,
        limit_ways: int = LIMIT_WAYS,
    ) -> None:
        self.window_ns = window_ns
        self.limit = limit
        self.limit_ways = limit_ways
        self.dropped = 0
        self.forgotten = 0  # evicted early for newer ones: a copy of them would be kept
        self._identification = identification
        self._way = way
        self._table: OrderedDict[bytes, _Original] = OrderedDict()
        self._clock = Clock()
        self._ways = 0  # ways of all messages

    def __len__(self) -> int:
        return len(self._table)

    @property
    def most_ways(self) -> int:
        """The ways that one message has come."""
        return max((len(seen.ways) for seen in self._table.values()), default=0)

    def ledgers(self) -> list[Ledger]:
        return [ACCOUNT.ledger(outcomes={OfMessages.DUPLICATE: self.dropped})]

    def kept(self, messages: list[CapturedMessage]) -> list[CapturedMessage]:
        """The messages without copies, in order."""
        kept = [message for message in messages if not self.is_copy(message.datagram)]
        self.dropped += len(messages) - len(kept)
        return kept

    def forget(self) -> None:
        """Another capture begins, or the same one again."""
        self._table.clear()
        self._clock = Clock()
        self._ways = 0

    def is_copy(self, datagram: Datagram) -> bool:
        """Whether it was seen already. Only `kept` counts."""
        if datagram.protocol != UDP:
            return False
        number = self._identification(datagram)
        self._clock.tick(datagram.time_ns)
        key = self._key(datagram, number)
        seen = self._table.get(key)
        if seen is None or abs(datagram.time_ns - seen.time_ns) > self.window_ns:
            self._note(key, datagram, number)
            return False
        if number:  # no two packets of a sender share it within such a time
            return True
        way = self._way_of(datagram)
        if way is None or (way not in seen.ways and len(seen.ways) >= self.limit_ways):
            return False
        # Each way shows each packet once: if one shows it more often than all others, it was sent again.
        self._ways += way not in seen.ways
        seen.ways[way] = seen.ways.get(way, 0) + 1
        self._make_room(key)
        if seen.ways[way] <= seen.taken:
            return True
        seen.taken += 1
        seen.time_ns = datagram.time_ns
        seen.since_ns = self._clock.now_ns
        self._table.move_to_end(key)
        return False

    def _way_of(self, datagram: Datagram) -> bytes | None:
        """A short hash of its way, which may have hundreds of bytes with nested tunnels."""
        way = self._way(datagram)
        return None if way is None else digest(repr(way).encode(), b"way")

    def _key(self, datagram: Datagram, number: int) -> bytes:
        ends = (number, datagram.source_port, datagram.destination_port)
        about = datagram.source + datagram.destination + b"".join(end.to_bytes(2, "big") for end in ends)
        return digest(datagram.payload, about)

    def _note(self, key: bytes, datagram: Datagram, number: int) -> None:
        self._expire(self._clock.now_ns)
        if key in self._table:
            self._drop(key)
        seen = self._table[key] = _Original(datagram.time_ns, self._clock.now_ns)
        if not number and (way := self._way_of(datagram)) is not None:
            seen.ways[way] = 1
            self._ways += 1
        self._make_room(key)

    def _make_room(self, spared: bytes) -> None:
        while len(self._table) > self.limit or self._ways > WAYS_PER_MESSAGE * self.limit:
            oldest = next(iter(self._table))
            if oldest == spared:
                return
            self._drop(oldest)
            self.forgotten += 1

    def _expire(self, now_ns: int) -> None:
        keep = self.window_ns + RETAIN_NS
        while self._table:
            key, oldest = next(iter(self._table.items()))
            if -keep < now_ns - oldest.since_ns < keep:
                break
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        self._ways -= len(self._table.pop(key).ways)
