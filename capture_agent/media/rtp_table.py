"""Streams of RTP by their places, and when they are reported. Hot: compiled with rtp_table.pxd, or plain Python.

A stream is the packets of one SSRC from one place to another. Several may share a pair of places (BUNDLE, a source that
has changed its SSRC): they form a short chain. Time for expiry is the clock's; the figures have the packets' own times.
"""

# Code that is only compiled uses names of the .pxd.
# mypy: disable-error-code="name-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cython

from capture_agent.clock import SECOND_NS, Clock
from capture_agent.media.media_table import MediaCall
from capture_agent.media.rtp_stream import RtpStream
from capture_agent.records.datagram import Datagram

if not cython.compiled:  # the .pxd cimports it
    from capture_agent.media.rtp_stream import be32

IDLE_NS = cython.declare(cython.longlong, 60 * SECOND_NS)  # a stream that is silent for this long is over
TICK_NS = cython.declare(cython.longlong, 10 * SECOND_NS)  # how often a stream says that it goes on
REPLACED_NS = cython.declare(cython.longlong, 20 * SECOND_NS)  # silent beside another one of its pair: it is over
MOST_OF_PAIR = cython.declare(cython.int, 8)
MOST_OF_CALL = cython.declare(cython.int, 64)
NEVER = cython.declare(cython.longlong, 1 << 62)


class Watches(Protocol):
    """What the table tells: of calls that go on, and of streams to be reported."""

    def begins(self, stream: RtpStream, now_ns: int) -> None: ...

    def goes_on(self, call: MediaCall, now_ns: int) -> None: ...

    def report(self, stream: RtpStream, final: bool) -> None: ...


