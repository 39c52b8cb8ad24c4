from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import A, B
from stream_samples import GOOD, START_NS, stream

from capture_agent.media.rtp_json import figures_of, rtp_json
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.datagram import Datagram
from capture_agent.records.kinds import RtpReport
from capture_agent.records.origin import Origin

pytestmark = pytest.mark.once

SAID = {
    "TYPE": "HANGUP",
    "SSRC": "0x11111111",
    "CODEC_NAME": "PCMU",
    "CODEC_PT": 0,
    "CLOCK": 8000,
    "TOTAL_PK": 495,
    "EXPECTED_PK": 500,
    "PACKET_LOSS": 5,
    "TL_BYTE": 79_200,
    "OUT_ORDER": 2,
    "DUPLICATES": 1,
    "SSRC_CHG": 0,
    "DTMF": 3,
    "DSCP": 46,
    "JITTER": 1.25,
    "MAX_JITTER": 4.5,
    "MEAN_JITTER": 1.0,
    "DELTA": 20.2,
    "MAX_DELTA": 60.0,
    "MAX_SKEW": -3.5,
    "LONGEST_GAP": 60.0,
    "RFACTOR": 89.56,
    "MOS": 4.33,
    "REPORT_TS": 1_700_000_010.0,
    "REPORT_START": 1_700_000_000.0,
    "REPORT_END": 1_700_000_010.0,
    "GAP_TS": 1_700_000_004.0,
    "SECURE": False,
}


def reported(payload: bytes) -> RtpReport:
    data = GOOD.source + GOOD.destination + payload
    datagram = Datagram(data, 8, len(data), 0, 4, A[1], B[1], time_ns=START_NS)
    return RtpReport(datagram, Origin(correlation_id=GOOD.call_id))


def test_it_has_the_names_that_homer_reads() -> None:
    assert json.loads(rtp_json(GOOD)) == SAID


@pytest.mark.parametrize(
    ("changes", "without"),
    [
        pytest.param({"r_factor": 0.0, "mos": 0.0, "codec": "H264"}, {"RFACTOR", "MOS"}, id="a codec without a rating"),
        pytest.param({"gap_at_ns": 0}, {"GAP_TS"}, id="one packet has no gap"),
    ],
)
def test_what_is_unknown_is_left_out(changes: dict[str, float], without: set[str]) -> None:
    assert json.loads(rtp_json(stream(**changes))).keys() == SAID.keys() - without


@pytest.mark.parametrize("figures", [GOOD, stream(final=False, secure=True, mos=0.0, r_factor=0.0, gap_at_ns=0)])
def test_the_figures_are_read_back(figures: StreamFigures) -> None:
    assert figures_of(reported(rtp_json(figures))) == figures


HEPGEN = b"""{"CORRELATION_ID":"c","RTP_SIP_CALL_ID":"c","DELTA":19.983,"JITTER":0.017,"REPORT_TS":1700000001.5,"TL_BYTE":0,
"SKEW":0.000,"TOTAL_PK":1511,"EXPECTED_PK":1512,"PACKET_LOSS":1,"MOS":4.032,"RFACTOR":80.200,"CODEC_PT":9,"CLOCK":8000,
"CODEC_NAME":"g722","DIR":0,"TYPE":"PERIODIC"}"""


def test_reports_of_other_agents_are_read() -> None:
    found = figures_of(reported(HEPGEN))
    assert found is not None
    assert (found.packets, found.expected, found.lost, found.mos, found.final) == (1511, 1512, 1, 4.032, False)
    assert (found.codec, found.begin_ns, found.end_ns) == ("g722", START_NS, START_NS)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"7", b"\xff", b"{}", b'{"MOS":4.4}', b'{"TOTAL_PK":"9"}', b'{"TOTAL_PK":true}', b"[" * 20_000],
)
def test_what_is_no_report_is_none(payload: bytes) -> None:
    assert figures_of(reported(payload)) is None


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.sampled_from(sorted(SAID)), VALUES))
def test_any_values_are_read(said: dict[str, object]) -> None:
    found = figures_of(reported(json.dumps({**said, "TOTAL_PK": 1}).encode()))
    assert found is not None
    assert json.loads(rtp_json(found))
