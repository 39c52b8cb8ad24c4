"""The kinds of messages: SIP, and others.

All kinds have `kind` (HEP3 chunk 0x000b), `datagram`, `origin`, `seen_ns`, `time_ns` and `raw`. They are a union and
not classes with a common base because Cython keeps a free list only for a class without a base, and without one each
SIP message would cost hundreds of instructions more. Stages before `policy` handle only SIP messages.
"""

from __future__ import annotations

from typing import TypeAlias, get_args

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.origin import Origin
from hep import ProtocolType

MOST_KINDS = 256  # the chunk has one byte


class NotSip:
    """A payload that is not parsed. An address size of 0 in its datagram means that it has no addresses."""

    __slots__ = ("datagram", "origin", "seen_ns")

    kind: int

    def __init__(self, datagram: Datagram, origin: Origin | None = None, seen_ns: int | None = None) -> None:
        self.datagram = datagram
        self.origin = origin  # None: it was created or captured here
        self.seen_ns = datagram.time_ns if seen_ns is None else seen_ns

    @property
    def raw(self) -> bytes:
        return self.datagram.payload

    @property
    def time_ns(self) -> int:
        return self.datagram.time_ns


class RtcpReport(NotSip):
    """The RTCP reports of one packet (RFC 3550 6.4) as JSON."""

    __slots__ = ()
    kind = int(ProtocolType.RTCP_JSON)


class RtpReport(NotSip):
    """The figures of an RTP stream as JSON (capture_agent/media/rtp_json.py)."""

    __slots__ = ()
    kind = int(ProtocolType.MOS_FULL_JSON)


class LogEvent(NotSip):
    """A line of text for the log of HEP collectors (siptrace's hlog)."""

    __slots__ = ()
    kind = int(ProtocolType.LOG)


class ForeignPayload(NotSip):
    """A payload that another agent has sent as HEP, of a kind without a class here: it is passed on unchanged.

    Raises ValueError for a kind that has a class, or does not fit the chunk.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: int, datagram: Datagram, origin: Origin | None = None, seen_ns: int | None = None) -> None:
        if kind in OWN_KINDS or not 0 <= kind < MOST_KINDS:
            raise ValueError(f"kind {kind}, expected 0 to {MOST_KINDS - 1} except {', '.join(map(str, OWN_KINDS))}")
        super().__init__(datagram, origin, seen_ns)
        self.kind = kind


OF_KIND: dict[int, type[RtcpReport | RtpReport | LogEvent]] = {
    one.kind: one for one in (RtcpReport, RtpReport, LogEvent)
}
OWN_KINDS = (int(ProtocolType.SIP), *OF_KIND)

Captured: TypeAlias = CapturedMessage | RtcpReport | RtpReport | LogEvent | ForeignPayload
Kinds: TypeAlias = tuple[type[Captured], ...]

ALL_KINDS: Kinds = get_args(Captured)
SIP_ONLY: Kinds = (CapturedMessage,)


def not_sip(kind: int, datagram: Datagram, origin: Origin | None, seen_ns: int | None) -> Captured:
    """The record of a payload that is not SIP. Raises ValueError."""
    if (known := OF_KIND.get(kind)) is not None:
        return known(datagram, origin, seen_ns)
    return ForeignPayload(kind, datagram, origin, seen_ns)
