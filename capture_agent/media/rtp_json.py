"""Figures of an RTP stream as JSON, with the names that Homer's agents write and that its pages and figures read.

Addresses and Call-ID are not in it: HEP has them in chunks of their own, where address rewriting reaches them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.kinds import RtpReport

SECOND_NS = 1_000_000_000
LONGEST = 16_384  # bytes of a report of another agent
PERIODIC, HANGUP = "PERIODIC", "HANGUP"  # the only values of TYPE that Homer's chart takes

COUNTS = {
    "TOTAL_PK": "packets",
    "EXPECTED_PK": "expected",
    "PACKET_LOSS": "lost",
    "TL_BYTE": "octets",
    "OUT_ORDER": "out_of_order",
    "DUPLICATES": "duplicates",
    "SSRC_CHG": "ssrc_changes",
    "DTMF": "dtmf_events",
    "CODEC_PT": "payload_type",
    "CLOCK": "clock_rate",
    "DSCP": "dscp",
}
MEASURES = {
    "JITTER": "jitter_ms",
    "MAX_JITTER": "max_jitter_ms",
    "MEAN_JITTER": "mean_jitter_ms",
    "DELTA": "mean_delta_ms",
    "MAX_DELTA": "max_delta_ms",
    "MAX_SKEW": "max_skew_ms",
    "LONGEST_GAP": "longest_gap_ms",
    "RFACTOR": "r_factor",
    "MOS": "mos",
}
TIMES = {"REPORT_START": "begin_ns", "REPORT_END": "end_ns", "GAP_TS": "gap_at_ns"}
RATED = ("RFACTOR", "MOS")


def rtp_json(figures: StreamFigures) -> bytes:
    """What is unknown is left out: times of nothing, and the rating of a codec that has none."""
    made: dict[str, Any] = {"TYPE": HANGUP if figures.final else PERIODIC}
    made["SSRC"] = f"0x{figures.ssrc:08x}"
    made["CODEC_NAME"] = figures.codec
    made.update((name, getattr(figures, field)) for name, field in COUNTS.items())
    for name, field in MEASURES.items():
        if figures.mos or name not in RATED:
            made[name] = round(getattr(figures, field), 3)
    made["REPORT_TS"] = seconds(figures.end_ns)
    for name, field in TIMES.items():
        if time_ns := getattr(figures, field):
            made[name] = seconds(time_ns)
    made["SECURE"] = figures.secure
    return json.dumps(made, separators=(",", ":")).encode()


def seconds(time_ns: int) -> float:
    return round(time_ns / SECOND_NS, 6)


def figures_of(message: RtpReport) -> StreamFigures | None:
    """What a report says, of this agent or another one; None if it is none. What it does not say is 0."""
    report = message.datagram
    try:
        found = json.loads(report.payload[:LONGEST])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or number(found, "TOTAL_PK", -1) < 0:
        return None
    values: dict[str, Any] = {field: int(number(found, name)) for name, field in COUNTS.items()}
    values.update((field, number(found, name)) for name, field in MEASURES.items())
    values.update((field, nanoseconds(found, name)) for name, field in TIMES.items())
    values["end_ns"] = values["end_ns"] or report.time_ns
    values["begin_ns"] = values["begin_ns"] or values["end_ns"]
    return StreamFigures(
        call_id=message.origin.correlation_id if message.origin is not None else b"",
        source=report.source,
        source_port=report.source_port,
        destination=report.destination,
        destination_port=report.destination_port,
        ssrc=ssrc_of(found.get("SSRC")),
        codec=name if isinstance(name := found.get("CODEC_NAME"), str) else "",
        secure=found.get("SECURE") is True,
        final=found.get("TYPE") != PERIODIC,
        **values,
    )


def all_figures(reports: Iterable[RtpReport]) -> list[StreamFigures]:
    """Of those that are reports."""
    return [figures for one in reports if (figures := figures_of(one)) is not None]


def number(found: dict[str, Any], name: str, default: float = 0.0) -> float:
    """A finite number that 64 bits hold; JSON has others, and texts."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return default
    return value


def nanoseconds(found: dict[str, Any], name: str) -> int:
    value = number(found, name)
    return round(value * 1_000_000) * 1000 if 0 < value < 2**32 else 0


def ssrc_of(text: Any) -> int:
    """hepagent writes it as text, with or without 0x."""
    try:
        return int(text, 16) & 0xFFFFFFFF if isinstance(text, str) else int(text) & 0xFFFFFFFF
    except (ValueError, TypeError, OverflowError):
        return 0
