"""RTCP: compound packets (RFC 3550 6), reduced-size ones (RFC 5506), and VoIP metrics of XR (RFC 3611 4.7).

A datagram is taken as a whole or not at all: a length that is wrong anywhere says that it is something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

SR, RR, SDES, BYE, XR = 200, 201, 202, 203, 207
LEAST, MOST = 192, 223  # packet types, RFC 5761 4
CNAME = 1
VOIP_METRICS = 7
VOIP_METRICS_SIZE = 32  # after the header of the block
MOST_BLOCKS = 31  # of a datagram: what one packet can have

_HEADER = Struct(">BBH")
_SENDER = Struct(">IIIIII")
_BLOCK = Struct(">IB3sIIII")
_METRICS = Struct(">IBBBBHHHHBBBBBBBBBxHHH")
_WORD = Struct(">I")


class RtcpError(ValueError):
    """`reason` is the name in the books."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SenderInfo:
    ntp_seconds: int
    ntp_fraction: int
    rtp_timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class ReportBlock:
    ssrc: int
    fraction_lost: int  # of 256
    lost: int  # negative: some came twice
    highest_sequence: int
    jitter: int  # in units of the RTP timestamp
    last_sr: int
    since_last_sr: int  # in 1/65536 s


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """The fields in the order of RFC 3611 4.7; 127 means unavailable for most of one byte."""

    ssrc: int
    loss_rate: int
    discard_rate: int
    burst_density: int
    gap_density: int
    burst_duration: int
    gap_duration: int
    round_trip_delay: int
    end_system_delay: int
    signal_level: int
    noise_level: int
    rerl: int
    gmin: int
    r_factor: int
    ext_r_factor: int
    mos_lq: int
    mos_cq: int
    rx_config: int
    jb_nominal: int
    jb_maximum: int
    jb_abs_max: int


@dataclass(slots=True)
class Rtcp:
    """What one datagram reports."""

    kind: int = 0  # of its first report: SR or RR; without any, of its first packet that is used
    ssrc: int | None = None
    sender: SenderInfo | None = None
    blocks: list[ReportBlock] = field(default_factory=list)
    metrics: VoipMetrics | None = None
    sdes_ssrc: int | None = None
    cname: bytes | None = None
    left: list[int] = field(default_factory=list)  # sources that have said BYE

    @property
    def reports(self) -> bool:
        """Whether it says anything; feedback (RFC 4585) and application packets do not."""
        return self.kind != 0


def parse(data: bytes) -> Rtcp:
    """Raises RtcpError."""
    found = Rtcp()
    at, end = 0, len(data)
    if end < 8:
        raise RtcpError("short")
    while at < end:
        if end - at < 4:
            raise RtcpError("length")
        first, kind, words = _HEADER.unpack_from(data, at)
        if first >> 6 != 2 or not LEAST <= kind <= MOST:
            raise RtcpError("header")
        size = 4 * (words + 1)
        if size > end - at:
            raise RtcpError("length")
        body = data[at + 4 : at + size]
        if first & 0x20:
            if at + size != end:  # RFC 3550 6.4.1: only the last one may have it
                raise RtcpError("padding")
            body = without_padding(body)
        if (read := READ.get(kind)) is not None:
            read(found, first & 0x1F, body)
        at += size
    return found


def without_padding(body: bytes) -> bytes:
    padding = body[-1] if body else 0
    if not padding or padding % 4 or padding > len(body):
        raise RtcpError("padding")
    return body[:-padding]


def report(found: Rtcp, kind: int, ssrc: int) -> None:
    """The kind and the source of a datagram are those of its first report."""
    if found.kind not in (SR, RR):
        found.kind, found.ssrc = kind, ssrc


def sender_report(found: Rtcp, count: int, body: bytes) -> None:
    if len(body) < _SENDER.size + count * _BLOCK.size:
        raise RtcpError("report")
    ssrc, *info = _SENDER.unpack_from(body)
    report(found, SR, ssrc)
    found.sender = found.sender or SenderInfo(*info)
    blocks(found, count, body, _SENDER.size)


def receiver_report(found: Rtcp, count: int, body: bytes) -> None:
    if len(body) < 4 + count * _BLOCK.size:
        raise RtcpError("report")
    report(found, RR, *_WORD.unpack_from(body))
    blocks(found, count, body, 4)


def blocks(found: Rtcp, count: int, body: bytes, at: int) -> None:
    if len(found.blocks) + count > MOST_BLOCKS:
        raise RtcpError("blocks")
    for n in range(count):
        ssrc, fraction, lost, *others = _BLOCK.unpack_from(body, at + n * _BLOCK.size)
        found.blocks.append(ReportBlock(ssrc, fraction, int.from_bytes(lost, "big", signed=True), *others))


def description(found: Rtcp, count: int, body: bytes) -> None:
    """RFC 3550 6.5: chunks of a source and its items; a zero byte ends them, and pads to a multiple of four."""
    at = 0
    for _ in range(count):
        if len(body) - at < 4:
            raise RtcpError("sdes")
        (ssrc,) = _WORD.unpack_from(body, at)
        at += 4
        if not found.kind:
            found.kind, found.ssrc = SDES, ssrc
        if found.sdes_ssrc is None:
            found.sdes_ssrc = ssrc
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise RtcpError("sdes")
            if body[at] == CNAME and found.cname is None:
                found.cname = body[at + 2 : at + 2 + body[at + 1]]
            at += 2 + body[at + 1]
        at = (at + 4) & ~3  # past at least one zero
        if at > len(body):
            raise RtcpError("sdes")


def goodbye(found: Rtcp, count: int, body: bytes) -> None:
    if len(body) < 4 * count:
        raise RtcpError("bye")
    sources = [ssrc for (ssrc,) in _WORD.iter_unpack(body[: 4 * count])]
    if not found.kind:
        found.kind, found.ssrc = BYE, sources[0] if sources else None
    found.left += sources


def extended(found: Rtcp, _count: int, body: bytes) -> None:
    """RFC 3611 3: blocks, each with its length in words."""
    if len(body) < 4:
        raise RtcpError("xr")
    if not found.kind:
        found.kind, found.ssrc = XR, *_WORD.unpack_from(body)
    at = 4
    while at < len(body):
        if len(body) - at < 4:
            raise RtcpError("xr")
        kind, _, words = _HEADER.unpack_from(body, at)
        at += 4
        if 4 * words > len(body) - at:
            raise RtcpError("xr")
        if kind == VOIP_METRICS:
            if 4 * words != VOIP_METRICS_SIZE:
                raise RtcpError("xr")
            found.metrics = found.metrics or VoipMetrics(*_METRICS.unpack_from(body, at))
        at += 4 * words


READ: dict[int, Callable[[Rtcp, int, bytes], None]] = {
    SR: sender_report,
    RR: receiver_report,
    SDES: description,
    BYE: goodbye,
    XR: extended,
}
REASONS = ("short", "header", "length", "padding", "report", "blocks", "sdes", "bye", "xr")
