"""TLS between TCP and what it carries, as a layer: records in, application data out."""

from __future__ import annotations

from capture_agent.records.datagram import Datagram
from capture_agent.streams.layer import Between, Layer
from capture_agent.streams.layers import PutBelow
from capture_agent.streams.outlet import Emitter
from capture_agent.streams.tls.handshake import Handshake, TlsReject, Undecryptable
from capture_agent.streams.tls.key_store import KeyStore
from capture_agent.streams.tls.record_headers import APPLICATION_DATA, HEADER, is_header, kind_of
from capture_agent.streams.tls.record_search import RecordSearch
from capture_agent.streams.tls.tls_connections import (
    DECRYPTED,
    MAX_WAITING,
    RECORD_COST,
    TlsConnections,
    TlsNews,
    TlsSession,
    Waiting,
)
from capture_agent.streams.tls.tls_direction import TlsDirection

DIRECTION_COST = 4_608  # bytes of memory of a direction, half of them OpenSSL's for its key
UNKNOWN_SIZE = 1 << 40


class TlsLayer(Between):
    """Hands on what is not TLS as it is. Of TLS, hands on the application data, with the time of the packet that
    completed the record, also where its keys came later.

    mode   what it does: look (are these records?), plain, tls, seek (for a record, after a gap), deaf
    """

    __slots__ = (
        "_direction",
        "_ended",
        "_handshakes",
        "_is_busy",
        "_kept",
        "_layers",
        "_mode",
        "_news",
        "_search",
        "_session",
        "_skip",
        "_waiting",
        "connections",
        "random",
        "since_ns",
        "waiting_bytes",
    )

    def __init__(self, emitter: Emitter, upper: Layer, connections: TlsConnections) -> None:
        super().__init__(emitter, upper)
        self.connections = connections
        self.waiting_bytes = 0
        self.since_ns = 0
        self.random = b""
        self._mode = "look"
        self._kept = bytearray()
        self._skip = 0  # bytes of a record that is not complete
        self._direction: TlsDirection | None = None
        self._handshakes: list[Handshake] | None = None  # None: the client's direction is not known yet
        self._session: TlsSession | None = None
        self._layers: list[Waiting] = []
        self._news: TlsNews | None = None
        self._search: RecordSearch | None = None  # after a gap
        self._waiting: list[tuple[Datagram, bytes, bytes]] = []  # an empty deque takes 600 bytes, and most are empty
        self._ended = False
        self._is_busy = False

    # What is asked of a layer.

    def buffered(self) -> int:
        own = 0 if self._mode == "plain" else DIRECTION_COST + len(self._kept)
        if self._direction is not None:
            own += self._direction.buffered
        return own + self.upper.buffered()

    def is_foreign(self) -> bool:
        if self._mode in ("look", "tls", "seek"):
            return self._carries_data and self.upper.is_foreign()
        return self._mode == "deaf" or self.upper.is_foreign()

    def needs_order(self) -> bool:
        return self.upper.needs_order() if self._mode == "plain" else self._mode != "deaf"

    def is_seeking(self) -> bool:
        return self._mode == "plain" and self.upper.is_seeking()

    def passed(self) -> int:
        return self.upper.passed()

    def learned(self) -> object:
        news, self._news = self._news, None
        return news if news is not None else self.upper.learned()

    def learn(self, news: object) -> bool:
        if not isinstance(news, TlsNews):
            return self.upper.learn(news)
        if self._handshakes is None and self._mode != "plain":
            if self._session is not None:
                self.connections.forget(self._session)
            self._session, self._layers, self._handshakes = news.session, news.layers, news.handshakes
            self._layers.append(self)
            if self._direction is not None:
                self._direction.handshakes = news.handshakes
            self.go_on()
        return True

    def deliver(self, data: bytes, start: int, end: int) -> bool:
        if self._mode == "plain":
            return self.upper.deliver(data, start, end)
        if self._mode == "deaf":
            self.outlet.counts.not_sip_bytes += end - start
            return True
        passing = min(self._skip, end - start)
        self._skip -= passing
        first = not self._kept
        self._kept += data[start + passing : end]
        if self._mode == "look":
            kind = kind_of(self._kept)
            if kind == "short":
                return True
            if kind == "plain":
                self._mode = kind
                kept = bytes(self._kept)
                self._kept.clear()
                return self.upper.deliver(data, start, end) if first else self.hand_on(kept)
            self._begin(kind)
        return self._read()

    def lose(self, size: int, cut: bool) -> bool:
        if self._mode in ("plain", "deaf"):
            return self.upper.lose(size, cut)
        if self._mode == "look":
            self._mode = "plain"
            return self.upper.lose(size, cut)
        rest = HEADER + int.from_bytes(self._kept[3:5], "big") if len(self._kept) >= HEADER else 0
        assert self._direction is not None
        if self._mode == "seek" or self._waiting or size > rest - len(self._kept) or self._skip:
            self._kept.clear()
            self._skip = 0
            self._end_of_order()
            return True
        plain = self._direction.plain_size(rest - HEADER)
        self._direction.lose()
        self._skip = rest - len(self._kept) - size
        self._kept.clear()
        return self.upper.lose(UNKNOWN_SIZE if plain is None else plain, False)

    def finish(self) -> bool:
        """Records may still wait for keys: the upper layer is finished after them."""
        self._ended = True
        if self._mode in ("look", "plain"):
            if self._kept and self.outlet.carrier is not None:
                self.hand_on(bytes(self._kept))
            self._kept.clear()
            return self.upper.finish()
        self._kept.clear()
        self._skip = 0
        return self._finish_upper()

    # Records.

    @property
    def _carries_data(self) -> bool:
        return self._direction is not None and self._direction.is_protected

    def _begin(self, kind: str) -> None:
        self._mode = "tls"
        if self._session is None:
            self._session = self.connections.opened()
        if kind == "client" and self._handshakes is None:
            self._handshakes, self._layers = [], [self]
            self._news = TlsNews(self._session, self._handshakes, self._layers)
        handshakes = [] if self._handshakes is None else self._handshakes
        self._direction = TlsDirection(kind == "client", handshakes, self.connections.store)
        if kind == "joined":
            self._stop(TlsReject.JOINED)

    def _read(self) -> bool:
        if self._search is not None:
            self._seek(self._search)
        at = 0
        while self._mode == "tls" and len(self._kept) - at >= HEADER:
            header = bytes(self._kept[at : at + HEADER])
            size = int.from_bytes(header[3:5], "big")
            if not is_header(header):
                self._stop(TlsReject.BROKEN)
                break
            if len(self._kept) - at < HEADER + size:
                break
            body = bytes(self._kept[at + HEADER : at + HEADER + size])
            at += HEADER + size
            self._record(header, body)
        del self._kept[:at]
        return True

    def _record(self, header: bytes, body: bytes) -> None:
        if self._waiting or not self._taken(header, body):
            self._wait(header, body)

    def _taken(self, header: bytes, body: bytes) -> bool:
        """False: it cannot be read yet."""
        direction, session = self._direction, self._session
        assert direction is not None
        assert session is not None
        if self._handshakes is None:
            return False
        try:
            plain = direction.take(header, body)
        except Undecryptable as problem:
            self._stop(problem.why)
            return True
        if plain is None:
            return False
        if direction.is_protected:
            self.connections.moved(session, DECRYPTED)
        if plain:
            self.hand_on(plain, "tls")
        elif header[0] != APPLICATION_DATA or not direction.is_protected:
            self._tell_others()
        return True

    def _tell_others(self) -> None:
        for layer in self._layers:
            if layer is not self:
                layer.go_on()

    def _wait(self, header: bytes, body: bytes) -> None:
        carrier = self.outlet.carrier
        assert carrier is not None
        assert self._direction is not None
        own = carrier.carrying(self.emitter.addresses, len(self.emitter.addresses), len(self.emitter.addresses))
        if not self._waiting:
            self.since_ns = carrier.time_ns
            if self._direction.handshakes:
                self.random = self._direction.handshakes[-1].client.random
        self._waiting.append((own, header, body))
        size = len(body) + RECORD_COST
        self.waiting_bytes += size
        self.connections.hold(self, size)
        if self.waiting_bytes > MAX_WAITING:
            self.give_up()

    def go_on(self) -> None:
        """Keys have come, or the other direction has read more of the handshake."""
        if self._is_busy or not self._waiting:
            return
        before, self._is_busy = self.outlet.carrier, True
        while self._waiting and self._mode == "tls":
            self.outlet.carrier, header, body = self._waiting[0]
            if not self._taken(header, body):
                break
            if self._waiting:  # unless it has been given up
                self._release()
        self.outlet.carrier, self._is_busy = before, False
        if self._ended:
            self._finish_upper()

    def _release(self) -> None:
        _, _, body = self._waiting.pop(0)
        size = len(body) + RECORD_COST
        self.waiting_bytes -= size
        self.connections.release(self, size, not self._waiting)

    def give_up(self) -> None:
        """Nothing that it waits for will come."""
        assert self._direction is not None
        self._stop(self._direction.misses)
        if self._ended:
            self._finish_upper()

    def _stop(self, why: TlsReject) -> None:
        """From here on nothing is decrypted: the rest is foreign."""
        assert self._session is not None
        self.connections.moved(self._session, why)
        while self._waiting:
            self._release()
        self._mode = "deaf"
        self._kept.clear()
        if self._direction is not None:
            self._direction.end()
        self._direction = self._search = None
        self.outlet.counts.foreign += 1
        self.upper.lose(UNKNOWN_SIZE, False)
        self._tell_others()

    def _finish_upper(self) -> bool:
        if self._waiting:
            return True
        if self in self._layers:
            self._layers.remove(self)
        if self._direction is not None:
            self._direction.end()
        return self.upper.finish()

    # After a gap.

    def _end_of_order(self) -> None:
        """Where the next record begins, and how many are missing, is not known."""
        assert self._direction is not None
        if self._waiting or not self._direction.is_ready():
            self._stop(TlsReject.GAP if self._direction.is_protected else TlsReject.JOINED)
            return
        self._mode, self._search = "seek", RecordSearch(self._direction)
        self.upper.lose(UNKNOWN_SIZE, False)

    def _seek(self, search: RecordSearch) -> None:
        try:
            plain = search.next_plain(self._kept)
        except Undecryptable as problem:
            self._stop(problem.why)
            return
        if plain is None:
            return
        self._mode, self._search = "tls", None
        if plain:
            self.hand_on(plain, "tls")


def decrypting(keys: KeyStore) -> tuple[PutBelow, TlsConnections]:
    """For Streams.attend()."""
    connections = TlsConnections(keys)

    def put_below(emitter: Emitter, upper: Layer) -> Layer:
        return TlsLayer(emitter, upper, connections)

    return put_below, connections
