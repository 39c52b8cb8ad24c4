"""RTCP packets to JSON: the fields by a table, every length checked."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import BLOCK, BYE, CNAME, FEEDBACK, METRICS, RR, SDES, SENDER, SR, SSRC, XR, padded, rtcp

from capture_agent.media.rtcp import REASONS, RtcpError, parse
from capture_agent.media.rtcp_json import as_json

pytestmark = pytest.mark.once

SOURCE = 0x11111111
SENDER_JSON = {
    "ntp_timestamp_sec": 3_900_000_000, "ntp_timestamp_usec": 0x80000000, "octets": 160_000,
    "rtp_timestamp": 160_000, "packets": 1000,
}  # fmt: skip
BLOCK_JSON = {
    "source_ssrc": 0x22222222, "highest_seq_no": 70_000, "fraction_lost": 25, "ia_jitter": 160, "packets_lost": -2,
    "lsr": 0x11112222, "dlsr": 65_536,
}  # fmt: skip
XR_JSON = {
    "type": 7, "id": 0x22222222, "fraction_lost": 1, "fraction_discard": 2, "burst_density": 3, "gap_density": 4,
    "burst_duration": 500, "gap_duration": 600, "round_trip_delay": 70, "end_system_delay": 80, "signal_level": 235,
    "noise_level": 200, "rerl": 55, "gmin": 16, "r_factor": 90, "ext_r_factor": 127, "mos_lq": 41, "mos_cq": 40,
    "rx_config": 0x30, "jb_nominal": 60, "jb_maximum": 120, "jb_abs_max": 240,
}  # fmt: skip
OF_SR = {
    "sender_information": SENDER_JSON,
    "ssrc": SOURCE,
    "type": 200,
    "report_count": 1,
    "report_blocks": [BLOCK_JSON],
}
OF_RR = {"ssrc": SOURCE, "type": 201, "report_count": 1, "report_blocks": [BLOCK_JSON]}
NO_BLOCKS = {"report_count": 0, "report_blocks": []}
# RFC 3550 6.4.1 in heplify's test of its own reader; a report of Asterisk's kind.
RECORDED = bytes.fromhex(
    "81c8000c58f33dea00024ffb828f5b92114a0c42000002ed0001cacf"
    "d2bd4e3e00000000000002010000001486e90f9d000344dd"
    "81ca000858f33dea011641434c5450204368616e6e656c48616e646c6520333000000000"
)
GOOD = {
    "SR": (SR, OF_SR),
    "RR": (RR, OF_RR),
    "compound": (SR + SDES, {**OF_SR, "sdes_ssrc": SOURCE}),
    "XR after RR keeps the type": (RR + SDES + XR, {**OF_RR, "sdes_ssrc": SOURCE, "report_blocks_xr": XR_JSON}),
    "BYE": (RR + BYE, {**OF_RR, "bye": [SOURCE]}),
    "reduced size: XR": (XR, {"ssrc": SOURCE, "type": 207, **NO_BLOCKS, "report_blocks_xr": XR_JSON}),
    "reduced size: SDES": (SDES, {"ssrc": SOURCE, "type": 202, **NO_BLOCKS, "sdes_ssrc": SOURCE}),
    "reduced size: BYE": (BYE, {"ssrc": SOURCE, "type": 203, **NO_BLOCKS, "bye": [SOURCE]}),
    "feedback first": (FEEDBACK + RR, OF_RR),
    "two of them": (RR + RR, {**OF_RR, "report_count": 2, "report_blocks": [BLOCK_JSON] * 2}),
    "profile-specific extension": (rtcp(201, 1, SSRC + BLOCK + bytes(8)), OF_RR),
    "padding": (rtcp(201, 1 | 0x20, SSRC + BLOCK + b"\0\0\0\x04"), OF_RR),
    "XR of another kind": (rtcp(207, 0, SSRC + b"\x04\0\0\x02" + bytes(8)), {"ssrc": SOURCE, "type": 207, **NO_BLOCKS}),
    "recorded": (RECORDED, {
        "sender_information": {
            "ntp_timestamp_sec": 151547, "ntp_timestamp_usec": 2190433170, "octets": 117455,
            "rtp_timestamp": 290065474, "packets": 749,
        },
        "ssrc": 1492336106, "type": 200, "report_count": 1,
        "report_blocks": [{
            "source_ssrc": 3535621694, "highest_seq_no": 513, "fraction_lost": 0, "ia_jitter": 20, "packets_lost": 0,
            "lsr": 2263420829, "dlsr": 214237,
        }],
        "sdes_ssrc": 1492336106,
    }),
}  # fmt: skip
BAD = {
    "short": [b"", SR[:7]],
    "header": [b"\x40" + SR[1:], RR + rtcp(191, 0, SSRC), RR + rtcp(224, 0, SSRC)],
    "length": [SR[:-1], SR[:-4], SR + b"\x80", RR + b"\x80\xca\0\x01"],
    "padding": [
        rtcp(201, 0x20, SSRC + b"\0\0\0\x04") + BYE, rtcp(201, 0x21, SSRC + BLOCK + b"\0\0\0\0"),
        rtcp(201, 0x20, SSRC + b"\0\0\0\x05"), rtcp(201, 0x20, SSRC + b"\0\0\0\xfc"), RR + b"\xa0\xcb\0\0",
    ],
    "report": [rtcp(200, 1, SSRC + SENDER), rtcp(200, 0, SSRC + SENDER[:-4]), rtcp(201, 2, SSRC + BLOCK)],
    "blocks": [RR * 32],
    "sdes": [
        rtcp(202, 2, SSRC + padded(CNAME)), rtcp(202, 1, SSRC + b"\x01\xffab"), rtcp(202, 1, SSRC + b"\x01\x02ab"),
    ],
    "bye": [rtcp(203, 2, SSRC + b"")],
    "xr": [
        RR + rtcp(207, 0, b""), rtcp(207, 0, SSRC + b"\x07\0\0\x08" + METRICS[:-4]),
        rtcp(207, 0, SSRC + b"\x07\0\0\x01" + bytes(4)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_fields(case: str) -> None:
    data, want = GOOD[case]
    assert json.loads(as_json(parse(data), cname=False)) == want


def test_the_name_only_if_asked() -> None:
    assert b"alice" not in as_json(parse(SR + SDES), cname=False)
    found = json.loads(as_json(parse(SR + SDES), cname=True))
    assert (found["sdes_report_count"], found["sdes_information"]) == (1, [{"type": 1, "text": "alice@host"}])


def test_feedback_reports_nothing() -> None:
    assert not parse(FEEDBACK).reports


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(reason: str) -> None:
    for data in BAD[reason]:
        with pytest.raises(RtcpError) as raised:
            parse(data)
        assert raised.value.reason == reason, data.hex()


PACKETS = st.lists(st.sampled_from([SR, RR, SDES, BYE, XR, FEEDBACK]), min_size=1, max_size=6).map(b"".join)


@given(st.one_of(st.binary(max_size=200), PACKETS), st.integers(0, 300), st.binary(max_size=4))
def test_any_bytes(data: bytes, at: int, other: bytes) -> None:
    """It is read or has a reason, and what is read is JSON."""
    changed = data[:at] + other + data[at + len(other) :]
    try:
        found = parse(changed)
    except RtcpError as error:
        assert error.reason in REASONS
    else:
        assert json.loads(as_json(found, cname=True))["type"] == found.kind


@given(PACKETS)
def test_a_compound_packet_has_the_sum_of_its_blocks(data: bytes) -> None:
    want, at = 0, 0
    while at < len(data):
        first, kind, words = struct.unpack_from(">BBH", data, at)
        want += first & 0x1F if kind in (200, 201) else 0
        at += 4 * words + 4
    assert len(parse(data).blocks) == want
