"""RTCP as JSON, with the names that heplify, captagent and rtpengine write and that Homer's pages and figures read.

Homer's page draws only `type` 200, 201 and 202, and takes the sender's figures from `sender_information` if it is
there: so `type` is that of the report, whatever follows it, and nothing is there that was not in the packet.
"""

from __future__ import annotations

import json
from typing import Any

from capture_agent.media.rtcp import CNAME, ReportBlock, Rtcp, SenderInfo, VoipMetrics

SENDER = {
    "ntp_timestamp_sec": "ntp_seconds",
    "ntp_timestamp_usec": "ntp_fraction",  # it is named so, but is in 1/2**32 s
    "octets": "octets",
    "rtp_timestamp": "rtp_timestamp",
    "packets": "packets",
}
BLOCK = {
    "source_ssrc": "ssrc",
    "highest_seq_no": "highest_sequence",
    "fraction_lost": "fraction_lost",
    "ia_jitter": "jitter",
    "packets_lost": "lost",
    "lsr": "last_sr",
    "dlsr": "since_last_sr",
}
METRICS = {
    "id": "ssrc",
    "fraction_lost": "loss_rate",
    "fraction_discard": "discard_rate",
    "burst_density": "burst_density",
    "gap_density": "gap_density",
    "burst_duration": "burst_duration",
    "gap_duration": "gap_duration",
    "round_trip_delay": "round_trip_delay",
    "end_system_delay": "end_system_delay",
    "signal_level": "signal_level",
    "noise_level": "noise_level",
    "rerl": "rerl",
    "gmin": "gmin",
    "r_factor": "r_factor",
    "ext_r_factor": "ext_r_factor",
    "mos_lq": "mos_lq",
    "mos_cq": "mos_cq",
    "rx_config": "rx_config",
    "jb_nominal": "jb_nominal",
    "jb_maximum": "jb_maximum",
    "jb_abs_max": "jb_abs_max",
}


def as_json(found: Rtcp, cname: bool) -> bytes:
    """`cname`: with the sender's canonical name, which is often user@host."""
    made: dict[str, Any] = {}
    if found.sender is not None:
        made["sender_information"] = named(found.sender, SENDER)
    if found.ssrc is not None:
        made["ssrc"] = found.ssrc
    made["type"] = found.kind
    made["report_count"] = len(found.blocks)
    made["report_blocks"] = [named(block, BLOCK) for block in found.blocks]
    if found.metrics is not None:
        made["report_blocks_xr"] = {"type": 7, **named(found.metrics, METRICS)}
    if found.sdes_ssrc is not None:
        made["sdes_ssrc"] = found.sdes_ssrc
        if cname and found.cname is not None:
            made["sdes_report_count"] = 1
            made["sdes_information"] = [{"type": CNAME, "text": found.cname.decode("utf-8", "replace")}]
    if found.left:
        made["bye"] = found.left
    return json.dumps(made, separators=(",", ":")).encode()


def named(record: SenderInfo | ReportBlock | VoipMetrics, names: dict[str, str]) -> dict[str, int]:
    return {name: getattr(record, attribute) for name, attribute in names.items()}
