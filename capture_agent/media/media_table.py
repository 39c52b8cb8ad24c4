"""Which call has announced an address and port. Hot: compiled with media_table.pxd, or plain Python.

Bounded in places and in bytes: the call that was silent longest makes room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING

from capture_agent.clock import SECOND_NS
from capture_agent.media.media_addresses import Place
from capture_agent.media.rtp_formats import later
from capture_agent.records.traced import Trace

if TYPE_CHECKING:
    from capture_agent.media.call_directions import CallDirections
    from capture_agent.media.rtp_stream import RtpStream

LINGER_NS = 60 * SECOND_NS  # after BYE or a refusal: last reports, and forks that are answered after all
MOST_OF_CALL = 256  # places of one call: its oldest make room
BYTES_EACH = 512  # of all places together, per place that may be held

# Bytes that a place and a call take, apart from their texts: objects, and their slots in the tables.
PLACE_COST, CALL_COST, DIRECTIONS_COST, FORMATS_COST = 150, 300, 250, 100

Traces = tuple[tuple[Trace, int], ...]  # each with the sinks that get it


class MediaCall:
    """A call with media. `following`, `before`: its neighbours, from the one that was silent longest on."""

    __slots__ = (
        "answered", "before", "call_id", "directions", "ending", "following", "formats", "measured", "places",
        "secure", "since_ns", "stream_count", "streams", "traces",
    )  # fmt: skip

    def __init__(self, call_id: bytes, since_ns: int) -> None:
        self.call_id = call_id
        self.since_ns = since_ns  # the last session description or packet; or when it was over
        self.traces: Traces = ()
        self.places: tuple[bytes, ...] = ()
        self.formats: tuple[bytes | None, ...] = ()  # of each place; None: no RTP goes there, as to any without them
        self.measured = False  # its RTP
        self.directions: CallDirections | None = None  # of a measured call up to its BYE
        self.streams: RtpStream | None = None  # the latest one
        self.stream_count = 0
        self.secure = False  # SRTP: only the first 8 bytes of RTCP can be read
        self.answered = False
        self.ending = False
        self.before = self.following = self

    def unlink(self) -> None:
        self.before.following, self.following.before = self.following, self.before
        self.before = self.following = self

    def put_before(self, other: MediaCall) -> None:
        self.unlink()
        self.before, self.following = other.before, other
        other.before.following = other.before = self

    @property
    def cost(self) -> int:
        cost = CALL_COST + len(self.call_id) + PLACE_COST * len(self.places)
        if self.formats:
            cost += sum([FORMATS_COST + len(one) for one in {*self.formats} if one is not None])
        if self.directions is not None:
            cost += DIRECTIONS_COST
        return cost

    def formats_at(self, place: bytes) -> bytes | None:
        return self.formats[self.places.index(place)] if self.formats else None


class MediaTable:
    """Calls by the places that they have announced; the last one that announces a place has it."""

    def __init__(self, most: int, idle_ns: int, on_end: Callable[[MediaCall], None] | None = None) -> None:
        """`on_end`: told of each call that is forgotten."""
        self._most = most
        self._on_end = on_end
        self._idle_ns = idle_ns
        self._calls: dict[bytes, MediaCall] = {}
        self.places: dict[bytes, MediaCall] = {}
        self._going_on, self._ending = MediaCall(b"", 0), MediaCall(b"", 0)  # the ends of two lines
        self.bytes = 0
        self.evicted = 0  # places

    def __len__(self) -> int:
        return len(self.places)

    def call(self, call_id: bytes) -> MediaCall | None:
        return self._calls.get(call_id)

    def announce(
        self, call_id: bytes, places: Iterable[tuple[Place, bytes | None]], traces: Traces, secure: bool, now_ns: int
    ) -> None:
        """More places of this call, which goes on, each with its formats."""
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = MediaCall(call_id, now_ns)
        else:
            self.bytes -= call.cost
        call.traces, call.secure, call.ending, call.since_ns = traces, secure, False, now_ns
        formats = dict(zip(call.places, call.formats or repeat(None), strict=False)) if call.places else {}
        taken: dict[bytes, set[bytes]] = {}  # from other calls
        for place, known in places:
            key = key_of(place)
            if (other := self.places.get(key)) is not call and other is not None:
                taken.setdefault(other.call_id, set()).add(key)
            self.places[key] = call
            formats[key] = later(formats.pop(key, None), known)  # at the end: it is one of the latest
        for others_id, keys in taken.items():
            self._take_from(self._calls[others_id], keys)
        self._keep_latest(call, formats)
        self.bytes += call.cost
        call.put_before(self._going_on)
        self._make_room()

    def direct(self, call: MediaCall, directions: CallDirections | None) -> None:
        """Whether its directions are followed."""
        if (directions is None) != (call.directions is None):
            self.bytes += DIRECTIONS_COST if call.directions is None else -DIRECTIONS_COST
        call.directions = directions

    def find(self, *places: Place) -> MediaCall | None:
        """The call of the first of these places that is announced."""
        for address, port in places:
            # RFC 3550 11: RTCP uses the port after RTP's, unless the description says something else.
            for at in (port, port - 1):
                if (call := self.places.get(key_of((address, at)))) is not None:
                    return call
        return None

    def use(self, call: MediaCall, now_ns: int) -> None:
        if not call.ending:
            call.since_ns = now_ns
            call.put_before(self._going_on)

    def go_on(self, call: MediaCall, now_ns: int) -> None:
        """It was not over: another branch has been answered."""
        call.ending = False
        self.use(call, now_ns)

    def end(self, call: MediaCall, now_ns: int) -> None:
        if not call.ending:
            call.ending, call.since_ns = True, now_ns
            call.put_before(self._ending)

    def expire(self, now_ns: int) -> None:
        for line, wait_ns in ((self._going_on, self._idle_ns), (self._ending, LINGER_NS)):
            while line.following is not line and now_ns - line.following.since_ns >= wait_ns:
                self._drop(line.following)

    def forget(self) -> None:
        for line in (self._going_on, self._ending):
            while line.following is not line:
                self._drop(line.following)

    def _take_from(self, other: MediaCall, keys: set[bytes]) -> None:
        self.bytes -= other.cost
        if other.directions is not None:
            other.directions.shared = True
        kept = [n for n, one in enumerate(other.places) if one not in keys]
        other.places = tuple(other.places[n] for n in kept)
        other.formats = other.formats and tuple(other.formats[n] for n in kept)
        self.bytes += other.cost
        if not other.places:
            self._drop(other)

    def _keep_latest(self, call: MediaCall, formats: dict[bytes, bytes | None]) -> None:
        if (surplus := len(formats) - min(MOST_OF_CALL, self._most)) > 0:
            for key in list(formats)[:surplus]:
                del self.places[key], formats[key]
            self.evicted += surplus
        call.places = tuple(formats)
        call.formats = tuple(formats.values()) if any(one is not None for one in formats.values()) else ()

    def _make_room(self) -> None:
        while len(self.places) > self._most or self.bytes > BYTES_EACH * self._most:
            oldest = next(self._oldest())
            self.evicted += len(oldest.places)
            self._drop(oldest)

    def _oldest(self) -> Iterator[MediaCall]:
        yield from (line.following for line in (self._ending, self._going_on) if line.following is not line)

    def _drop(self, call: MediaCall) -> None:
        self.bytes -= call.cost
        call.unlink()
        del call.before, call.following  # they lead to itself: nothing would free it soon
        del self._calls[call.call_id]
        if self._on_end is not None:
            self._on_end(call)
        for key in call.places:
            del self.places[key]


def key_of(place: Place) -> bytes:
    return place[0] + (place[1] & 0xFFFF).to_bytes(2, "big")
