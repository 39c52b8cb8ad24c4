"""hep-js takes reports of RTCP and RTP as we send them, and their payload is the JSON of the field tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hep_receivers import HepJs

sys.path.append(str(Path(__file__).parents[1] / "media"))
from media_samples import SIP_A, SIP_B, SR, A, B, frames, invite, packet, sdp
from sink_samples import not_sip
from stream_samples import GOOD

from capture_agent.config.media_options import MediaSection
from capture_agent.config.targets import HepTarget
from capture_agent.media.rtp_json import rtp_json
from capture_agent.pipeline import Pipeline
from capture_agent.records.kinds import RtpReport
from capture_agent.records.origin import Origin
from capture_agent.sinks.hep.hep_other import other_packet

pytestmark = pytest.mark.once


def test_hep_js_takes_it(tmp_path: Path) -> None:
    made = Pipeline(media=MediaSection(rtcp=True))
    _, report = made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*A))), packet((B[0], 5001), (A[0], 4001), SR)]))
    with HepJs.started(tmp_path) as hep_js:
        found = hep_js.decapsulated(other_packet(report, HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
    assert (found["payloadType"], found["correlation_id"]) == (5, "call-1")
    assert (found["srcIp"], found["srcPort"], found["dstIp"], found["dstPort"]) == (
        "192.0.2.2",
        5001,
        "192.0.2.1",
        4001,
    )
    assert json.loads(found["payload"])["report_blocks"][0]["ia_jitter"] == 160


def test_hep_js_takes_a_report_of_rtp(tmp_path: Path) -> None:
    sample = not_sip(RtpReport, rtp_json(GOOD), Origin(correlation_id=GOOD.call_id))
    with HepJs.started(tmp_path) as hep_js:
        found = hep_js.decapsulated(other_packet(sample, HepTarget("h"), lambda: ((b"", 0), (b"", 0))))
    assert (found["payloadType"], found["correlation_id"]) == (34, "call-1")
    said = json.loads(found["payload"])
    assert (said["TOTAL_PK"], said["PACKET_LOSS"], said["MOS"]) == (495, 5, 4.33)
