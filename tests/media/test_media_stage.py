"""Packets of calls with media through the pipeline: which RTCP is traced, with which traces, and what is counted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from media_samples import (
    BYE,
    FEEDBACK,
    RR,
    SDES,
    SIP_A,
    SIP_B,
    SR,
    START_NS,
    A,
    B,
    answer,
    bye,
    frames,
    invite,
    packet,
    sdp,
)  # fmt: skip

from capture_agent.app.assembly import make_pipeline
from capture_agent.app.extensions import Extensions
from capture_agent.config import load
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.targets import HepTarget
from capture_agent.pipeline import Pipeline
from capture_agent.records.call_key import call_key
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.kinds import RtcpReport
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_other import other_packet
from hep import decode

A_RTCP, B_RTCP = (A[0], A[1] + 1), (B[0], B[1] + 1)
OUTSIDE, LATER = ("203.0.113.7", 61_000), ("203.0.113.7", 61_001)
A6, B6 = ("2001:db8::1", 4000), ("2001:db8::2", 5001)


def pipeline(tmp_path: Path, toml: str = "[media]\nrtcp = true\n") -> Pipeline:
    path = tmp_path / "agent.toml"
    path.write_text(f'[capture]\nlocal = ["192.0.2.2"]\n{toml}')
    config = load(path)
    return make_pipeline(config, Extensions(), ConfiguredSinks(config))


def reports(traced: list[TracedMessage]) -> list[TracedMessage]:
    return [one for one in traced if isinstance(one.message, RtcpReport)]


def outcomes(made: Pipeline) -> dict[str, int]:
    [ledger] = [one for one in made.ledgers() if one.name == "rtcp"]
    assert all(one.difference == 0 for one in made.ledgers())
    counts = {**ledger.outcomes, **ledger.rejected}
    return {str(name): count for name, count in counts.items() if count}


@dataclass(frozen=True)
class Case:
    """`offer`: the description of A, whose SIP comes from this address; the packets that follow, and what is counted."""

    offer: bytes
    packets: tuple[tuple[tuple[str, int], tuple[str, int], bytes], ...]
    counted: dict[str, int]
    sip_from: tuple[str, int] = SIP_A


def traced(count: int) -> dict[str, int]:
    return {"traced": count}


OFFER = sdp(*A)
CASES = {
    "the next port": Case(OFFER, ((B_RTCP, A_RTCP, SR), (A_RTCP, B_RTCP, RR)), traced(2)),
    "the same port: rtcp-mux": Case(sdp(*A, "a=rtcp-mux"), ((B, A, SR), (A, B, RR)), traced(2)),
    "a=rtcp with a port": Case(sdp(*A, "a=rtcp:4444"), ((B, (A[0], 4444), SR), (B, (A[0], 4445), SR)), traced(2)),
    "a=rtcp with an address": Case(
        sdp(*A, "a=rtcp:4444 IN IP4 192.0.2.9"), ((B, ("192.0.2.9", 4444), SR), (B, (A[0], 4444), SR)),
        {"traced": 1, "unannounced": 1},
    ),
    "a=rtcp that is cut": Case(sdp(*A, "a=rtcp:4001 IN IP", "a=rtcp:", "a=rtcp"), ((B, A_RTCP, SR),), traced(1)),
    "candidates": Case(
        sdp(*A, "a=candidate:1 2 UDP 1 192.0.2.77 7001 typ host", "a=candidate:2 1 TCP 1 192.0.2.78 9 typ host",
            "a=candidate:x"),
        ((B, ("192.0.2.77", 7001), SR), (B, ("192.0.2.78", 9), SR)), {"traced": 1, "unannounced": 1},
    ),
    "c= of the media line": Case(
        b"v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 0\nm=video 6000 RTP/AVP 31\nc=IN IP4 192.0.2.1\n",
        ((B, ("192.0.2.9", 4001), SR), (B, ("192.0.2.1", 6001), SR), (B, ("192.0.2.1", 4001), SR)),
        {"traced": 2, "unannounced": 1},
    ),
    "behind NAT: one end is not announced": Case(OFFER, ((OUTSIDE, A_RTCP, SR), (A_RTCP, LATER, RR)), traced(2)),
    "behind NAT: the SIP came from there": Case(
        sdp("10.0.0.5", 4000), ((B, ("203.0.113.7", 4001), SR), (("203.0.113.7", 4001), B, RR)), traced(2),
        ("203.0.113.7", 5060),
    ),
    "IPv6": Case(sdp(*A6), ((B6, (A6[0], 4001), SR),), traced(1)),
    "refused, held, multicast, a name": Case(
        b"v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\nm=a 4000 x 0\nc=IN IP4 0.0.0.0\nm=a 4000 x 0\n"
        b"c=IN IP4 224.0.0.1/9\nm=a 4000 x 0\nc=IN IP4 host.example\nm=a 99999 x 0\nm=a\nm=\n",
        ((B, A_RTCP, SR),), {"unannounced": 1},
    ),
    "SRTCP is counted": Case(sdp(*A, profile="RTP/SAVPF"), ((B, A_RTCP, SR),), {"encrypted": 1}),
    "feedback": Case(OFFER, ((B, A_RTCP, FEEDBACK),), {"no_report": 1}),
    "malformed": Case(OFFER, ((B, A_RTCP, SR[:-4]), (B, A_RTCP, RR * 32)), {"length": 1, "blocks": 1}),
    "of nobody": Case(OFFER, ((B, OUTSIDE, SR),), {"unannounced": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_addresses(tmp_path: Path, name: str) -> None:
    case, made = CASES[name], pipeline(tmp_path)
    sent = [packet(case.sip_from, ("192.0.2.2", 5060), invite(case.offer)), *(packet(*one) for one in case.packets)]
    found = reports(made.process(frames(sent)))
    assert outcomes(made) == case.counted
    assert {one.message.origin and one.message.origin.correlation_id for one in found} <= {b"call-1"}
    assert [one.message.datagram.destination_port for one in found] == [
        to[1] for _, to, _ in case.packets if len(found) == len(case.packets)
    ] or len(found) < len(case.packets)


def test_a_hep_packet(tmp_path: Path) -> None:
    """Protocol type 5 with the packet's time and ends, and the Call-ID; the order of the packets is kept."""
    made = pipeline(tmp_path)
    given = [packet(SIP_A, SIP_B, invite(OFFER)), packet(B_RTCP, A_RTCP, SR + SDES), packet(SIP_A, SIP_B, bye())]
    found = made.process(frames(given))
    assert [type(one.message) for one in found] == [CapturedMessage, RtcpReport, CapturedMessage]
    assert [one.direction for one in found] == [Direction.IN, Direction.OUT, Direction.IN]
    sent = decode(other_packet(found[1], HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
    ends = (sent.source, sent.source_port, sent.destination, sent.destination_port, sent.protocol)
    assert ends == (bytes([192, 0, 2, 2]), 5001, bytes([192, 0, 2, 1]), 4001, 17)
    assert (sent.seconds, sent.microseconds) == (START_NS // 10**9, 100_000)
    assert (sent.protocol_type, sent.correlation_id) == (5, b"call-1")
    assert json.loads(sent.payload or b"")["type"] == 200
    assert b"alice" not in (sent.payload or b"")


def test_the_rules_of_the_call(tmp_path: Path) -> None:
    """Its sinks and its masks; a call that no rule traces has no reports."""
    toml = """
        [media]
        rtcp = true
        cname = true
        [[hep]]
        uri = "hep:192.0.2.8"
        [[hep]]
        uri = "hep:192.0.2.9"
        name = "other"
        [[rule]]
        where = 'call_id == "call-1"'
        trace = "dialog"
        sinks = ["other"]
        [[rule]]
        where = 'call_id == "call-2"'
        mask = ["users:hash"]
        [privacy]
        hash_key = "secret"
    """
    made = pipeline(tmp_path, toml)
    for number in (1, 2, 3):
        ends = (A[0], 4000 + 100 * number), (A[0], 4001 + 100 * number)
        given = [packet(SIP_A, SIP_B, invite(sdp(*ends[0]), f"call-{number}")), packet(B, ends[1], SR + SDES)]
        found = made.process(frames(given))
        assert [one.sinks for one in reports(found)] == [one.sinks for one in found if one not in reports(found)]
        assert [b"alice" in one.message.raw for one in reports(found)] == {1: [True], 2: [False], 3: []}[number]
    assert outcomes(made) == {"traced": 2, "unannounced": 1}


def test_without_description_by_option(tmp_path: Path) -> None:
    made = pipeline(tmp_path, "[media]\nrtcp = true\nrtcp_unannounced = true\n")
    [one] = made.process(frames([packet(B, OUTSIDE, RR)]))
    assert (type(one.message), one.trace.correlation_id) == (RtcpReport, b"")
    made.policy.on = False
    assert made.process(frames([packet(B, OUTSIDE, RR), packet(B, OUTSIDE, RR)])) == []
    assert outcomes(made) == {"traced": 1, "not_traced": 2}


def test_tracing_is_switched_off(tmp_path: Path) -> None:
    made = pipeline(tmp_path)
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER))]))
    made.policy.on = False
    assert made.process(frames([packet(B, A_RTCP, SR)])) == []
    assert outcomes(made) == {"not_traced": 1}


