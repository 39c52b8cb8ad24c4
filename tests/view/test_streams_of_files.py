"""A capture file with a call and its RTP: every view shows the stream."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from cli_samples import capture_agent
from screen_driver import Driven, drive

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("media", "page"))
from media_samples import START_NS, A, B, bye, invite, packet, sdp
from page_samples import served, store_of
from rtp_samples import Speech, call_with, write_pcap
from stream_samples import stream

from capture_agent import read
from capture_agent.media.rtp_json import rtp_json
from hep import Packet, encode

pytestmark = pytest.mark.once

SILENT = [one for one in Speech(count=500, ssrc=7).sent() if not 4.0 < one[0] < 6.5]
LABELS = ["INVITE", "200 Said", "RTP PCMU", "RTP silent for 2.5 s", "RTP: MOS 2.4, lost 25 %, jitter 0.0 ms", "BYE"]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pcap(tmp_path_factory.mktemp("rtp") / "call.pcap", *call_with([(B, A, SILENT)]))


def test_streams_of_a_file_in_the_library(capture: Path) -> None:
    found = read(capture)
    assert [one.label for one in found.ladder(*found.calls()).rows] == LABELS


def test_streams_of_a_file_as_flow_draws_them(capture: Path) -> None:
    done = capture_agent("flow", "call-1", "--file", str(capture))
    lines = done.out.splitlines()
    assert [next(one for one in lines if label in one) for label in LABELS]
    assert lines[-1].split(": ", 1) == [
        f"{'':12}RTP PCMU",
        "192.0.2.2:5000 -> 192.0.2.1:4000, 376 packets in 10.0 s, MOS 2.4, lost 25 %, jitter 0.0 ms, silent for 2.5 s",
    ]


def test_streams_of_a_file_on_the_page(capture: Path) -> None:
    with store_of(capture) as source, served(source) as ask:
        [stream] = ask("/api/call?id=call-1").json["streams"]
        page = ask("/call?id=call-1").text
    assert (stream["lost"], stream["expected"], stream["codec"]) == (124, 500, "PCMU")
    assert all(label in page for label in LABELS)
    assert "376 packets in 10.0 s" in page


def test_streams_of_a_file_in_the_terminal(capture: Path) -> None:
    async def steps(driven: Driven) -> None:
        await driven.press("enter", "down", "down")
        assert "streams of the call" in driven.text
        assert "376 packets in" in driven.text
        ladder = driven.app.screen.query_one("#ladder")
        await driven.press("space")
        assert ladder.marked is None, "a stream cannot be compared"  # type: ignore[attr-defined]
        await driven.press("end", "space")
        assert ladder.marked == 3  # type: ignore[attr-defined]
        await driven.press("home", "space")
        assert "- BYE sip:bob@h" in driven.text
        assert "+ INVITE sip:bob@h" in driven.text

    drive(steps, [capture], size=(150, 30))


def test_reports_of_other_agents_in_hep(tmp_path: Path) -> None:
    """SIP and the report of its stream (type 34), as a collector would get them."""

    def hep(kind: int, payload: bytes, seconds: int) -> bytes:
        made = encode(
            Packet(
                source=ip_address(A[0]).packed, destination=ip_address(B[0]).packed, source_port=A[1],
                destination_port=B[1], seconds=START_NS // 10**9 + seconds, protocol=17, protocol_type=kind,
                correlation_id=b"call-1", payload=payload,
            )
        )  # fmt: skip
        return packet(("192.0.2.9", 9060), ("192.0.2.10", 9060), made)

    packets = [hep(1, invite(sdp(*A)), 0), hep(34, rtp_json(stream(final=False)), 9), hep(1, bye(), 10)]
    file = write_pcap(tmp_path / "hep.pcap", packets, [0.0, 9.0, 10.0])
    (tmp_path / "agent.toml").write_text("[capture]\nhep_in = true\n")
    done = capture_agent("flow", "call-1", "--file", file, "--config", tmp_path / "agent.toml")
    assert "RTP so far: MOS 4.3, lost 1.0 %" in done.out, done.err
