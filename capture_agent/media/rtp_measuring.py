"""RTP of traced calls: its streams are measured, and reported with the traces of their call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from capture_agent.books import Account, HeldTable, Ledger
from capture_agent.clock import SECOND_NS, Clock
from capture_agent.config.media_options import MediaSection
from capture_agent.hashing import TEXT, number_of
from capture_agent.media.call_directions import CallDirections, author_tag
from capture_agent.media.e_model import quality
from capture_agent.media.media_addresses import Place
from capture_agent.media.media_table import MediaCall, MediaTable, key_of
from capture_agent.media.quality_counts import QualityCounts
from capture_agent.media.rtp_formats import format_of
from capture_agent.media.rtp_json import rtp_json
from capture_agent.media.rtp_stream import RtpStream
from capture_agent.media.rtp_table import RtpTable
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import RtcpReport, RtpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage

MEASURED, NOT_SAMPLED, DUPLICATE, WAITING = "measured", "not_sampled", "duplicate", "waiting"
UNANNOUNCED, CUT, HEADER, CROWDED = "unannounced", "cut", "header", "crowded"
ACCOUNT = Account("rtp", (MEASURED, NOT_SAMPLED, DUPLICATE, WAITING), rejected=(UNANNOUNCED, CUT, HEADER, CROWDED))
END = (1 << 63) - 1  # later than any packet
SILENT_NS = 5 * SECOND_NS  # after the end of its call: a stream is over
MOST_ENDED = 10_000  # calls whose streams wait for that; of more, the first does not wait

Traced = list[TracedMessage]


class Directs(Protocol):
    """The policy, as far as it concerns reports."""

    on: bool

    def direction_of(self, datagram: Datagram) -> Direction: ...


class RtpMeasuring:
    """Counts: seen = measured + not_sampled + duplicate + waiting + the sum of rejected."""

    def __init__(
        self,
        options: MediaSection,
        table: MediaTable,
        clock: Clock,
        is_copy: Callable[[Datagram], bool] | None,
        counts: QualityCounts,
    ) -> None:
        self.counts = counts
        self._one_of = options.rtp_sample if options.rtp == "sample" else 1
        self._table = table
        self._clock = clock
        # Two sets of counts of a stream take a fifth more: all streams together do not.
        most = options.streams * 4 // 5 if options.report_seconds else options.streams
        self.streams = RtpTable(table.places, clock, self, most, options.report_seconds * SECOND_NS, is_copy)
        self.taken: list[Datagram] = []  # until the messages of their batch have been decided on
        self._at = 0  # how many of them are counted
        self.seen = 0
        self._figures: list[tuple[MediaCall, StreamFigures]] = []  # not yet reported
        self._ended: deque[tuple[int, MediaCall]] = deque()  # calls that have just ended, and when

    def is_measured(self, call_id: bytes) -> bool:
        """One call of so many, all its streams or none: nobody can choose which."""
        return self._one_of == 1 or number_of(call_id, 0, len(call_id), TEXT, 0) % self._one_of == 0

    def measure(self, before_ns: int, policy: Directs) -> Traced:
        """Counts what was taken before that time, and reports what is due."""
        self._at = self.streams.count(self.taken, self._at, before_ns)
        return self.reports(policy) if self._figures else []

    def end_batch(self) -> None:
        self.streams.count(self.taken, self._at, END)
        self.taken, self._at = [], 0
        now_ns = self._clock.now_ns
        while self._ended and (now_ns - self._ended[0][0] >= SILENT_NS or len(self._ended) > MOST_ENDED):
            _, call = self._ended.popleft()
            if call.ending:
                self.streams.end_call(call, now_ns - SILENT_NS)
        self.streams.expire(now_ns)

    def close(self, policy: Directs) -> Traced:
        """All streams are over."""
        self.streams.forget()
        self._ended.clear()
        return self.reports(policy)

    def forget(self) -> None:
        """What `close` has not reported is not reported any more."""
        self.streams.forget()
        self._figures = []
        self._ended.clear()

    def describe(self, call: MediaCall, message: CapturedMessage, sdp: bytes, places: Iterable[Place]) -> None:
        """A description of this call: whether it is measured, and who is to hear something."""
        call.measured = self.is_measured(call.call_id)
        if call.measured:
            directions = call.directions or CallDirections(author_tag(message), self.counts.sides.side(message))
            self._table.direct(call, directions)
            directions.describe(message, sdp, map(key_of, places), call.places)
            learn_formats(call)

    def ends(self, call: MediaCall, now_ns: int) -> None:
        """Its BYE or refusal: streams that are silent soon after do not wait until nobody asks for it any more."""
        if not call.ending and call.streams is not None:
            self._ended.append((now_ns, call))

    def call_over(self, call: MediaCall, now_ns: int) -> None:
        """Its first BYE."""
        directions = call.directions
        self._table.direct(call, None)
        if directions is not None and directions.answered_ns:
            self.counts.call_over(directions.judged(now_ns), directions.side)

    def begins(self, stream: RtpStream, now_ns: int) -> None:
        call: MediaCall = stream.call
        if call.directions is not None:
            half = len(stream.key) // 2
            call.directions.hear(stream.key[:half], stream.key[half:], call.places)
        self.goes_on(call, now_ns)

    def goes_on(self, call: MediaCall, now_ns: int) -> None:
        self._table.use(call, now_ns)

    def report(self, stream: RtpStream, final: bool) -> None:
        figures = figures_of(stream, final)
        self._figures.append((stream.call, figures))
        if final:
            self.counts.stream_over(figures)

    def reports(self, policy: Directs) -> Traced:
        figures, self._figures = self._figures, []
        return [one for call, found in figures for one in reported(call, found, policy)]

    def ledger(self) -> Ledger:
        table = self.streams
        outcomes = {
            MEASURED: table.measured, NOT_SAMPLED: table.not_sampled, DUPLICATE: table.duplicate,
            WAITING: len(self.taken) - self._at,
        }  # fmt: skip
        rejected = {
            UNANNOUNCED: table.unannounced, CUT: table.cut, HEADER: table.header, CROWDED: table.crowded
        }  # fmt: skip
        return ACCOUNT.ledger(self.seen, outcomes, rejected)

    def held_table(self) -> HeldTable:
        return HeldTable("rtp_streams", self.streams.held, self.streams.evicted)


def reported(call: MediaCall, figures: StreamFigures, policy: Directs) -> Traced:
    """The report goes where the messages of its call went, with their masks."""
    if not policy.on:
        return []
    addresses = figures.source + figures.destination
    data = addresses + rtp_json(figures)
    datagram = Datagram(
        data, len(addresses), len(data), 0, len(figures.source), figures.source_port, figures.destination_port,
        figures.end_ns,
    )  # fmt: skip
    return traced_as(call, RtpReport, datagram, policy)


def traced_as(call: MediaCall, kind: type[RtpReport | RtcpReport], datagram: Datagram, policy: Directs) -> Traced:
    """A report with the traces of its call."""
    # An id of the trace goes before this one; groups share calls by this one, as they do for SIP.
    report = kind(datagram, Origin(correlation_id=call.call_id))
    direction = policy.direction_of(datagram)
    return [TracedMessage(report, direction, trace, sinks) for trace, sinks in call.traces]


def learn_formats(call: MediaCall) -> None:
    """A codec that a later description adds is that of streams that run, too."""
    formats = dict(zip(call.places, call.formats, strict=False))
    stream = call.streams if formats else None
    while stream is not None:
        half = len(stream.key) // 2
        known = formats.get(stream.key[half:]) or formats.get(stream.key[:half])
        if known is not None:
            stream.learn(known)
        stream = stream.sibling


def figures_of(stream: RtpStream, final: bool) -> StreamFigures:
    counts = stream.all_counts() if final else stream.counts
    half = len(stream.key) // 2
    source, destination = stream.key[:half], stream.key[half:]
    call: MediaCall = stream.call
    # Without a vote it has telephone events only.
    payload_type = stream.payload_type if stream.payload_type >= 0 else max(stream.now_type, 0)
    known = format_of(stream.formats, payload_type)
    lost = max(0, counts.expected - counts.packets)
    mean_jitter = counts.sum_jitter_ms / counts.jitters if counts.jitters else 0.0
    r_factor, mos = quality(known.codec, lost / counts.expected if counts.expected > 0 else 0.0, mean_jitter)
    return StreamFigures(
        call_id=call.call_id,
        source=source[:-2],
        source_port=int.from_bytes(source[-2:], "big"),
        destination=destination[:-2],
        destination_port=int.from_bytes(destination[-2:], "big"),
        ssrc=stream.ssrc,
        payload_type=payload_type,
        codec=known.codec,
        clock_rate=known.clock_rate,
        begin_ns=counts.begin_ns,
        end_ns=counts.end_ns,
        packets=counts.packets,
        octets=counts.octets,
        expected=counts.expected,
        lost=lost,
        out_of_order=counts.out_of_order,
        duplicates=counts.duplicates,
        jitter_ms=stream.jitter_ms,
        max_jitter_ms=counts.max_jitter_ms,
        mean_jitter_ms=mean_jitter,
        mean_delta_ms=counts.sum_delta_ms / counts.deltas if counts.deltas else 0.0,
        max_delta_ms=counts.max_delta_ms,
        max_skew_ms=counts.max_skew_ms,
        longest_gap_ms=counts.gap_ns / 1e6,
        gap_at_ns=counts.gap_at_ns,
        ssrc_changes=stream.ssrc_changes,
        dtmf_events=counts.dtmf_events,
        dscp=stream.dscp,
        r_factor=r_factor,
        mos=mos,
        secure=call.secure,
        final=final,
    )
