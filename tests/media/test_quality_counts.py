"""Distributions by direction and peer."""

from __future__ import annotations

from typing import Any

import pytest
from media_samples import SIP_A, SIP_B, A, B, packet, sdp, sip
from rtp_figures import stream
from rtp_samples import Sent, Speech, as_frames, call_with

from capture_agent.config import Correlate, Metrics
from capture_agent.config.endpoints import AUTO, LocalAddress, parse_local
from capture_agent.config.media_options import MediaSection
from capture_agent.counting.sides import Sides
from capture_agent.histogram import Distribution
from capture_agent.media.call_directions import CallDirections, Heard
from capture_agent.media.media_table import DIRECTIONS_COST, MediaTable
from capture_agent.media.quality_counts import JITTER, LOSS, MOS, QualityCounts
from capture_agent.media.rtp_json import figures_of
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.records.kinds import RtpReport

BACK: dict[str, Any] = {
    "source": bytes([192, 0, 2, 2]), "source_port": 5000, "destination": bytes([192, 0, 2, 1]), "destination_port": 4000,
}  # fmt: skip


PEERS = {"carrier": ("192.0.2.2/32",)}
SPEECH = Speech(count=300).sent()
HELD = sdp(*A, "a=inactive"), sdp(*B, "a=inactive")


def local_of(*texts: str) -> list[LocalAddress]:
    return [one for one in map(parse_local, texts) if one != AUTO]


def counts(*local: str) -> QualityCounts:
    return QualityCounts(Sides(local_of(*local), PEERS))


def distribution(made: QualityCounts, name: str, *labels: str) -> Distribution:
    found = made.snapshot()[f"capture_agent_rtp_{name}"][labels]
    assert isinstance(found, Distribution)
    return found


@pytest.mark.parametrize(
    ("local", "ends", "labels"),
    [
        pytest.param(["192.0.2.1"], {}, ("out", "carrier"), id="to the carrier"),
        pytest.param(["192.0.2.1"], BACK, ("in", "carrier"), id="from the carrier"),
        pytest.param(["192.0.2.2"], {}, ("in", "other"), id="from somebody"),
        pytest.param([], {}, ("in", "carrier"), id="a mirror port"),
        pytest.param([], BACK, ("in", "carrier"), id="a mirror port, back"),
        pytest.param([], {"source": bytes(16), "destination": bytes(15) + b"\1"}, ("in", "other"), id="IPv6"),
    ],
)
def test_labels_of_a_stream(local: list[str], ends: dict[str, Any], labels: tuple[str, str]) -> None:
    made = counts(*local)
    made.stream_over(stream(**ends))
    assert made.snapshot()["capture_agent_rtp_streams_total"] == {labels: 1}


def test_a_stream_counts_once_in_each_distribution() -> None:
    made = counts()
    for changes in ({"mos": 4.1, "mean_jitter_ms": 3.0}, {"lost": 0}, {"mos": 0.0, "lost": 250}, {"expected": 0}):
        made.stream_over(stream(**changes))
    labels = ("in", "carrier")
    mos, loss, jitter = (distribution(made, name, *labels) for name in ("mos", "loss_ratio", "jitter_seconds"))
    assert (mos.bounds, loss.bounds, jitter.bounds) == (MOS, LOSS, JITTER)
    assert (mos.count, loss.count, jitter.count) == (3, 4, 4)  # one has no rating
    assert mos.counts[MOS.index(4.2)] == 1
    assert (loss.counts[0], loss.counts[LOSS.index(0.01)], loss.counts[LOSS.index(0.5)]) == (2, 1, 1)
    assert jitter.counts[JITTER.index(0.001)] == 3
    assert jitter.total == pytest.approx(0.006)


def test_calls_by_what_was_heard() -> None:
    made = counts()
    for heard in (Heard.COMPLETE, Heard.COMPLETE, Heard.ONE_WAY):
        made.call_over(heard, 0)
    assert made.snapshot()["capture_agent_rtp_calls_total"] == {
        ("complete", "in", "other"): 2,
        ("one_way", "in", "other"): 1,
    }


def test_nothing_has_no_samples() -> None:
    assert not any(counts().snapshot().values())


