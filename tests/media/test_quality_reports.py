"""RFC 6035: PUBLISH of phones, tied to the call that was measured."""

from __future__ import annotations

import pytest
from media_samples import SIP_A, SIP_B, frames, packet
from policy_samples import policy

from capture_agent.config.media_options import MediaSection
from capture_agent.config.sections import Config, Privacy
from capture_agent.config.targets import HepTarget
from capture_agent.emission.emission import emission
from capture_agent.pipeline import Pipeline
from capture_agent.records.call_key import call_key
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import ForeignPayload
from capture_agent.sinks.hep.hep_other import other_packet
from hep import decode

pytestmark = pytest.mark.once

# RFC 6035 4.6.2, shortened.
BODY = (
    b"VQSessionReport: CallTerm\r\nCallID: 12345678@example.com\r\nLocalID: Alice <sip:alice@example.org>\r\n"
    b"OrigID: Alice <sip:alice@example.org>\r\nLocalAddr: IP=10.10.1.100 PORT=5000 SSRC=1a3b5c7d\r\nLocalMetrics:\r\n"
    b"PacketLoss: NLR=5.0 JDR=2.0\r\nQualityEst: RLQ=90 RCQ=85 EXTRI=90 MOSLQ=4.2 MOSCQ=4.3\r\n"
)


def published(body: bytes, method: str = "PUBLISH", kind: str = "application/vq-rtcpxr") -> bytes:
    head = [
        f"{method} sip:collector@h SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "From: <sip:alice@h>;tag=1",
        "To: <sip:collector@h>", "Call-ID: of-the-publish", f"CSeq: 1 {method}", "Event: vq-rtcpxr",
        f"Content-Type: {kind}", f"Content-Length: {len(body)}", "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


@pytest.mark.parametrize(
    ("message", "call_id"),
    [
        (published(BODY), b"12345678@example.com"),
        (published(BODY, "NOTIFY", "Application/VQ-RTCPXR; charset=utf-8"), b"12345678@example.com"),
        (published(BODY.replace(b"\r\n", b"\n").replace(b"CallID: ", b"CallID:")), b"12345678@example.com"),
        (published(BODY.replace(b"12345678", b"x" * 1000)), b"x" * 512),
        (published(BODY, "MESSAGE"), None),
        (published(BODY, kind="text/plain"), None),
        (published(BODY.replace(b"CallID", b"Call")), None),
        (published(b"CallID:\r\n"), None),
        (published(b""), None),
    ],
)
def test_reports(message: bytes, call_id: bytes | None) -> None:
    made = Pipeline(media=MediaSection(vq_rtcpxr=True))
    sip, *others = made.process(frames([packet(SIP_A, SIP_B, message)]))
    assert (type(sip.message), sip.message.raw, sip.trace.correlation_id) == (CapturedMessage, message, b"")
    assert [call_key(one, by_leg) for one in others for by_leg in (False, True)] == [call_id] * 2 * (
        call_id is not None
    )
    for one in others:
        assert (type(one.message), one.message.datagram.transport) == (ForeignPayload, "udp")
        sent = decode(other_packet(one, HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
        assert (sent.protocol_type, sent.payload, sent.correlation_id) == (35, message, call_id)
        assert (sent.source_port, sent.microseconds) == (5060, 0)


@pytest.mark.parametrize("call_id", [b"leg-1", b"leg-2"])
def test_it_goes_with_the_legs_of_its_call(call_id: bytes) -> None:
    """In a group, and to a partition of Kafka."""
    calls = [
        published(b"").replace(b"PUBLISH", b"INVITE").replace(b"of-the-publish", leg) for leg in (b"leg-1", b"leg-2")
    ]
    calls[1] = calls[1].replace(b"Event:", b"X-CID: leg-1\r\nEvent:")
    report = published(BODY.replace(b"12345678@example.com", call_id)).replace(b"Event:", b"X-CID: other\r\nEvent:")
    made = Pipeline(media=MediaSection(vq_rtcpxr=True), policy=policy('[legs]\ncall_id_in = "X-CID"\n'))
    *traced, publish, measured = made.process(frames([packet(SIP_A, SIP_B, one) for one in (*calls, report)]))
    assert [call_key(one, by_leg=True) for one in (*traced, publish, measured)] == [
        b"leg-1",
        b"leg-1",
        b"other",
        b"leg-1",
    ]
    assert call_key(measured, by_leg=False) == call_id
    sent = decode(other_packet(measured, HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
    assert sent.correlation_id == b"leg-1"


def test_masks_hold() -> None:
    """It is made of what was masked."""
    changes = emission(Config(privacy=Privacy(mask=("users:truncate",))))
    made = Pipeline(media=MediaSection(vq_rtcpxr=True), emission=changes)
    sip, *others = made.process(frames([packet(SIP_A, SIP_B, published(BODY))]))
    assert b"<sip:alice@h>" not in sip.message.raw
    assert [one.message.raw for one in others] == [sip.message.raw]


def test_off_by_default() -> None:
    assert len(Pipeline(media=MediaSection()).process(frames([packet(SIP_A, SIP_B, published(BODY))]))) == 1
