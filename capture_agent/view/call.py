"""A call, a registration or another exchange: all messages with one Call-ID, summed up as they come.

Each message costs a few comparisons; texts are parsed when somebody asks for them.
"""

from __future__ import annotations

from functools import lru_cache

from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.contacts import unbinds
from capture_agent.sip.headers import reason_phrase, text, uri_user
from capture_agent.sip.lookup import address, header_values, host_of
from capture_agent.sip.message import SipMessage
from capture_agent.sip.session_description import sdp_of
from capture_agent.view import call_state
from capture_agent.view.call_state import CHALLENGES, GONE, WITHIN_A_CALL
from capture_agent.view.sdp import Session, codecs_of, media_lines

LONGEST = 512  # bytes kept of a header or URI
LONGEST_SDP = 4096
MOST_MARKS = 64  # messages among which a retransmission is found
MOST_HOPS = 32
MOST_CSEQS = 8

Endpoint = tuple[bytes, int]  # packed address, port
Hop = tuple[bytes, int, bytes, int]  # source, destination


class SipCall:
    """Times are nanoseconds since the epoch, 0 for what was not seen. `add` takes messages in the order of their time.

    method     of its first message; INVITE for anything in a call
    status     its answer: the first success, otherwise the last final response, otherwise the last provisional one
    reason     that response's words
    causes     the values of Reason headers (RFC 3326), of a failure, a CANCEL or a BYE
    held       bytes that its book has counted for it
    hops       between which endpoints it was seen, at most MOST_HOPS
    correlation_id  what its legs share; b"": nothing is known
    number     in the order of appearance
    """

    __slots__ = (
        "_bye_settled", "_cseqs", "_hop_marks", "_marks", "_offered_in_request", "answer_sdp", "answered_ns",
        "begun_ns", "call_id", "causes", "challenges", "correlation_id", "ended", "ended_ns", "first_ns", "from_value",
        "held", "hops", "last_ns", "looks", "messages", "method", "number", "offer_sdp", "progress_ns", "reason",
        "retransmissions", "status", "to_value", "touched", "transports", "unregisters", "uri",
    )  # fmt: skip

    def __init__(self, call_id: bytes, number: int, first: CapturedMessage) -> None:
        sip = first.sip
        self.call_id = call_id
        self.number = number
        self.method = (sip.method if sip.is_request else sip.cseq_method) or b""
        self.from_value = (sip.from_value or b"")[:LONGEST]
        self.to_value = (sip.to_value or b"")[:LONGEST]
        self.uri = (sip.uri or b"")[:LONGEST]
        self.first_ns = self.last_ns = self.begun_ns = first.datagram.time_ns
        self.progress_ns = self.answered_ns = self.ended_ns = 0
        self.messages = self.retransmissions = self.challenges = self.status = self.looks = 0
        self.reason = b""
        self.causes: tuple[bytes, ...] = ()
        self.hops: tuple[Hop, ...] = ()
        self.held = 0
        self.transports: tuple[str, ...] = ()
        self.correlation_id = b""
        self.offer_sdp = self.answer_sdp = b""
        self.ended = self.unregisters = self._bye_settled = self._offered_in_request = False
        self.touched = True
        self._marks: list[int] = []
        self._cseqs: tuple[int, ...] = ()  # of its own method, the current transaction's last
        self._hop_marks: tuple[Hop, ...] = ()  # that the current request has passed

    def add(self, message: CapturedMessage, hop: Hop) -> bool:
        """Take another message. False: it is a retransmission, which changes nothing but counts and times."""
        datagram, sip = message.datagram, message.sip
        self.messages += 1
        self.touched = True
        now_ns = datagram.time_ns
        if now_ns > self.last_ns:
            self.last_ns = now_ns
        elif now_ns < self.first_ns:
            self.first_ns = now_ns
        # Keyed by Python: nobody can aim at it.
        mark = hash((sip.raw, hop))
        marks = self._marks
        if mark in marks:
            self.retransmissions += 1
            return False
        if len(marks) >= MOST_MARKS:
            del marks[: MOST_MARKS // 2]
        marks.append(mark)
        if hop not in self.hops and len(self.hops) < MOST_HOPS:
            self.hops += (hop,)
        if datagram.transport not in self.transports:
            self.transports = with_transport(self.transports, datagram.transport)
        is_request = sip.is_request
        method = (sip.method if is_request else sip.cseq_method) or b""
        if method == b"INVITE" and self.method in WITHIN_A_CALL:
            self._is_a_call(sip)
        if method == self.method:
            self._of_own_method(sip, hop, now_ns)
        elif method == b"BYE":
            self._bye(sip, now_ns)
        if is_request and method in (b"BYE", b"CANCEL"):
            self._note_causes(sip)
        if sip.body_end > sip.body_start:
            self._note_sdp(sip)
        return True

    def _is_a_call(self, sip: SipMessage) -> None:
        """Its beginning was not seen, or its packets came in another order."""
        self.method = b"INVITE"
        self.status, self.reason, self._cseqs, self._hop_marks = 0, b"", (), ()
        if sip.is_request:
            self.uri = (sip.uri or b"")[:LONGEST]

    def _of_own_method(self, sip: SipMessage, hop: Hop, now_ns: int) -> None:
        cseq, status = sip.cseq, sip.status
        if self.answered_ns and self.method == b"INVITE":
            return  # an answered call stays answered, whatever a later INVITE is answered with
        cseqs = self._cseqs
        if not cseqs or cseq not in cseqs:
            self._begin(sip, cseq, hop, now_ns)
        elif sip.is_request:
            if cseq == cseqs[-1] and hop not in self._hop_marks:
                if len(self._hop_marks) < MOST_HOPS:
                    self._hop_marks += (hop,)
            elif cseq == cseqs[-1]:  # with another branch, as it is no retransmission
                self._begin(sip, cseq, hop, now_ns)
        elif cseq != cseqs[-1]:
            return
        if status:
            self._answered_with(sip, status, now_ns)

    def _begin(self, sip: SipMessage, cseq: int, hop: Hop, now_ns: int) -> None:
        """A new transaction, not a hop of the current one."""
        self._cseqs = (*(one for one in self._cseqs if one != cseq), cseq)[-MOST_CSEQS:]
        self._hop_marks = (hop,)
        self.status, self.reason = 0, b""
        self.begun_ns, self.progress_ns = now_ns, 0
        if self.method == b"REGISTER" and sip.is_request:
            self.unregisters = unbinds(sip)
        if self.method == b"BYE":
            self.ended, self.ended_ns = True, now_ns

    def _answered_with(self, sip: SipMessage, status: int, now_ns: int) -> None:
        if self.method == b"BYE":
            self._bye(sip, now_ns)
        if 200 <= self.status < 300 or (status < 200 <= self.status):
            return
        if status in CHALLENGES and self.status not in CHALLENGES:
            self.challenges += 1
        if status > 100 and not self.progress_ns:
            self.progress_ns = now_ns
        if status != self.status:
            self.status = status
            self.reason = reason_phrase(sip)[:LONGEST]
        if 200 <= status < 300 and self.method == b"INVITE":
            self.answered_ns = now_ns
        elif status >= 400:
            self._note_causes(sip)

    def _bye(self, sip: SipMessage, now_ns: int) -> None:
        """A challenged BYE ends nothing (RFC 3261 15.1.2)."""
        status = sip.status
        if self._bye_settled or 100 <= status < 200:
            return
        self._bye_settled = 200 <= status < 300 or status in GONE
        self.ended = self._bye_settled or not status
        if self.ended and (not self.ended_ns or not status):
            self.ended_ns = self.ended_ns or now_ns
        elif not self.ended:
            self.ended_ns = 0

    def _note_causes(self, sip: SipMessage) -> None:
        for value in header_values(sip, b"reason", b""):
            if value[:LONGEST] not in self.causes and len(self.causes) < 4:
                self.causes += (value[:LONGEST],)

    def _note_sdp(self, sip: SipMessage) -> None:
        if self.offer_sdp and (self.answer_sdp or sip.is_request == self._offered_in_request):
            return
        found = sdp_of(sip)[:LONGEST_SDP]
        if found and not self.offer_sdp:
            self.offer_sdp, self._offered_in_request = found, sip.is_request
        elif found:
            self.answer_sdp = found

    # What follows is computed when it is asked for.

    @property
    def state(self) -> str:
        """One of call_state.STATES."""
        return call_state.state_of(self.method, self.status, self.ended, self.unregisters)

    @property
    def failed(self) -> bool:
        return call_state.is_failure(self.status) and self.state != "completed"

    @property
    def from_user(self) -> str:
        return uri_user(self.from_value)

    @property
    def to_user(self) -> str:
        return uri_user(self.to_value)

    @property
    def from_host(self) -> str:
        return text(host_of(address(self.from_value)))

    @property
    def to_host(self) -> str:
        return text(host_of(address(self.to_value)))

    @property
    def setup_seconds(self) -> float | None:
        """From the INVITE that was not challenged to the first 18x, 2xx or failure (RFC 6076 4.3); None: not yet."""
        if self.method != b"INVITE" or not self.progress_ns or self.status in CHALLENGES:
            return None
        return max(0, self.progress_ns - self.begun_ns) / 1e9

    @property
    def seconds(self) -> float | None:
        """From its answer to its BYE, or to the last message while it is up; None: it was not answered."""
        if not self.answered_ns:
            return None
        return max(0, (self.ended_ns or self.last_ns) - self.answered_ns) / 1e9

    @property
    def endpoints(self) -> list[Endpoint]:
        """In the order of appearance."""
        found = [end for hop in self.hops for end in ((hop[0], hop[1]), (hop[2], hop[3]))]
        return list(dict.fromkeys(found))

    @property
    def codecs(self) -> tuple[str, ...]:
        """Names of what both ends accept: the answer's; while there is none, the offer's."""
        return codecs_of(self.answer_sdp or self.offer_sdp)

    @property
    def media(self) -> tuple[Session, ...]:
        """Where each end wants its media: the offer's lines, and the answer's."""
        return tuple(one for sdp in (self.offer_sdp, self.answer_sdp) for one in media_lines(sdp))

    @property
    def held_bytes(self) -> int:
        """About what it takes of memory."""
        texts = (self.call_id, self.from_value, self.to_value, self.uri, self.reason, self.offer_sdp, self.answer_sdp)
        several = max(0, len(self.hops) - SHARED_HOPS)
        return HELD + sum(map(len, texts)) + HELD_MARK * len(self._marks) + HELD_HOP * several


HELD, HELD_MARK, HELD_HOP = 1050, 56, 260  # bytes
SHARED_HOPS = 4  # most calls pass the same few hosts, whose hops are shared


@lru_cache(maxsize=1024)
def with_transport(known: tuple[str, ...], transport: str) -> tuple[str, ...]:
    """One object for all calls."""
    return (*known, transport)
