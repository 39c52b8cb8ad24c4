"""Streams with known faults: the figures are those that were made, and those of tshark's RTP analysis within 1 %."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which

import pytest
from media_samples import A, B, sdp
from rtp_samples import Sent, Speech, as_frames, call_with, dtmf, lossy, write_pcap

from capture_agent.config.media_options import MediaSection
from capture_agent.pipeline import Pipeline
from capture_agent.records.kinds import RtpReport

LINE = re.compile(
    r"\s*[\d.]+\s+[\d.]+\s+(?P<source>\S+)\s+(?P<source_port>\d+)\s+(?P<destination>\S+)\s+(?P<destination_port>\d+)"
    r"\s+0x(?P<ssrc>[0-9A-F]{8})\s+(?P<payload>.+?)\s+(?P<packets>\d+)\s+(?P<lost>-?\d+) \(\S+%\)"
    r"\s+(?P<min_delta>\S+)\s+(?P<mean_delta>\S+)\s+(?P<max_delta>\S+)\s+(?P<min_jitter>\S+)\s+(?P<mean_jitter>\S+)"
    r"\s+(?P<max_jitter>\S+)"
)
DYNAMIC = ("a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000")


@dataclass(frozen=True)
class Case:
    """What is made of the stream from A to B; `wanted`: figures that are known beforehand."""

    sent: list[Sent]
    wanted: dict[str, object]
    lines: tuple[str, ...] = ()
    jitter: bool = True  # whether tshark's jitter means the same


def numbers(first: int, last: int, step: int = 1) -> frozenset[int]:
    return frozenset(range(first, last, step))


PLAIN = Speech()
LONG = Speech(count=3000)
LATE = Speech(late=numbers(50, 450, 40))
TWICE = Speech(twice=numbers(50, 450, 25), jitter_ms=6)
OPUS = Speech(kind=96, rate=48_000, payload=80, jitter_ms=8)
BEFORE, AFTER = Speech(count=200), Speech(count=200, ssrc=0x22222222, begin=5.0, sequence=7, timestamp=9)
CASES = {
    "perfect": Case(PLAIN.sent(), {"TOTAL_PK": 500, "EXPECTED_PK": 500, "PACKET_LOSS": 0, "CODEC_NAME": "PCMU"}),
    "loss of 5 %": Case(lossy(LONG, 0.05).sent(), {"PACKET_LOSS": len(lossy(LONG, 0.05).lost), "EXPECTED_PK": 3000}),
    "jitter": Case(Speech(jitter_ms=18).sent(), {"PACKET_LOSS": 0, "OUT_ORDER": 0}),
    "loss and jitter": Case(lossy(Speech(count=2000, jitter_ms=15), 0.02).sent(), {}),
    "reordered": Case(LATE.sent(), {"OUT_ORDER": len(LATE.late), "PACKET_LOSS": 0, "DUPLICATES": 0}),
    "duplicates": Case(TWICE.sent(), {"DUPLICATES": len(TWICE.twice), "TOTAL_PK": 500, "PACKET_LOSS": 0}),
    "sequence numbers wrap around": Case(
        lossy(Speech(sequence=65_300, jitter_ms=4), 0.01).sent(), {"EXPECTED_PK": 500}
    ),
    "timestamps wrap around": Case(Speech(timestamp=2**32 - 20_000, jitter_ms=4).sent(), {"PACKET_LOSS": 0}),
    "G.722, whose clock says 8000": Case(Speech(kind=9, jitter_ms=8).sent(), {"CODEC_NAME": "G722", "CLOCK": 8000}),
    "Opus": Case(OPUS.sent(), {"CODEC_NAME": "opus", "CLOCK": 48_000, "CODEC_PT": 96}, DYNAMIC),
    "silence suppression": Case(
        Speech(silent=numbers(100, 160) | numbers(300, 350), jitter_ms=3).sent(), {"EXPECTED_PK": 390}
    ),
    "an outage": Case(Speech(lost=numbers(100, 350)).sent(), {"PACKET_LOSS": 250, "LONGEST_GAP": 5020.0}),
    "30 ms": Case(Speech(kind=8, milliseconds=30, payload=240, jitter_ms=10).sent(), {"CODEC_NAME": "PCMA"}),
    "DTMF": Case(
        [
            *Speech(count=100).sent(), *dtmf(3.0, 1100, 66_000), *replace(Speech(count=100), begin=3.16, sequence=1108,
            timestamp=67_280).sent(), *dtmf(5.16, 1208, 83_280), *dtmf(5.32, 1216, 84_560),
        ],
        {"DTMF": 3, "PACKET_LOSS": 0, "CODEC_NAME": "PCMU", "TOTAL_PK": 224}, DYNAMIC, jitter=False,
    ),
    "another SSRC": Case(BEFORE.sent() + AFTER.sent(), {"TOTAL_PK": 200}),
}  # fmt: skip


def described(place: tuple[str, int], lines: tuple[str, ...]) -> bytes:
    return sdp(*place, *lines).replace(b"RTP/AVP 0\r\n", b"RTP/AVP 0 8 9 96 101\r\n")


def measured(packets: list[bytes], seconds: list[float], options: MediaSection) -> list[dict[str, object]]:
    made = Pipeline(media=options)
    traced = [one for frames in as_frames(packets, seconds) for one in made.process(frames)] + made.close()
    assert all(ledger.difference == 0 for ledger in made.ledgers())
    return [json.loads(one.message.raw) for one in traced if isinstance(one.message, RtpReport)]


def of_tshark(capture: Path) -> dict[int, dict[str, float]]:
    """The figures of each stream, by SSRC."""
    tshark = which("tshark")
    assert tshark is not None
    made = subprocess.run([tshark, "-n", "-q", "-r", capture, "-z", "rtp,streams"], capture_output=True, check=True)
    found = [one.groupdict() for line in made.stdout.decode().splitlines() if (one := LINE.match(line)) is not None]
    names = ("packets", "lost", "mean_delta", "max_delta", "mean_jitter", "max_jitter")
    return {int(one["ssrc"], 16): {name: float(one[name]) for name in names} for one in found}


@pytest.mark.parametrize("name", CASES)
def test_the_figures_are_those_of_tshark(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    packets, seconds = call_with([(A, B, case.sent)], described(A, case.lines), described(B, case.lines))
    ours = measured(packets, seconds, MediaSection(rtp="all"))
    theirs = of_tshark(write_pcap(tmp_path / "call.pcap", packets, seconds))
    assert {int(str(one["SSRC"]), 16) for one in ours} == set(theirs)
    for one in ours:
        assert {key: one[key] for key in case.wanted} == case.wanted
        their = theirs[int(str(one["SSRC"]), 16)]
        received = int(str(one["TOTAL_PK"])) + int(str(one["DUPLICATES"]))
        assert received == their["packets"]
        assert int(str(one["EXPECTED_PK"])) - received == their["lost"]
        close = {"DELTA": "mean_delta", "MAX_DELTA": "max_delta"}
        close |= {"MEAN_JITTER": "mean_jitter", "MAX_JITTER": "max_jitter"} if case.jitter else {}
        assert {key: one[key] for key in close} == {
            key: pytest.approx(their[name], rel=0.01, abs=0.002) for key, name in close.items()
        }