@cython.final
@cython.cclass
class RtpTable:
    """Streams of calls that have announced a place; the one that was silent longest makes room.

    Counts: seen = measured + not_sampled + duplicate + unannounced + cut + header +
    crowded.
    """

    __slots__ = (
        "_clock", "_is_copy", "_line", "_most", "_report_ns", "_watcher", "crowded", "cut", "duplicate", "evicted",
        "header", "held", "measured", "not_sampled", "places", "streams", "unannounced",
    )  # fmt: skip

    def __init__(
        self, places: dict[bytes, MediaCall], clock: Clock, watcher: Watches, most: int, report_ns: int,
        is_copy: Callable[[Datagram], bool] | None,
    ) -> None:  # fmt: skip
        """`places`: as MediaTable fills it. `report_ns`: 0 reports at the end only."""
        self.places = places
        self._clock = clock
        self._watcher = watcher
        self._most = most
        self._report_ns = report_ns
        self._is_copy = is_copy
        self.streams: dict[bytes, RtpStream] = {}  # the first one of each pair of places
        self._line = RtpStream(b"", 0, MediaCall(b"", 0), b"", 0, 0, 0)  # the ends of the line
        self.held = self.evicted = 0
        self.measured = self.not_sampled = self.duplicate = self.unannounced = self.cut = self.header = 0
        self.crowded = 0

    def count(self, datagrams: list[Datagram], at: cython.Py_ssize_t, before_ns: cython.longlong) -> cython.Py_ssize_t:
        """Counts the datagrams from this one on that were captured before that time; returns where they end."""
        datagram: Datagram
        while at < len(datagrams):
            datagram = datagrams[at]
            if datagram.time_ns >= before_ns:
                break
            self._take(datagram)
            at += 1
        return at

    def expire(self, now_ns: cython.longlong) -> None:
        while self._line.following is not self._line and now_ns - self._line.following.tick_ns >= IDLE_NS + TICK_NS:
            self._end(self._line.following)

    def forget(self) -> None:
        while self._line.following is not self._line:
            self._end(self._line.following)

    def end_call(self, call: MediaCall, since_ns: cython.longlong = NEVER) -> None:
        """Its streams are over, the first one first: those without a packet since then."""
        streams = []
        stream: RtpStream | None = call.streams
        while stream is not None:
            if stream.last_ns <= since_ns:
                streams.append(stream)
            stream = stream.sibling
        for one in reversed(streams):
            self._end(one)

    def _take(self, datagram: Datagram) -> cython.bint:
        data: bytes = datagram.data
        at: cython.Py_ssize_t = datagram.start
        stream: RtpStream
        time_ns: cython.longlong = datagram.time_ns
        if datagram.end - at < 12:
            self.cut += 1
            return False
        if self._is_copy is not None and self._is_copy(datagram):
            self.duplicate += 1
            return False
        octets: cython.Py_ssize_t = datagram.end - at + datagram.missing - 12
        if data[at] != 0x80:
            octets = payload_size(data, at, datagram.end, octets)
            if octets < 0:
                self.header += 1
                return False
        now_ns: cython.longlong = self._clock.tick(time_ns)
        ssrc: cython.uint = be32(data, at + 8)
        pair: bytes = pair_of(datagram)
        stream = self.streams.get(pair)  # type: ignore[assignment]
        while stream is not None and stream.ssrc != ssrc:
            stream = stream.other  # type: ignore[assignment]
        if stream is not None and time_ns - stream.last_ns >= IDLE_NS:
            self._end(stream)
            stream = None  # type: ignore[assignment]
        is_first: cython.bint = stream is None
        if is_first:
            stream = self._begin(datagram, pair, ssrc, now_ns)  # type: ignore[assignment]
            if stream is None:
                return False
        elif now_ns - stream.tick_ns >= TICK_NS or now_ns >= stream.report_ns:
            self._tick(stream, now_ns)
        self.measured += 1
        stream.take(data, at, octets, time_ns, is_first)
        return True

    def _begin(self, datagram: Datagram, pair: bytes, ssrc: cython.uint, now_ns: cython.longlong) -> RtpStream | None:
        """None: its call has announced neither end, is not measured, or has no room for more; it is counted."""
        half: cython.Py_ssize_t = len(pair) // 2
        place: bytes = pair[half:]
        call = self.places.get(place)
        if call is None:
            place = pair[:half]
            call = self.places.get(place)
        formats = None if call is None else call.formats_at(place)
        if call is None or formats is None:
            self.unannounced += 1
            return None
        if not call.measured:
            self.not_sampled += 1
            return None
        if not self._has_room(call, pair, now_ns):
            self.crowded += 1
            return None
        at: cython.Py_ssize_t = datagram.start
        sequence: cython.uint = datagram.data[at + 2] << 8 | datagram.data[at + 3]
        stream: RtpStream = RtpStream(pair, ssrc, call, formats, sequence, datagram.time_ns, dscp_of(datagram))
        first: RtpStream = self.streams.get(pair)  # type: ignore[assignment]
        stream.other = first
        if first is not None:
            stream.key = first.key
        self.streams[stream.key] = stream
        stream.sibling = call.streams
        call.streams = stream
        call.stream_count += 1
        self.held += 1
        put_last(stream, self._line)
        self._watcher.begins(stream, now_ns)
        stream.tick_ns = now_ns
        stream.report_ns = now_ns + self._report_ns if self._report_ns else NEVER
        while self.held > self._most and self._line.following is not stream:
            self.evicted += 1
            self._end(self._line.following)
        return stream

    def _has_room(self, call: MediaCall, pair: bytes, now_ns: cython.longlong) -> cython.bint:
        """For another stream, in its call and in its pair of places: only one that is silent may make room.

        If others did, more sources than that would end each other with every packet, and be reported each time.
        """
        stream: RtpStream | None = call.streams
        silent: RtpStream | None = None
        if call.stream_count >= MOST_OF_CALL:
            while stream is not None:
                if silent is None or stream.tick_ns < silent.tick_ns:
                    silent = stream
                stream = stream.sibling
            if silent is None or now_ns - silent.tick_ns < REPLACED_NS:
                return False
            self._end(silent)
        chained: cython.int = 0
        silent = None
        stream = self.streams.get(pair)
        while stream is not None:
            if silent is None or stream.tick_ns < silent.tick_ns:
                silent = stream
            stream = stream.other
            chained += 1
        if silent is not None and chained >= MOST_OF_PAIR:
            if now_ns - silent.tick_ns < REPLACED_NS:
                return False
            self._end(silent)
        return True

    def _tick(self, stream: RtpStream, now_ns: cython.longlong) -> cython.bint:
        """It goes on: so does its call; what it has replaced is over; perhaps an interval, too."""
        put_last(stream, self._line)
        stream.tick_ns = now_ns
        self._watcher.goes_on(stream.call, now_ns)
        silent = []
        one: RtpStream | None = self.streams.get(stream.key)
        while one is not None:
            if one is not stream and now_ns - one.tick_ns >= REPLACED_NS:
                silent.append(one)
            one = one.other
        for one in reversed(silent):  # the first one first
            self._end(one)
        if now_ns >= stream.report_ns:
            stream.settle()
            self._watcher.report(stream, False)
            stream.next_interval(stream.last_ns)
            stream.report_ns = max(stream.report_ns, now_ns - self._report_ns + 1) + self._report_ns
        return True

    def _end(self, stream: RtpStream) -> cython.bint:
        """Out of all chains, and reported, unless it was a single packet, which is no stream (RFC 3550 A.1)."""
        first: RtpStream | None = self.streams.get(stream.key)
        if first is stream:
            if stream.other is None:
                del self.streams[stream.key]
            else:
                self.streams[stream.key] = stream.other
        if first is not None:
            inherit(stream, first)
        leave_call(stream)
        take_out(stream)
        self.held -= 1
        stream.settle()
        if stream.counts.packets + (0 if stream.whole is None else stream.whole.packets) > 1:
            self._watcher.report(stream, True)
        return True


