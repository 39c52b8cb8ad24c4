"""Extracts messages from TCP segments and SCTP packets of all connections. Hot: compiled with streams.pxd, or plain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

import cython

from capture_agent.books import Ledger
from capture_agent.clock import Clock
from capture_agent.records.datagram import Datagram
from capture_agent.streams import limits
from capture_agent.streams.connection_keys import addresses_in, key_of, opposite
from capture_agent.streams.counts import NAMES, OTHERS_OF_WEBSOCKETS, REASONS, SEGMENTS, WEBSOCKET, Counts
from capture_agent.streams.layers import Attendant, MakeLayers, PutBelow, layers_of, with_below
from capture_agent.streams.limits import MAX_BYTES, MAX_STREAMS
from capture_agent.streams.outlet import Emitter, Outlet
from capture_agent.streams.sctp import SctpAssociations
from capture_agent.streams.tcp import Stream

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.datagram import WHOLE_MESSAGE

UDP = cython.declare(cython.int, 17)
TCP = cython.declare(cython.int, 6)
SYN = cython.declare(cython.int, 0x02)
RST = cython.declare(cython.int, 0x04)
FIN_SYN_RST = cython.declare(cython.int, 0x07)
CLOSED = cython.declare(cython.int, limits.SegmentReject.CLOSED)
EXACT_NS = cython.declare(cython.longlong, limits.SECOND_NS)
IDLE_NS = cython.declare(cython.longlong, limits.IDLE_NS)
PATIENCE_NS = cython.declare(cython.longlong, limits.PATIENCE_NS)


@cython.final
@cython.cclass
class Streams:
    """Keeps the directions of all connections, within bounds: see limits.py.

    `counts` has what happened to every segment.
    """

    __slots__ = (
        "_attendant",
        "_buffering",
        "_clock",
        "_known",
        "_latest",
        "_make_layers",
        "_max_bytes",
        "_max_streams",
        "_outlet",
        "_table",
        "_untold",
        "_waiting",
        "buffered",
        "counts",
        "sctp",
    )

    def __init__(
        self,
        max_streams: int = MAX_STREAMS,
        max_bytes: int = MAX_BYTES,
        make_layers: MakeLayers = layers_of,
    ) -> None:
        self.counts = Counts()
        self._clock = Clock()
        self.sctp = SctpAssociations(clock=self._clock)
        self.buffered = 0  # bytes that all streams hold
        self._outlet = Outlet(self.counts)
        self._make_layers = make_layers
        self._attendant: Attendant | None = None
        self._max_streams = max_streams
        self._max_bytes = max_bytes
        self._known: dict[bytes, Stream] = {}
        # Each has the least recently used first; the first table has all streams.
        self._table: OrderedDict[bytes, Stream] = OrderedDict()
        self._buffering: OrderedDict[bytes, Stream] = OrderedDict()  # those that hold bytes
        self._waiting: OrderedDict[bytes, Stream] = OrderedDict()  # those that wait for other bytes
        self._latest: Stream | None = None
        self._untold: dict[bytes, object] = {}  # news of streams whose other direction is not there yet

    def attend(self, put_below: PutBelow, attendant: Attendant) -> None:
        """One more layer, the lowest, for streams that begin from now on: it waits for something else than packets."""
        self._make_layers = with_below(self._make_layers, put_below)
        self._attendant = attendant
        self._max_bytes += attendant.room

    def __len__(self) -> int:
        return len(self._table)

    def messages(self, datagrams: list[Datagram]) -> list[Datagram]:
        """These datagrams, with TCP segments and SCTP packets replaced by the messages that they complete.

        If all are UDP, and nobody attends, it is the same list.
        """
        datagram: Datagram
        seen_ns: cython.longlong
        there: cython.bint = False
        out: list[Datagram]
        for datagram in datagrams:
            if datagram.protocol != UDP:
                there = True
                break
        if not there and self._attendant is None:
            return datagrams
        out = self._outlet.out = []
        for datagram in datagrams:
            if datagram.protocol == UDP or datagram.flags & WHOLE_MESSAGE:
                out.append(datagram)
            elif datagram.protocol == TCP:
                seen_ns = self._clock.tick(datagram.time_ns)
                self._segment(datagram, max(self._clock.now_ns, seen_ns))
            else:
                out.extend(self.sctp.feed(datagram))
        self._look_after(self._clock.now_ns)
        if self._attendant is not None:
            self._attendant.look_after(self._clock.now_ns)
        self._let_go()
        return out

    def close(self) -> list[Datagram]:
        """The capture has ended: messages that are complete after gaps come out, and the rest is counted."""
        out: list[Datagram] = []
        stream: Stream
        self._outlet.out = out
        for stream in self._table.values():
            stream.flush()
        if self._attendant is not None:
            self._attendant.close()
        self._known.clear()
        self._table.clear()
        self._buffering.clear()
        self._waiting.clear()
        self._untold.clear()
        self._latest = None
        out += self.sctp.close()
        self._clock.reset()
        self.buffered = 0
        self._let_go()
        return out

    def ledgers(self) -> Iterator[Ledger]:
        """Only those with entries: most hosts have SIP over UDP alone."""
        if self.counts.seen:
            yield SEGMENTS.ledger(self.counts.seen, self.outcomes(), self.rejected())
        others = self.websocket_rejected()
        delivered = self.counts.websocket_messages
        if delivered or any(others.values()):
            yield WEBSOCKET.ledger(delivered + sum(others.values()), {"delivered": delivered}, others)
        yield from self.sctp.ledgers()
        if self._attendant is not None:
            yield from self._attendant.ledgers()

    def outcomes(self) -> Mapping[str, int]:
        """Of segments."""
        return {name: getattr(self.counts, name) for name in SEGMENTS.outcomes}

    def rejected(self) -> Mapping[str, int]:
        """Segments by reason."""
        return {name: self.counts.rejected[reason] for reason, name in REASONS.items()}

    def websocket_rejected(self) -> Mapping[str, int]:
        """WebSocket messages that did not become SIP, by reason."""
        return {reason: getattr(self.counts, name) for name, reason in OTHERS_OF_WEBSOCKETS.items()}

    def notes(self) -> Mapping[str, int]:
        """What did not become a message, and why: all other numbers of Counts, by name."""
        in_ledgers = {"seen", "rejected", *self.outcomes()}
        return {name: getattr(self.counts, name) for name in NAMES if name not in in_ledgers}

    def _let_go(self) -> None:
        """Keep no buffer of a batch."""
        self._outlet.carrier = None
        self._outlet.out = []

    def _segment(self, segment: Datagram, seen_ns: cython.longlong) -> cython.bint:
        stream: Stream | None
        key: bytes
        empty: cython.bint = segment.start >= segment.end and not segment.missing
        self.counts.seen += 1
        if empty and not segment.flags & FIN_SYN_RST:
            self.counts.empty += 1
            return True
        key = key_of(segment)
        stream = self._known.get(key)
        if stream is None:
            if not segment.flags & SYN and (segment.start >= segment.end or segment.flags & RST):
                if segment.start >= segment.end:
                    self.counts.empty += 1
                else:
                    self.counts.rejected[CLOSED] += 1
                return True
            stream = self._open(key, segment, seen_ns)
        elif stream is not self._latest:
            self._touch(key, stream, seen_ns)
        self._latest = stream
        if stream.accept(segment, seen_ns):
            self._settle(key, stream)
        return True

    def _open(self, key: bytes, first: Datagram, now_ns: cython.longlong) -> Stream:
        if len(self._table) >= self._max_streams:
            self._evict(next(iter(self._table)))
        emitter = Emitter(addresses_in(key), self._outlet)
        stream = self._table[key] = self._known[key] = Stream(first, emitter, self._make_layers, now_ns)
        return stream

    def _touch(self, key: bytes, stream: Stream, now_ns: cython.longlong) -> cython.bint:
        """Marks it as used. Unless one is about to be evicted, its place need not be exact to the second."""
        if not 0 <= now_ns - stream.touched_ns < EXACT_NS or 2 * len(self._known) > self._max_streams:
            self._table.move_to_end(key)
            stream.touched_ns = now_ns
        return True

    def _settle(self, key: bytes, stream: Stream) -> cython.bint:
        """Account for the bytes that it holds now."""
        size: cython.Py_ssize_t = stream.buffered()
        waits: cython.bint = stream.waits()
        self.buffered += size - stream.account
        if size:
            if not stream.account:
                self._buffering[key] = stream
            elif 2 * self.buffered > self._max_bytes:  # else their order does not matter yet
                self._buffering.move_to_end(key)
        elif stream.account:
            del self._buffering[key]
        stream.account = size
        if waits and not stream.in_line:
            self._waiting[key] = stream
        elif stream.in_line and not waits:
            del self._waiting[key]
        elif waits and stream.line_ns != stream.order.since_ns:  # it must not hold up others
            self._waiting.move_to_end(key)
        stream.in_line = waits
        stream.line_ns = stream.order.since_ns
        if size:
            news = stream.order.layer.learned()
            if news is not None or self._untold:
                self._tell_other(key, news)
        while self.buffered > self._max_bytes:
            self._evict(next(iter(self._buffering)))
        return True

    def _tell_other(self, key: bytes, news: object) -> cython.bint:
        """What one direction has learned of the other one, such as how a WebSocket is compressed (RFC 7692 7.1).

        If the other one is not there yet, it is told when this one has a segment again.
        """
        told: object = self._untold.pop(key, None) if news is None else news
        other: Stream | None = None
        if told is not None:
            other = self._known.get(opposite(key))
            if other is None:
                self._untold[key] = told
            else:
                other.order.layer.learn(told)
        return True

    def _look_after(self, now_ns: cython.longlong) -> None:
        """Streams that have waited, or have been idle, for too long by packet time."""
        key: bytes
        stream: Stream
        while self._waiting:
            key = next(iter(self._waiting))
            stream = self._waiting[key]
            if self._clock.is_ahead(stream.order.since_ns, PATIENCE_NS):
                stream.order.since_ns = stream.line_ns = now_ns
                self._waiting.move_to_end(key)
                continue
            if now_ns - stream.order.since_ns < PATIENCE_NS:
                break
            del self._waiting[key]
            stream.in_line = False
            stream.give_up_waiting(now_ns)
            self._settle(key, stream)
        while self._table:
            key = next(iter(self._table))
            stream = self._table[key]
            if self._clock.is_ahead(stream.last_ns, EXACT_NS):
                stream.last_ns = now_ns
                self._table.move_to_end(key)
                continue
            if now_ns - stream.last_ns < IDLE_NS:
                break
            self.counts.expired += 1
            self._drop(key)

    def _evict(self, key: bytes) -> None:
        stream: Stream = self._table[key]
        if not stream.order.closed:
            self.counts.evicted += 1
        self._drop(key)

    def _drop(self, key: bytes) -> None:
        stream: Stream = self._table.pop(key)
        del self._known[key]
        self._untold.pop(key, None)
        stream.flush()
        self.buffered -= stream.account
        stream.account = 0
        stream.in_line = False
        self._buffering.pop(key, None)
        self._waiting.pop(key, None)
        if stream is self._latest:
            self._latest = None
