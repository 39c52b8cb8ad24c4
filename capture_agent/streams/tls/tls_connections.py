"""What all TLS connections of a source share: keys, the records that wait for them, and the account."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Protocol

from capture_agent.books import Account, Ledger
from capture_agent.streams.tls.handshake import Handshake, TlsReject
from capture_agent.streams.tls.key_store import KeyStore

DECRYPTED, OPEN = "decrypted", "open"
TLS = Account("tls", (DECRYPTED, OPEN), tuple(TlsReject))

MAX_STATE = 268_435_456  # bytes of memory of all directions, without records that wait
MAX_WAITING_BYTES = 33_554_432  # of records without keys, with their cost; the oldest are given up
MAX_WAITING = 1_048_576  # of one direction
RECORD_COST = 512  # bytes of memory that a waiting record takes in addition
PATIENCE_NS = 10_000_000_000  # how long records wait for their keys


class TlsSession:
    """One connection in the account: both directions share it."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: str = OPEN


class Waiting(Protocol):
    """A layer with records that wait."""

    waiting_bytes: int
    since_ns: int
    random: bytes  # of the client; empty: not known

    def go_on(self) -> None:
        """Keys have come, or the other direction has read more of the handshake."""

    def give_up(self) -> None:
        """Nothing that it waits for will come."""


class TlsNews:
    """What one direction tells the other: they are one connection."""

    __slots__ = ("handshakes", "layers", "session")

    def __init__(self, session: TlsSession, handshakes: list[Handshake], layers: list[Waiting]) -> None:
        self.session = session
        self.handshakes = handshakes
        self.layers = layers


class TlsConnections:
    """Bounded in bytes and time. No connection is known by its ports: the layers of both directions share a session."""

    room = MAX_STATE

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self._states: Counter[str] = Counter()
        self._waiting: OrderedDict[Waiting, None] = OrderedDict()  # by the time of their oldest record
        self._by_random: dict[bytes, set[Waiting]] = {}
        self._held = 0

    def opened(self) -> TlsSession:
        self._states[OPEN] += 1
        return TlsSession()

    def forget(self, session: TlsSession) -> None:
        """It was the same connection as another one."""
        self._states[session.state] -= 1

    def moved(self, session: TlsSession, state: str) -> None:
        if session.state != state and session.state in (OPEN, DECRYPTED):
            self._states[session.state] -= 1
            self._states[state] += 1
            session.state = state

    def hold(self, layer: Waiting, size: int) -> None:
        """It keeps a record of this size, with its cost."""
        self._held += size
        if layer not in self._waiting:
            self._waiting[layer] = None
            if layer.random:
                self._by_random.setdefault(layer.random, set()).add(layer)
        while self._held > MAX_WAITING_BYTES and self._waiting:
            next(iter(self._waiting)).give_up()

    def release(self, layer: Waiting, size: int, is_last: bool) -> None:
        self._held -= size
        if is_last and layer in self._waiting:
            del self._waiting[layer]
            others = self._by_random.get(layer.random)
            if others is not None:
                others.discard(layer)
                if not others:
                    del self._by_random[layer.random]

    def look_after(self, now_ns: int) -> None:
        """Between two batches: keys that have come, and records that have waited too long, by packet time."""
        for random in self.store.news():
            for layer in list(self._by_random.get(random, ())):
                layer.go_on()
        while self._waiting:
            oldest = next(iter(self._waiting))
            if now_ns - oldest.since_ns < PATIENCE_NS:
                break
            oldest.give_up()

    def close(self) -> None:
        """The capture has ended."""
        self.look_after(0)
        while self._waiting:
            next(iter(self._waiting)).give_up()

    def ledgers(self) -> Iterator[Ledger]:
        if seen := sum(self._states.values()):
            rejected = {reason.value: self._states[reason] for reason in TlsReject}
            yield TLS.ledger(seen, {name: self._states[name] for name in TLS.outcomes}, rejected)
