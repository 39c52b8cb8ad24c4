"""Figures of RTP streams, as reports have them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capture_agent.media.stream_figures import StreamFigures

START_NS = 1_700_000_000_000_000_000

GOOD = StreamFigures(
    call_id=b"call-1",
    source=bytes([192, 0, 2, 1]),
    source_port=4000,
    destination=bytes([192, 0, 2, 2]),
    destination_port=5000,
    ssrc=0x11111111,
    payload_type=0,
    codec="PCMU",
    clock_rate=8000,
    begin_ns=START_NS,
    end_ns=START_NS + 10_000_000_000,
    packets=495,
    octets=79_200,
    expected=500,
    lost=5,
    out_of_order=2,
    duplicates=1,
    jitter_ms=1.25,
    max_jitter_ms=4.5,
    mean_jitter_ms=1.0,
    mean_delta_ms=20.2,
    max_delta_ms=60.0,
    max_skew_ms=-3.5,
    longest_gap_ms=60.0,
    gap_at_ns=START_NS + 4_000_000_000,
    ssrc_changes=0,
    dtmf_events=3,
    dscp=46,
    r_factor=89.56,
    mos=4.33,
    secure=False,
    final=True,
)


def stream(**changes: Any) -> StreamFigures:
    return replace(GOOD, **changes)