def measured(
    streams: list[tuple[tuple[str, int], tuple[str, int], list[Sent]]],
    offer: bytes = b"",
    answered: bytes = b"",
    **options: Any,
) -> Pipeline:
    """One call, from its INVITE to its BYE."""
    policy = Policy(local=local_of("192.0.2.1:5060"))
    made = Pipeline(policy=policy, media=MediaSection(**{"rtp": "all", **options}), metrics=Metrics(peers=PEERS))
    for some in as_frames(*call_with(streams, offer or None, answered or None, end=8.0)):
        made.process(some)
    made.close()
    return made


@pytest.mark.parametrize(
    ("streams", "descriptions", "heard"),
    [
        pytest.param([(A, B, SPEECH), (B, A, SPEECH)], (), "complete", id="both directions"),
        pytest.param([(A, B, SPEECH)], (), "one_way", id="one direction"),
        pytest.param([], (), "none", id="no media"),
        pytest.param([], HELD, "not_judged", id="on hold"),
        pytest.param(
            [(A, B, SPEECH), (B, A, SPEECH)],
            (sdp(*A, profile="RTP/SAVP"), sdp(*B, profile="RTP/SAVP")),
            "complete",
            id="SRTP",
        ),
    ],
)
def test_calls_of_a_capture(streams: list[Any], descriptions: tuple[bytes, ...], heard: str) -> None:
    found = measured(streams, *descriptions).counted()
    assert found["capture_agent_rtp_calls_total"] == {(heard, "out", "carrier"): 1}
    assert sum(found["capture_agent_rtp_streams_total"].values()) == len(streams)  # type: ignore[arg-type]
    directions = {("out" if source is A else "in", "carrier") for source, _, _ in streams}
    assert set(found["capture_agent_rtp_mos"]) == directions


def test_calls_that_are_not_sampled_do_not_count() -> None:
    made = measured([], rtp="sample", rtp_sample=1_000_000)
    assert not any(made.counted().values())


def test_other_names_after_a_reload() -> None:
    made = measured([(A, B, SPEECH)])
    made.change(Policy(local=local_of("192.0.2.2")), None, Correlate(), Metrics(peers={"new": ("192.0.2.1/32",)}))
    for some in as_frames(*call_with([(A, B, Speech(count=9, ssrc=5).sent())], end=8.0)):
        made.process(some)
    made.close()
    assert made.counted()["capture_agent_rtp_streams_total"] == {("out", "carrier"): 1, ("in", "new"): 1}


def test_what_is_kept_of_directions_is_counted() -> None:
    table = MediaTable(100, 10**9)
    table.announce(b"c", [((bytes(4), 1), None)], (), False, 0)
    [call], before = [table.call(b"c")], table.bytes
    assert call is not None
    for _ in range(2):
        table.direct(call, CallDirections(1, 0))
        assert table.bytes == before + DIRECTIONS_COST
    table.announce(b"c", [((bytes(4), 1), None)], (), False, 0)
    assert table.bytes == before + DIRECTIONS_COST
    table.direct(call, None)
    assert table.bytes == before
    table.direct(call, CallDirections(1, 0))
    table.forget()
    assert table.bytes == 0


GOES_ON = Speech(count=600, ssrc=0x22222222).sent()  # for 3 seconds after BYE


@pytest.mark.parametrize(
    ("seconds", "reported"),
    [
        pytest.param(4, [], id="not yet"),
        pytest.param(5, [0x11111111], id="the silent one"),
        pytest.param(59, [0x11111111], id="the other one may go on"),
        pytest.param(75, [0x11111111, 0x22222222], id="both"),
    ],
)
def test_a_stream_is_over_when_it_is_silent_after_bye(seconds: int, reported: list[int]) -> None:
    packets, times = call_with([(A, B, Speech(count=450).sent()), (B, A, GOES_ON)], end=9.9)
    at_bye = 10.0
    for second in range(1, seconds + 1):  # time passes
        packets.append(packet(SIP_A, SIP_B, sip("OPTIONS sip:h SIP/2.0", "1 OPTIONS", call_id="another")))
        times.append(at_bye + second)
    order = sorted(range(len(times)), key=lambda n: times[n])
    packets, times = [packets[n] for n in order], [times[n] for n in order]
    made = Pipeline(media=MediaSection(rtp="all"))
    found = [one.message for some in as_frames(packets, times, 10) for one in made.process(some)]
    assert [f.ssrc for one in found if isinstance(one, RtpReport) and (f := figures_of(one))] == reported
    made.close()
    assert made.counted()["capture_agent_rtp_streams_total"] == {("in", "other"): 2}