@pytest.mark.parametrize(
    ("messages", "last", "counted"),
    [
        ([invite(OFFER), bye()], 59, traced(1)),
        ([invite(OFFER), bye()], 61, {"unannounced": 1}),
        ([invite(OFFER), answer(486)], 61, {"unannounced": 1}),
        ([invite(OFFER), answer(407), invite(OFFER)], 61, traced(1)),
        ([invite(OFFER), answer(200), answer(488)], 61, traced(1)),
        ([invite(OFFER)], 14_000, traced(1)),
        ([invite(OFFER)], 14_500, {"unannounced": 1}),
    ],
)
def test_places_expire_with_their_call(
    tmp_path: Path, messages: list[bytes], last: float, counted: dict[str, int]
) -> None:
    """Time goes on by other calls' packets."""
    made = pipeline(tmp_path)
    given = [packet(SIP_A, SIP_B, one) for one in messages]
    made.process(frames(given, [0.0] * len(given)))
    step = max(0.1, last / 5000)
    other = packet(SIP_A, SIP_B, bye("other"))
    made.process(frames([other] * 5000, [min(last, n * step) for n in range(1, 5001)]))
    made.process(frames([packet(B, A_RTCP, SR)], [last]))
    assert outcomes(made) == counted


def test_ports_and_rtp(tmp_path: Path) -> None:
    """The list of ports is for SIP; RTP goes on to be counted as what it is."""
    made = pipeline(tmp_path, "[media]\nrtcp = true\n")
    rtp = b"\x80\x00" + bytes(170)
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER)), packet(B, A, rtp), packet(B, A_RTCP, SR)]))
    ledgers = {one.name: one for one in made.ledgers()}
    assert ledgers["messages"].rejected["rtp"] == 1
    assert ledgers["frames"].outcomes["media"] == 1
    (tmp_path / "ports").mkdir()
    made = pipeline(tmp_path / "ports", "ports = [5060]\n[media]\nrtcp = true\n")
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER)), packet(B, A, rtp), packet(B, A_RTCP, SR)]))
    assert outcomes(made) == traced(1)


