"""One RTP stream, and what is counted of each packet. Hot: compiled with rtp_stream.pxd, or plain Python."""

# Code that is only compiled uses names of the .pxd.
# mypy: disable-error-code="name-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

import cython

from capture_agent.media.media_table import MediaCall
from capture_agent.media.rtp_formats import format_of

# RFC 3550 A.1: a packet so far from the others is only believed if the next one follows it.
MAX_DROPOUT = cython.declare(cython.longlong, 3000)
MAX_MISORDER = cython.declare(cython.longlong, 100)
WINDOW = cython.declare(cython.longlong, 64)  # packets up to the latest one whose duplicates are known
ROUND = cython.declare(cython.uint, 0x10000)
ODD_MS = cython.declare(cython.double, 10_000.0)  # between time and timestamps: the timestamps have begun anew
ONE = cython.declare(cython.ulonglong, 1)
MILLISECOND = cython.declare(cython.double, 1e-6)  # in ns


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.cclass
class RtpCounts:
    """What is counted of a stream, or of one interval of it."""

    __slots__ = (
        "begin_ns", "deltas", "dtmf_events", "duplicates", "end_ns", "expected", "gap_at_ns", "gap_ns", "jitters",
        "max_delta_ms", "max_jitter_ms", "max_skew_ms", "octets", "out_of_order", "packets", "sum_delta_ms",
        "sum_jitter_ms",
    )  # fmt: skip

    def __init__(self, begin_ns: cython.longlong) -> None:
        self.begin_ns = self.end_ns = self.gap_at_ns = begin_ns
        self.gap_ns = 0
        self.octets = self.packets = self.expected = self.out_of_order = self.duplicates = self.dtmf_events = 0
        self.deltas = self.jitters = 0  # how many are in the sums
        self.sum_delta_ms = self.sum_jitter_ms = 0.0
        self.max_delta_ms = self.max_jitter_ms = self.max_skew_ms = 0.0

    def add(self, later: RtpCounts) -> None:
        """Those of the next interval."""
        self.end_ns = later.end_ns
        self.octets += later.octets
        self.packets += later.packets
        self.expected += later.expected
        self.out_of_order += later.out_of_order
        self.duplicates += later.duplicates
        self.dtmf_events += later.dtmf_events
        self.deltas += later.deltas
        self.jitters += later.jitters
        self.sum_delta_ms += later.sum_delta_ms
        self.sum_jitter_ms += later.sum_jitter_ms
        self.max_delta_ms = max(self.max_delta_ms, later.max_delta_ms)
        self.max_jitter_ms = max(self.max_jitter_ms, later.max_jitter_ms)
        if abs(later.max_skew_ms) > abs(self.max_skew_ms):
            self.max_skew_ms = later.max_skew_ms
        if later.gap_ns > self.gap_ns:
            self.gap_ns, self.gap_at_ns = later.gap_ns, later.gap_at_ns