@cython.cfunc
def pair_of(datagram: Datagram) -> bytes:
    """Its two places, the source first: each as MediaTable has it."""
    size: cython.Py_ssize_t = datagram.address_size
    if not cython.compiled:
        source, destination = datagram.source_port.to_bytes(2, "big"), datagram.destination_port.to_bytes(2, "big")
        return datagram.source + source + datagram.destination + destination
    at: cython.Py_ssize_t = datagram.address_at
    if not 0 < size <= 16 or not 0 <= at <= len(datagram.data) - 2 * size:
        raise IndexError("addresses outside of their buffer")
    pair: bytes = PyBytes_FromStringAndSize(cython.NULL, 2 * size + 4)
    text: cython.p_char = PyBytes_AS_STRING(pair)
    addresses: cython.p_char = PyBytes_AS_STRING(datagram.data) + at
    memcpy(text, addresses, size)
    text[size] = datagram.source_port >> 8
    text[size + 1] = datagram.source_port & 255
    memcpy(text + size + 2, addresses + size, size)
    text[2 * size + 2] = datagram.destination_port >> 8
    text[2 * size + 3] = datagram.destination_port & 255
    return pair


@cython.cfunc
@cython.exceptval(-2)
def payload_size(
    data: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, octets: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Of these bytes after the fixed header, without sources, extension and padding; -1: they do not fit."""
    more: cython.Py_ssize_t = 4 * (data[at] & 0x0F)
    if data[at] & 0x10:  # an extension
        if at + 16 + more > end:
            return octets - more if octets >= more and octets > end - at - 12 else -1  # cut: its length is unknown
        more += 4 + 4 * (data[at + 14 + more] << 8 | data[at + 15 + more])
    octets -= more
    if data[at] & 0x20 and octets > 0 and at + 12 + more + octets <= end:  # padding, unless it was cut off
        octets -= data[at + 11 + more + octets]
    return octets if octets >= 0 else -1


@cython.cfunc
def dscp_of(datagram: Datagram) -> cython.int:
    """Of the IP header before its addresses; 0 if they are in a buffer without one."""
    data: bytes = datagram.data
    at: cython.Py_ssize_t = datagram.address_at - (12 if datagram.address_size == 4 else 8)
    if datagram.frame_at < 0 or at < datagram.frame_at or at + 2 > len(data):
        return 0
    if datagram.address_size == 4:
        return data[at + 1] >> 2
    return (data[at] << 4 | data[at + 1] >> 4) >> 2 & 0x3F


@cython.cfunc
@cython.exceptval(check=False)
def begin_of(stream: RtpStream) -> cython.longlong:
    return stream.counts.begin_ns if stream.whole is None else stream.whole.begin_ns


@cython.cfunc
def inherit(stream: RtpStream, first: RtpStream) -> None:
    """Leave the chain of its pair. The next one that began after its last packet has followed it: a change of SSRC."""
    one: RtpStream | None = first
    heir: RtpStream | None = None
    while one is not None:
        if one.other is stream:
            one.other = stream.other
        if begin_of(one) > stream.last_ns and (heir is None or begin_of(one) < begin_of(heir)):
            heir = one
        one = one.other
    if heir is not None:
        heir.ssrc_changes += stream.ssrc_changes + 1
    stream.other = None


@cython.cfunc
def leave_call(stream: RtpStream) -> None:
    call = stream.call
    call.stream_count -= 1
    one: RtpStream | None = call.streams
    if one is stream:
        call.streams = stream.sibling
    while one is not None:
        if one.sibling is stream:
            one.sibling = stream.sibling
        one = one.sibling
    stream.sibling = None


@cython.cfunc
def take_out(stream: RtpStream) -> None:
    """Of the line."""
    stream.before.following = stream.following
    stream.following.before = stream.before
    stream.before = stream.following = stream


@cython.cfunc
def put_last(stream: RtpStream, line: RtpStream) -> None:
    take_out(stream)
    stream.before = line.before
    stream.following = line
    line.before.following = stream
    line.before = stream