def test_off_is_as_before(tmp_path: Path) -> None:
    made = pipeline(tmp_path, "")
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER)), packet(B, A_RTCP, SR)]))
    assert made.media is None
    assert {one.name: one for one in made.ledgers()}["messages"].rejected["rtcp"] == 1


def test_another_round_knows_nothing(tmp_path: Path) -> None:
    made = pipeline(tmp_path)
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER)), packet(B, A_RTCP, BYE)]))
    made.restart()
    made.process(frames([packet(B, A_RTCP, BYE)]))
    assert outcomes(made) == {"traced": 1, "unannounced": 1}


def test_cut_by_the_capture(tmp_path: Path) -> None:
    made = pipeline(tmp_path)
    made.process(frames([packet(SIP_A, SIP_B, invite(OFFER))]))
    whole = frames([packet(B, A_RTCP, SR)])
    whole.index[1] -= 8
    made.process(whole)
    assert outcomes(made) == {"cut": 1}


def test_an_id_of_legs_goes_before_the_call_id(tmp_path: Path) -> None:
    """Both legs have it; the members of a group still share calls as they do for SIP."""
    made = pipeline(tmp_path, '[media]\nrtcp = true\n[legs]\nid_in = ["Subject"]\n')
    message = invite(OFFER).replace(b"CSeq:", b"Subject: of-both\r\nCSeq:")
    sip, report = made.process(frames([packet(SIP_A, SIP_B, message), packet(B, A_RTCP, SR)]))
    sent = decode(other_packet(report, HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
    assert sent.correlation_id == sip.trace.correlation_id == b"of-both"
    assert call_key(report, by_leg=False) == call_key(sip, by_leg=False) == b"call-1"
    assert call_key(report, by_leg=True) == call_key(sip, by_leg=True) == b"of-both"


def test_copies(tmp_path: Path) -> None:
    made = pipeline(tmp_path, "drop_copies = true\n[media]\nrtcp = true\n")
    call, report = packet(SIP_A, SIP_B, invite(OFFER)), packet(B, A_RTCP, SR)
    made.process(frames([call, call, report, report], [0.0, 0.001, 0.002, 0.003]))
    assert outcomes(made) == {"traced": 1, "duplicate": 1}
    assert {one.name: one for one in made.ledgers()}["messages"].outcomes["duplicate"] == 1
