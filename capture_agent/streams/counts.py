"""What happened to TCP segments, bytes and streams. Hot: compiled with counts.pxd, or plain Python."""

from __future__ import annotations

from array import array

import cython

from capture_agent.books import Account
from capture_agent.streams.limits import SegmentReject

NAMES = (
    "bodies_refused",
    "broken",
    "delivered",
    "empty",
    "evicted",
    "expired",
    "foreign",
    "gaps",
    "headers_refused",
    "joined",
    "keepalive_bytes",
    "lost_bytes",
    "messages",
    "not_sip_bytes",
    "overlap_bytes",
    "rejected",
    "retransmitted",
    "seen",
    "skipped_bytes",
    "truncated",
    "unconfirmed",
    "undecoded",
    "undeflated",
    "waiting",
    "websocket_messages",
    "websocket_other",
    "websocket_refused",
)

REASONS = {reason: reason.name.lower() for reason in SegmentReject}
SEGMENTS = Account("segments", ("delivered", "empty", "retransmitted", "waiting"), tuple(REASONS.values()))
# Why a WebSocket message is not delivered, by the count that has it.
OTHERS_OF_WEBSOCKETS = {
    "websocket_other": "not_sip",
    "websocket_refused": "refused",
    "undecoded": "undecoded",
    "undeflated": "undeflated",
}
WEBSOCKET = Account("websocket", ("delivered",), tuple(OTHERS_OF_WEBSOCKETS.values()))


@cython.final
@cython.cclass
class Counts:
    """Segments balance: seen = delivered + empty + retransmitted + waiting + the sum of rejected.

    The others say what messages came of them and what bytes did not become one.
    """

    __slots__ = NAMES

    def __init__(self) -> None:
        self.seen = 0
        self.delivered = 0  # its bytes, or those of them that were new, went on in order
        self.empty = 0  # no payload: ACK, SYN, FIN, RST, keep-alive, zero window probe
        self.retransmitted = 0  # nothing new in it, also when one segment was captured twice
        self.waiting = 0  # held out of order, at the moment
        self.rejected = array("Q", bytes(8 * (max(SegmentReject) + 1)))  # by SegmentReject

        self.messages = 0  # what came out
        self.broken = 0  # messages that began and were never completed: a gap, the end of the stream or of memory
        self.truncated = 0  # messages that the snap length cut: they went out as far as they were captured
        self.bodies_refused = 0  # Content-Length not a number or over 1 MiB: only the header section went out
        self.headers_refused = 0  # header sections over 64 KiB: nothing went out
        self.websocket_messages = 0  # WebSocket messages that are SIP
        self.websocket_other = 0  # WebSocket messages that are not SIP: keep-alives, other protocols
        self.websocket_refused = 0  # over 1 MiB, or frames that break RFC 6455
        self.undeflated = 0  # compressed WebSocket messages that grew beyond measure, and those that followed
        self.undecoded = 0  # compressed WebSocket messages whose beginnings were not captured

        self.keepalive_bytes = 0  # between messages (RFC 5626 3.5.1)
        self.overlap_bytes = 0  # came again in a segment that had others that were new: the first ones stay
        self.skipped_bytes = 0  # before the first boundary of a stream joined in the middle, after a gap or a refusal
        self.lost_bytes = 0  # never captured: by sequence number
        self.not_sip_bytes = 0  # of streams that are something else

        self.unconfirmed = 0  # SYN, RST and far segments that real ends would ignore: nothing changes by one alone
        self.joined = 0  # streams whose SYN was not seen
        self.gaps = 0
        self.foreign = 0  # times that a stream was found to be something else
        self.evicted = 0  # streams that were evicted: too many of them, or of their bytes
        self.expired = 0  # streams that were idle for too long
