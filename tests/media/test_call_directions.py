"""Calls by what is heard of them: as their descriptions and streams come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import SIP_A, SIP_B, START_NS, answer, bye, frames, invite, packet, sdp, sip
from rtp_samples import rtp

from capture_agent.config.media_options import MediaSection
from capture_agent.media.call_directions import BOTH, CALLEE, CALLER, CallDirections, author_tag, wanted_by
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.session_description import sdp_of

pytestmark = pytest.mark.once

SECOND = 1_000_000_000
OFFER, ANSWER, BYE = "INVITE", 200, "BYE"


def message(kind: str | int, body: bytes, from_callee: bool = False) -> CapturedMessage:
    if kind == OFFER:
        text = invite(body)
    elif kind == BYE:
        text = sip("BYE sip:bob@h SIP/2.0", "2 BYE")
    else:
        text = answer(int(kind), body)
    if from_callee:
        text = text.replace(b"tag=1", b"tag=x").replace(b"tag=2", b"tag=1").replace(b"tag=x", b"tag=2")
    [found] = Pipeline().messages(frames([packet(SIP_A, SIP_B, text)]))
    return found


def described(*said: tuple[str | int, str, str], callee_offers: bool = False) -> CallDirections:
    """Each: kind, place, attribute. A place has a name of one letter here."""
    directions: CallDirections | None = None
    known: tuple[bytes, ...] = ()
    for kind, place, attribute in said:
        body = sdp("192.0.2.1", 4000, *([f"a={attribute}"] if attribute else []))
        one = message(kind, body, callee_offers and kind == OFFER and directions is not None)
        directions = directions or CallDirections(author_tag(one), 0)
        known += (place.encode(),)
        directions.describe(one, sdp_of(one.sip), [place.encode()], known)
    assert directions is not None
    directions.answered_ns = START_NS
    return directions


CALL = ((OFFER, "a", ""), (ANSWER, "b", ""))
RELAYED = ((OFFER, "a", ""), (OFFER, "r", ""), (ANSWER, "b", ""), (ANSWER, "q", ""))


@pytest.mark.parametrize(
    ("said", "streams", "heard"),
    [
        pytest.param(CALL, ["ab", "ba"], "complete", id="both"),
        pytest.param(CALL, ["ab"], "one_way", id="the callee hears the caller"),
        pytest.param(CALL, ["ba"], "one_way", id="the caller hears the callee"),
        pytest.param(CALL, [], "none", id="nobody"),
        pytest.param(CALL, ["xb", "bx"], "complete", id="the caller is behind NAT"),
        pytest.param(CALL, ["xb"], "one_way", id="behind NAT, and nothing comes back"),
        pytest.param(CALL, ["xy"], "none", id="between strangers"),
        pytest.param(RELAYED, ["aq", "rb", "br", "qa"], "complete", id="a relay, both legs are seen"),
        pytest.param(RELAYED, ["aq", "rb"], "one_way", id="a relay, one way"),
        pytest.param(RELAYED, ["br", "rb"], "complete", id="a relay, one leg is seen"),
        pytest.param(((OFFER, "a", "sendonly"), (ANSWER, "b", "recvonly")), ["ab"], "complete", id="an announcement"),
        pytest.param(((OFFER, "a", "sendonly"), (ANSWER, "b", "recvonly")), [], "none", id="a silent announcement"),
        pytest.param(((OFFER, "a", "inactive"), (ANSWER, "b", "inactive")), [], "not_judged", id="on hold all the time"),
        pytest.param(((OFFER, "a", "sendrecv"), (ANSWER, "b", "recvonly")), ["ab"], "complete", id="a callee without a microphone"),
        pytest.param((*CALL, (OFFER, "a", "inactive"), (ANSWER, "b", "inactive")), ["ab"], "one_way", id="before it was held"),
        pytest.param(((OFFER, "a", "inactive"), (ANSWER, "b", "inactive"), *CALL), [], "none", id="after it was held"),
        pytest.param(((OFFER, "a", ""),), [], "not_judged", id="no answer"),
    ],
)  # fmt: skip
def test_what_was_heard(said: tuple[tuple[str | int, str, str], ...], streams: list[str], heard: str) -> None:
    directions = described(*said)
    places = [place.encode() for _, place, _ in said]
    for source, destination in streams:
        directions.hear(source.encode(), destination.encode(), places)
    assert directions.judged(START_NS + 10 * SECOND) == heard


def test_the_callee_may_offer_later() -> None:
    directions = described(*CALL, (OFFER, "c", ""), callee_offers=True)
    assert directions.caller_places == (b"a",)
    directions.hear(b"a", b"c", [b"a", b"b", b"c"])
    assert directions.heard == CALLEE


def test_two_calls_with_the_same_places() -> None:
    """A server between them that does not relay media: each stream is found with one of the two."""
    made = Pipeline(media=MediaSection(rtp="all"))
    one, other = ("192.0.2.1", 4000), ("192.0.2.2", 5000)
    said = [
        invite(sdp(*one)),
        invite(sdp(*one), "call-2"),
        answer(200, sdp(*other), "call-2"),
        answer(200, sdp(*other)),
    ]
    said += [rtp(1, 160), rtp(2, 320)]
    ends = [*[(SIP_A, SIP_B)] * 4, (one, other), (other, one)]
    made.process(frames([packet(*places, text) for places, text in zip(ends, said, strict=True)]))
    made.process(frames([packet(SIP_A, SIP_B, bye(name)) for name in ("call-1", "call-2")], [9.0, 9.1]))
    assert made.media is not None and made.media.rtp is not None
    calls = made.media.rtp.counts.snapshot()["capture_agent_rtp_calls_total"]
    assert {labels[0]: count for labels, count in calls.items()} == {"not_judged": 2}


@pytest.mark.parametrize(
    ("seconds", "streams", "heard"),
    [(2, [], "not_judged"), (2, ["ab"], "not_judged"), (2, ["ab", "ba"], "complete"), (3, [], "none"), (3, ["ab"], "one_way")],
)  # fmt: skip
def test_a_very_short_call_may_have_none_yet(seconds: int, streams: list[str], heard: str) -> None:
    directions = described(*CALL)
    for source, destination in streams:
        directions.hear(source.encode(), destination.encode(), [b"a", b"b"])
    assert directions.judged(START_NS + seconds * SECOND) == heard


@pytest.mark.parametrize(
    ("lines", "caller_wants"),
    [
        (["m=audio 4000 RTP/AVP 0"], BOTH),
        (["m=audio 4000 RTP/AVP 0", "a=sendonly"], CALLEE),
        (["m=audio 4000 RTP/SAVP 0", "a=recvonly"], CALLER),
        (["m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=inactive"], 0),
        (["a=sendonly", "m=audio 4000 RTP/AVP 0"], CALLEE),
        (["a=sendonly", "m=audio 4000 RTP/AVP 0", "a=sendrecv"], BOTH),
        (["m=audio 0 RTP/AVP 0", "m=video 4002 RTP/AVP 96", "a=sendonly"], CALLEE),
        (["m=audio 4000 RTP/AVP 0", "a=sendonly", "m=video 4002 RTP/AVP 96", "a=recvonly"], BOTH),
        (["m=image 4000 udptl t38"], 0),
        (["m=message 4000 TCP/MSRP *"], 0),
        (["m=audio"], 0),
        ([], 0),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_what_a_description_wants(lines: list[str], caller_wants: int, end: str) -> None:
    text = end.join(["v=0", "s=-", *lines, ""]).encode()
    assert wanted_by(text, CALLER) == caller_wants
    mirrored = (CALLER if caller_wants & CALLEE else 0) | (CALLEE if caller_wants & CALLER else 0)
    assert wanted_by(text, CALLEE) == mirrored


@given(st.binary(max_size=200), st.sampled_from([CALLER, CALLEE]))
def test_any_bytes_are_a_description(text: bytes, author: int) -> None:
    assert 0 <= wanted_by(b"v=0\nm=" + text, author) <= BOTH
