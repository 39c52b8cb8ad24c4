"""Streams on ladders: what is drawn of them, in every form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "media"))
from media_samples import SIP_A, SIP_B, START_NS, A, B, answer, frames, invite, packet, sdp, sip
from rtp_figures import stream
from sink_samples import not_sip

from capture_agent.app.call_feed import StoreSink
from capture_agent.media.rtp_json import rtp_json
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.kinds import RtpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.view.call_store import MOST_STREAMS, CallStore
from capture_agent.view.ladder import Ladder, ladder_of
from capture_agent.view.ladder_exports import exported
from capture_agent.view.ladder_text import draw, steps
from capture_agent.view.media_marks import streams_of

pytestmark = pytest.mark.once

SECOND = 1_000_000_000
RELAY = bytes([203, 0, 113, 9])
THERE = {"begin_ns": START_NS + 3 * SECOND, "end_ns": START_NS + 8 * SECOND}
GAP = {"longest_gap_ms": 2_500.0, "gap_at_ns": START_NS + 5 * SECOND}
BACK: dict[str, Any] = {
    "source": bytes([192, 0, 2, 2]), "source_port": 5000, "destination": bytes([192, 0, 2, 1]), "destination_port": 4000,
}  # fmt: skip


def call(*media: tuple[str, int]) -> list[CapturedMessage]:
    """INVITE, 200, BYE: at 0, 1 and 9 seconds."""
    offered, answered = media or (A, B)
    made = [
        packet(SIP_A, SIP_B, invite(sdp(*offered))), packet(SIP_B, SIP_A, answer(200, sdp(*answered))),
        packet(SIP_A, SIP_B, sip("BYE sip:bob@h SIP/2.0", "2 BYE")),
    ]  # fmt: skip
    return Pipeline().messages(frames(made, [0, 1, 9]))


def drawn(ladder: Ladder) -> list[str]:
    return [f"{step.time} {step.source} -> {step.destination} {step.label}" for step in steps(ladder)]


def test_a_stream_has_its_begin_its_gap_and_its_end_between_the_messages() -> None:
    ladder = ladder_of(call(), reports=[stream(**THERE, **GAP)])
    assert drawn(ladder) == [
        "0.000 192.0.2.1 -> 192.0.2.2 INVITE",
        "1.000 192.0.2.2 -> 192.0.2.1 200 Said",
        "3.000 192.0.2.1 -> 192.0.2.2 RTP PCMU",
        "5.000 192.0.2.1 -> 192.0.2.2 RTP silent for 2.5 s",
        "8.000 192.0.2.1 -> 192.0.2.2 RTP: MOS 4.3, lost 1.0 %, jitter 1.0 ms",
        "9.000 192.0.2.1 -> 192.0.2.2 BYE",
    ]
    assert [one.number for one in ladder.arrows] == [1, 2, 3]
    assert list(draw(steps(ladder), 80))[3:5] == [
        "     3.000    |................. RTP PCMU ................>|",
        "     5.000    |........... RTP silent for 2.5 s ..........>|",
    ]


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"final": False}, "RTP so far: MOS 4.3, lost 1.0 %, jitter 1.0 ms"),
        ({"secure": True}, "SRTP: MOS 4.3, lost 1.0 %, jitter 1.0 ms"),
        ({"mos": 0.0, "codec": ""}, "RTP: lost 1.0 %, jitter 1.0 ms"),
        ({"expected": 0, "lost": 0}, "RTP: MOS 4.3, lost 0.0 %, jitter 1.0 ms"),
        ({"lost": 250, "mean_jitter_ms": 42.5}, "RTP: MOS 4.3, lost 50 %, jitter 42 ms"),
    ],
)
def test_words(changes: dict[str, Any], label: str) -> None:
    assert ladder_of(call(), reports=[stream(**THERE, **changes)]).rows[-2].label == label


@pytest.mark.parametrize(
    ("media", "ends", "want"),
    [
        pytest.param((A, B), {}, ["192.0.2.1", "192.0.2.2"], id="hosts of messages"),
        pytest.param((A, B), BACK, ["192.0.2.2", "192.0.2.1"], id="the other direction"),
        pytest.param(
            (A, ("203.0.113.9", 6000)), {"destination": RELAY, "destination_port": 6000}, ["192.0.2.1", "192.0.2.2"],
            id="a relay is whoever has announced it",
        ),
        pytest.param((A, B), {"destination": RELAY}, ["192.0.2.1", "203.0.113.9"], id="an address that nobody has said"),
    ],
)  # fmt: skip
def test_ends(media: tuple[tuple[str, int], ...], ends: dict[str, Any], want: list[str]) -> None:
    ladder = ladder_of(call(*media), reports=[stream(**THERE, **ends)])
    row = ladder.rows[2]
    assert [ladder.participants[at].place for at in (row.source, row.destination)] == want


def test_a_host_that_talks_to_itself_has_media_at_its_ports() -> None:
    message = [packet(("192.0.2.1", 5060), ("192.0.2.1", 5070), invite(sdp(*A)))]
    ladder = ladder_of(Pipeline().messages(frames(message)), reports=[stream(**THERE)])
    assert [one.place for one in ladder.participants] == ["192.0.2.1:5060", "192.0.2.1:5070", "192.0.2.2:5000"]
    assert (ladder.rows[1].source, ladder.rows[1].destination) == (0, 2)


def test_streams_of_other_calls_are_left_out() -> None:
    assert ladder_of(call(), reports=[stream(call_id=b"another")]).streams == ()


@pytest.mark.parametrize("form", ["svg", "html", "mermaid", "json"])
def test_every_form_has_it(form: str) -> None:
    ladder = ladder_of(call(), reports=[stream(**THERE, **GAP, codec="<b>&\x1b")])
    made = exported(form, ladder, "start", None)
    assert "2.5 s" in made or json.loads(made)["streams"][0]["longest_gap_ms"] == 2500
    assert "<b>" not in made or form == "json"
    assert "\x1b" not in made


def test_as_an_object() -> None:
    [found] = json.loads(exported("json", ladder_of(call(), reports=[stream(mos=0.0, r_factor=0.0)]), "start", None))[
        "streams"
    ]
    assert (found["call_id"], found["source"], found["ssrc"]) == ("call-1", "192.0.2.1", "0x11111111")
    assert (found["mos"], found["r_factor"], found["lost"]) == (None, None, 5)


def test_intervals_are_added_until_the_last_word() -> None:
    first = stream(
        final=False,
        packets=100,
        lost=1,
        mos=4.0,
        max_jitter_ms=9.0,
        end_ns=START_NS + 1,
        gap_at_ns=5,
        longest_gap_ms=80,
    )
    second = stream(final=False, packets=300, lost=2, mos=3.0, max_jitter_ms=3.0, begin_ns=START_NS + 2)
    [sofar] = streams_of([first, second])
    assert (sofar.packets, sofar.lost, sofar.mos, sofar.max_jitter_ms) == (400, 3, 3.25, 9.0)
    assert (sofar.begin_ns, sofar.end_ns, sofar.gap_at_ns, sofar.final) == (START_NS, second.end_ns, 5, False)
    last = stream(packets=400)
    assert streams_of([first, first, second, second, last, last]) == [last]
    later = stream(begin_ns=last.end_ns + 70 * SECOND, end_ns=last.end_ns + 80 * SECOND)
    assert streams_of([last, later]) == [last, later]


@given(
    st.lists(
        st.builds(
            stream, final=st.booleans(), ssrc=st.integers(1, 3), packets=st.integers(0, 9), end_ns=st.integers(0, 2**62)
        )
    )
)
def test_each_stream_is_there_once(reports: list[Any]) -> None:
    found = streams_of(reports)
    assert {one.ssrc for one in found} == {one.ssrc for one in reports}
    assert len(found) == len({one.ssrc for one in reports})


def test_reports_that_an_agent_has_traced_come_to_the_store() -> None:
    store = CallStore()
    sink = StoreSink(store)
    origin = Origin(correlation_id=b"call-1")
    batch = [TracedMessage(one, Direction.IN, Trace()) for one in call()]
    sink.send([*batch, not_sip(RtpReport, rtp_json(stream()), origin), not_sip(RtpReport, b"{}", origin)])
    assert [one.packets for one in store.streams([b"call-1"])] == [stream().packets]
    assert sink.sent == 5


def test_a_store_keeps_streams_of_its_calls() -> None:
    store = CallStore()
    store.add_streams([stream()])  # of a call that is not known
    assert (store.streams([b"call-1"]), store.held_bytes) == ([], 0)
    store.add(call())
    before, version = store.held_bytes, store.version
    store.add_streams([stream(ssrc=number) for number in range(MOST_STREAMS + 3)])
    assert [one.ssrc for one in store.streams([b"call-1"])] == list(range(3, MOST_STREAMS + 3))
    assert [one.call_id for one in store.since(version).calls] == [b"call-1"]
    assert store.held_bytes > before
    store.clear()
    assert (store.streams([b"call-1"]), store.held_bytes) == ([], 0)
