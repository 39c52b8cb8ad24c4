"""Media: session descriptions, RTCP, and both with RTP through the pipeline."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random

from fuzz_mutations import Target
from media_samples import BYE, FEEDBACK, RR, SDES, SIP_A, SIP_B, SR, XR, A, B, bye, frames, invite, packet, sdp
from rtp_samples import rtp

from capture_agent.config.media_options import MediaSection
from capture_agent.media.media_addresses import announced
from capture_agent.media.rtcp import RtcpError, parse
from capture_agent.media.rtcp_json import as_json
from capture_agent.pipeline import Pipeline

SDPS = [
    sdp(*A, "a=rtcp:4444 IN IP4 192.0.2.9", "a=rtcp-mux", "a=candidate:1 2 UDP 1 192.0.2.77 7001 typ host"),
    sdp("2001:db8::1", 4000, "m=video 6000 RTP/SAVPF 96", "c=IN IP4 10.0.0.1"),
]
COMPOUND = [SR + SDES + XR, RR + BYE, FEEDBACK + SDES]
RTP = [
    rtp(65_535, 2**32 - 1, payload=bytes(160)),
    b"\xb2" + rtp(2, 160, kind=101, marker=True)[1:12] + bytes(8) + b"\xbe\xde\0\x01" + bytes(24) + b"\x04",
]


def media_targets() -> dict[str, Target]:
    headers = [b"\x80\xc8\0\x06", b"\xa1\xc9\0\x07", b"\x80\xca\0\x01", b"\x80\xcf\0\x02", bytes(4), b"\xff" * 4]
    lines = [b"m=audio 1 x 0\r\n", b"c=IN IP4 ", b"a=rtcp:", b"a=candidate:", b"65536", b"\n"]
    return {
        "rtcp": Target(COMPOUND, headers, run_rtcp),
        "media_addresses": Target(SDPS, lines, run_addresses),
        "media": Target([*map(invite, SDPS), *COMPOUND, *RTP], [*headers, *lines], PipelineRun()),
    }


def run_rtcp(_sample: int, data: bytes, _draw: Random) -> None:
    with suppress(RtcpError):
        json.loads(as_json(parse(data), cname=True))


def run_addresses(_sample: int, data: bytes, _draw: Random) -> None:
    for one in announced(data):
        assert all(len(address) in (4, 16) and 0 < port < 65536 for address, port in (one.rtp, *one.rtcp))


class PipelineRun:
    """A call, what is changed, and RTCP and RTP of the call; the books balance and the tables are bounded."""

    def __init__(self) -> None:
        options = MediaSection(rtcp=True, cname=True, streams=100, rtp="all", report_seconds=1)
        self._pipeline = Pipeline(media=options)

    def __call__(self, _sample: int, data: bytes, draw: Random) -> None:
        call_id = str(draw.randrange(200))
        given = [invite(draw.choice(SDPS), call_id), data, bye(call_id)]
        sent = [packet(SIP_A, SIP_B, one) for one in given] + [packet(B, A, draw.choice((data, *COMPOUND)))]
        for _ in range(3):
            other = A[0], draw.randrange(4000, 4400)
            sent.append(packet(other, B, rtp(draw.getrandbits(16), draw.getrandbits(32), draw.randrange(4))))
            sent.append(packet(*draw.choice(((A, B), (B, A), (other, A))), draw.choice((data, *RTP))))
        draw.shuffle(sent)
        self._pipeline.process(frames(sent))
        assert all(ledger.difference == 0 for ledger in self._pipeline.ledgers())
        media = self._pipeline.media
        assert media is not None and len(media.table) <= 100 and media.table.bytes <= 100 * 512
        assert media.rtp is not None and media.rtp.streams.held <= 100