@cython.final
@cython.cclass
class RtpStream:
    """Sequence numbers have 32 bits here: 16 of the packet, and the rounds, from 1 on."""

    __slots__ = (
        "before", "call", "counts", "dscp", "earlier", "event", "first", "following", "formats", "had_event", "highest",
        "is_event", "jitter_ms", "key", "last_ns", "now_type", "other", "payload_type", "rate",
        "reference", "reference_ns", "reference_rate", "report_ns", "sibling", "skew_ms", "ssrc", "ssrc_changes",
        "tick_ns", "votes", "whole", "wild", "window",
    )  # fmt: skip

    def __init__(
        self, key: bytes, ssrc: cython.uint, call: MediaCall, formats: bytes, sequence: cython.uint,
        time_ns: cython.longlong, dscp: cython.uchar,
    ) -> None:  # fmt: skip
        self.key = key  # source, its port, destination, its port
        self.ssrc = ssrc
        self.call = call
        self.formats = formats
        self.dscp = dscp
        self.counts = RtpCounts(time_ns)  # since the last report
        self.whole: RtpCounts | None = None  # up to the last report; None: there was none
        self.other: RtpStream | None = None  # the next one of its pair of places
        self.sibling: RtpStream | None = None  # the next one of its call
        self.before = self.following = self  # in the line, from the one that was silent longest on
        self.first = ROUND + sequence
        self.highest = self.first - 1
        self.window = 0  # a bit for each of the latest packets that came; the lowest is that of `highest`
        self.wild = -1  # the sequence number that would confirm a wild one
        self.earlier = 0  # packets that were expected before the sequence numbers began anew
        self.last_ns = time_ns  # of the last packet
        self.reference = self.reference_rate = 0  # timestamp and clock that the next packet is compared with
        self.reference_ns = 0
        self.jitter_ms = self.skew_ms = 0.0
        self.now_type = self.payload_type = -1  # of the last packet; of most packets: a vote
        self.rate = self.votes = self.ssrc_changes = 0
        self.event = 0  # the timestamp of the last one
        self.had_event: cython.bint = False
        self.is_event: cython.bint = False
        self.tick_ns = self.report_ns = 0  # when it last said that it goes on; when it is to be reported

    def learn(self, formats: bytes) -> None:
        """A later description of its place."""
        if formats != self.formats:
            self.formats = formats
            self.now_type = -1  # it is read again

    def expected(self) -> int:
        """By sequence numbers, since its begin."""
        return self.earlier + self.highest - self.first + 1

    def all_counts(self) -> RtpCounts:
        """Those of the whole stream, once it is over."""
        if self.whole is None:
            return self.counts
        self.whole.add(self.counts)
        return self.whole

    def next_interval(self, begin_ns: cython.longlong) -> None:
        if self.whole is None:
            self.whole = self.counts
        else:
            self.whole.add(self.counts)
        self.counts = RtpCounts(begin_ns)

    def settle(self) -> None:
        """Bring up to date what is not counted packet by packet."""
        counts: RtpCounts = self.counts
        counts.expected = self.expected() - (0 if self.whole is None else self.whole.expected)
        counts.end_ns = self.last_ns

    def take(
        self, data: bytes, at: cython.Py_ssize_t, octets: cython.Py_ssize_t, time_ns: cython.longlong,
        is_first: cython.bint,
    ) -> cython.bint:  # fmt: skip
        """Count the packet at this place, whose header is whole, with this many bytes of payload."""
        gap_ns: cython.longlong = time_ns - self.last_ns
        if gap_ns > self.counts.gap_ns:
            self.counts.gap_ns = gap_ns
            self.counts.gap_at_ns = self.last_ns
        self.last_ns = time_ns
        if not self._in_sequence(data[at + 2] << 8 | data[at + 3], octets, gap_ns):
            return False
        second: cython.int = data[at + 1]
        kind: cython.int = second & 0x7F
        # After a silence that was meant, no time is unusual.
        begins: cython.bint = is_first or second >= 0x80 or is_noise(kind) or is_noise(self.now_type)
        if kind != self.now_type:
            self._change_type(kind)
        compared: cython.bint = self._in_time(kind, be32(data, at + 4), time_ns)
        if begins:
            return True
        delta_ms: cython.double = gap_ns * MILLISECOND
        counts: RtpCounts = self.counts
        counts.deltas += 1
        counts.sum_delta_ms += delta_ms
        counts.max_delta_ms = max(counts.max_delta_ms, delta_ms)
        if compared:
            counts.jitters += 1
            counts.sum_jitter_ms += self.jitter_ms
            counts.max_jitter_ms = max(counts.max_jitter_ms, self.jitter_ms)
        return True

    def _change_type(self, kind: cython.int) -> cython.bint:
        found = format_of(self.formats, kind)
        self.now_type = kind
        self.rate = found.clock_rate
        self.is_event = found.is_event
        return True

    @cython.exceptval(check=False)
    def _in_sequence(self, sequence: cython.uint, octets: cython.Py_ssize_t, gap_ns: cython.longlong) -> cython.bint:
        """Count a packet by its sequence number; whether it belongs to the others (RFC 3550 A.1)."""
        counts: RtpCounts = self.counts
        ahead: cython.longlong = (sequence - self.highest) & 0xFFFF
        back: cython.longlong = 0x10000 - ahead
        if ahead == 0 or (back < WINDOW and self.window >> back & 1):
            counts.duplicates += 1
            return True
        if ahead < 0x8000 and (ahead < MAX_DROPOUT or ahead * 1_000_000 <= gap_ns):
            self.window = (self.window << ahead & 0xFFFFFFFFFFFFFFFF if ahead < WINDOW else 0) | 1
            self.highest += ahead
        elif back <= MAX_MISORDER:
            if back < WINDOW:
                self.window |= ONE << back
            counts.out_of_order += 1
            self.first = min(self.first, self.highest - back)
        elif cython.cast(cython.int, sequence) == self.wild:  # it has begun anew, with the packet before this one
            self.earlier += self.highest - self.first + 1
            self.highest = ROUND + sequence
            self.first = self.highest - 1
            self.window = 3
            self.wild = -1
            self.reference_rate = 0
            counts.packets += 1
            counts.octets += octets
        else:
            self.wild = (sequence + 1) & 0xFFFF
            return False
        counts.packets += 1
        counts.octets += octets
        return True

    @cython.exceptval(check=False)
    def _in_time(self, kind: cython.int, timestamp: cython.uint, time_ns: cython.longlong) -> cython.bint:
        """Count a packet by its timestamp: jitter (RFC 3550 A.8); whether it could be compared with another one."""
        if self.is_event:
            if not self.had_event or signed(timestamp - self.event) > 0:
                self.counts.dtmf_events += 1
                self.event = timestamp
                self.had_event = True
            return False
        self._vote(kind)
        if not self.rate:
            return False
        ticks: cython.longlong = signed(timestamp - self.reference)
        rate: cython.double = self.rate
        off_ms: cython.double = (time_ns - self.reference_ns) * MILLISECOND - ticks * 1000 / rate
        compared: cython.bint = self.rate == self.reference_rate and -ODD_MS < off_ms < ODD_MS
        if compared:
            self.jitter_ms += (abs(off_ms) - self.jitter_ms) / 16
            self.skew_ms -= off_ms
            if abs(self.skew_ms) > abs(self.counts.max_skew_ms):
                self.counts.max_skew_ms = self.skew_ms
        else:
            self.skew_ms = 0.0
            self.reference_rate = self.rate
        self.reference = timestamp
        self.reference_ns = time_ns
        return compared

    @cython.exceptval(check=False)
    def _vote(self, kind: cython.int) -> cython.void:
        """The type of more than half of the packets wins, whatever their order (Boyer and Moore)."""
        if kind == self.payload_type:
            self.votes += 1
        elif self.votes:
            self.votes -= 1
        else:
            self.payload_type = kind
            self.votes = 1


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def signed(number: cython.uint) -> cython.int:
    """The difference of two timestamps, which wrap around."""
    if not cython.compiled:
        return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    return cython.cast(cython.int, number)


@cython.cfunc
@cython.exceptval(0xFFFFFFFF, check=True)
def be32(data: bytes, at: cython.Py_ssize_t) -> cython.uint:
    if not cython.compiled:
        return int.from_bytes(data[at : at + 4], "big")
    if not 0 <= at <= len(data) - 4:
        raise IndexError("a number outside of its buffer")
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(data)) + at
    return cython.cast(cython.uint, text[0]) << 24 | text[1] << 16 | text[2] << 8 | text[3]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_noise(kind: cython.int) -> cython.bint:
    """Comfort noise (RFC 3389), also with the number that it had before."""
    return kind == 13 or kind == 19
