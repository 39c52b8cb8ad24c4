"""Media of traced calls: learns addresses from what is traced, and gives reports the traces of their call.

Hot: compiled with media_stage.pxd, or plain Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from capture_agent.books import Account, HeldTable, Ledger, OfFrames
from capture_agent.clock import SECOND_NS, Clock
from capture_agent.config.media_options import MediaSection
from capture_agent.media.media_addresses import Announced, Place, announced, is_private
from capture_agent.media.media_sorting import sort_out
from capture_agent.media.media_table import MediaCall, MediaTable, Traces
from capture_agent.media.quality_counts import PeerSides, QualityCounts
from capture_agent.media.rtcp import REASONS, RtcpError, parse
from capture_agent.media.rtcp_json import as_json
from capture_agent.media.rtp_measuring import RtpMeasuring, Traced, traced_as
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import Captured, RtcpReport
from capture_agent.sip.session_description import sdp_of

FRAMES = Account("frames", (OfFrames.CARRIED, OfFrames.MEDIA))
TRACED, NOT_TRACED, DUPLICATE, NO_REPORT = "traced", "not_traced", "duplicate", "no_report"
WAITING = "waiting"
CUT, ENCRYPTED, UNANNOUNCED = "cut", "encrypted", "unannounced"
ACCOUNT = Account(
    "rtcp", (TRACED, NOT_TRACED, DUPLICATE, NO_REPORT, WAITING), rejected=(CUT, ENCRYPTED, UNANNOUNCED, *REASONS)
)


class Decides(Protocol):
    """The policy, as far as it concerns what is not SIP."""

    on: bool

    def direction_of(self, datagram: Datagram) -> Direction: ...

    def pass_on(self, messages: list[Captured]) -> Traced: ...


class Media:
    """Counts: seen = traced + not_traced + duplicate + no_report + waiting + the sum of rejected."""

    def __init__(
        self,
        options: MediaSection,
        idle_seconds: int,
        sides: PeerSides,
        is_copy: Callable[[Datagram], bool] | None = None,
    ) -> None:
        """`sides`: labels of metrics. `is_copy`: whether a packet was captured once more; None: nobody asks."""
        self._options = options
        self._is_copy = is_copy
        self.table = MediaTable(options.streams, idle_seconds * SECOND_NS, self._call_ended)
        self._clock = Clock()
        self._taken: list[Datagram] = []  # RTCP, until the messages of its batch have been decided on
        self.rtp: RtpMeasuring | None = None
        if options.rtp != "off":
            self.rtp = RtpMeasuring(options, self.table, self._clock, is_copy, QualityCounts(sides))
        self.seen = 0
        self._outcomes = dict.fromkeys((TRACED, NOT_TRACED, DUPLICATE, NO_REPORT), 0)
        self._rejected = dict.fromkeys(ACCOUNT.rejected, 0)

    def without_media(self, datagrams: list[Datagram]) -> list[Datagram]:
        """All but RTCP and RTP, whose reports `with_reports` adds."""
        before = len(self._taken)
        rtcp = self._taken if self._options.rtcp else None
        if self.rtp is None:
            others = sort_out(datagrams, rtcp, None)
        else:
            rtp_before = len(self.rtp.taken)
            others = sort_out(datagrams, rtcp, self.rtp.taken)
            self.rtp.seen += len(self.rtp.taken) - rtp_before
        self.seen += len(self._taken) - before
        return others

    def with_reports(self, traced: Traced, policy: Decides) -> Traced:
        """These messages and the reports that were taken meanwhile, in the order of their packets' times."""
        taken, self._taken = self._taken, []
        found: Traced = []
        at = 0
        n = 0
        while n < len(traced):
            message = traced[n].message
            while at < len(taken) and taken[at].time_ns < message.time_ns:
                found += self._reports(taken[at], policy)
                at += 1
            if self.rtp is not None:
                found += self.rtp.measure(message.time_ns, policy)
            end = n + 1
            while end < len(traced) and traced[end].message is message:
                end += 1
            alike = traced[n:end]
            found += alike
            if isinstance(message, CapturedMessage):
                self._learn(message, alike)
            n = end
        for datagram in taken[at:]:
            found += self._reports(datagram, policy)
        if self.rtp is not None:
            self.rtp.end_batch()
        self.table.expire(self._clock.now_ns)
        return found + self.rtp.reports(policy) if self.rtp is not None else found

    def close(self, policy: Decides) -> Traced:
        """The capture has ended, and so have the streams."""
        return self.rtp.close(policy) if self.rtp is not None else []

    def forget(self) -> None:
        """Another capture begins, or the same one again."""
        self.table.forget()
        if self.rtp is not None:
            self.rtp.forget()
        self._clock.reset()

    def ledgers(self) -> Iterator[Ledger]:
        media = self.seen + (self.rtp.seen if self.rtp is not None else 0)
        yield FRAMES.ledger(outcomes={OfFrames.CARRIED: -media, OfFrames.MEDIA: media})
        if self._options.rtcp:
            yield ACCOUNT.ledger(self.seen, {**self._outcomes, WAITING: len(self._taken)}, self._rejected)
        if self.rtp is not None:
            yield self.rtp.ledger()

    def held_tables(self) -> Iterator[HeldTable]:
        yield HeldTable("media", len(self.table), self.table.evicted)
        if self.rtp is not None:
            yield self.rtp.held_table()

    def _learn(self, message: CapturedMessage, traced: Traced) -> None:
        sip, call_id = message.sip, message.sip.call_id
        if not call_id:
            return
        self._clock.tick(message.seen_ns)
        has_body = sip.body_end > sip.body_start
        if not has_body and not (sip.method == b"BYE" if sip.is_request else sip.status >= 200):
            return  # nothing changes
        call = self.table.call(call_id)
        if has_body and (sdp := sdp_of(sip)) and (media := announced(sdp)):
            traces: Traces = tuple((one.trace, one.sinks) for one in traced)
            secure = all(one.secure for one in media)
            found = list(places(media, message, self.rtp is not None))
            self.table.announce(call_id, found, traces, secure, self._clock.now_ns)
            call = self.table.call(call_id)
            if call is not None and self.rtp is not None:
                self.rtp.describe(call, message, sdp, (place for place, _ in found))
        if call is None:
            return
        invited = not sip.is_request and sip.cseq_method == b"INVITE"
        if invited and 200 <= sip.status < 300 and not call.answered:
            call.answered = True
            self.table.go_on(call, self._clock.now_ns)
            if call.directions is not None:
                call.directions.answered_ns = self._clock.now_ns
        if self.rtp is not None and sip.is_request and sip.method == b"BYE":
            self.rtp.call_over(call, self._clock.now_ns)
        if (sip.is_request and sip.method == b"BYE") or (invited and sip.status >= 300 and not call.answered):
            if self.rtp is not None:
                self.rtp.ends(call, self._clock.now_ns)
            self.table.end(call, self._clock.now_ns)

    def _call_ended(self, call: MediaCall) -> None:
        if self.rtp is not None:
            self.rtp.streams.end_call(call)

    def _reports(self, datagram: Datagram, policy: Decides) -> Traced:
        self._clock.tick(datagram.time_ns)
        if self._is_copy is not None and self._is_copy(datagram):
            self._outcomes[DUPLICATE] += 1
            return []
        try:
            call = self._call_of(datagram)
            found = parse(datagram.payload)
        except RtcpError as error:
            self._rejected[error.reason] += 1
            return []
        if not found.reports:
            self._outcomes[NO_REPORT] += 1
            return []
        payload = datagram.with_payload(as_json(found, self._options.cname))
        traced: Traced = []
        if call is None:
            traced = policy.pass_on([RtcpReport(payload)])
        elif policy.on:
            traced = traced_as(call, RtcpReport, payload, policy)
        self._outcomes[TRACED if traced else NOT_TRACED] += 1
        return traced

    def _call_of(self, datagram: Datagram) -> MediaCall | None:
        """Raises RtcpError. A packet belongs to a call if either end is announced: behind NAT, one of them is not."""
        if datagram.missing:
            raise RtcpError(CUT)
        ends = (datagram.destination, datagram.destination_port), (datagram.source, datagram.source_port)
        call = self.table.find(*ends)
        if call is None:
            if not self._options.rtcp_unannounced:
                raise RtcpError(UNANNOUNCED)
            return None
        self.table.use(call, self._clock.now_ns)
        if call.secure:
            raise RtcpError(ENCRYPTED)
        return call


def places(media: list[Announced], message: CapturedMessage, rtp: bool) -> Iterator[tuple[Place, bytes | None]]:
    """Those of the description, with their formats if RTP is measured; and the sender's, if it is behind NAT."""
    datagram = message.datagram
    for one in media:
        formats = one.formats if rtp else None
        for place in (one.rtp, *one.rtcp):
            yield place, formats
        if datagram.address_size and (seen := behind_nat(one.rtp, datagram)) is not None:
            yield seen, formats


def behind_nat(place: Place, datagram: Datagram) -> Place | None:
    if not is_private(place[0]) or is_private(datagram.source):
        return None
    return datagram.source, place[1]
