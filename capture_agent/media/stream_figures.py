"""The figures of one RTP stream: what a report is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """What one report says of one RTP stream: packets of one source (SSRC) from one place to another."""

    call_id: bytes
    source: bytes  # packed addresses
    source_port: int
    destination: bytes
    destination_port: int
    ssrc: int
    payload_type: int  # of most packets (without telephone-event)
    codec: str  # encoding name of the SDP, else of RFC 3551's static table, else ""
    clock_rate: int  # Hz; 0: unknown
    begin_ns: int  # times of the first and the last packet (of the interval, if not final)
    end_ns: int
    packets: int  # received, without duplicates
    octets: int  # payload bytes
    expected: int  # by sequence numbers
    lost: int  # expected - packets, never negative
    out_of_order: int
    duplicates: int
    jitter_ms: float  # RFC 3550 A.8, at the end
    max_jitter_ms: float
    mean_jitter_ms: float
    mean_delta_ms: float  # between packets as they came
    max_delta_ms: float
    max_skew_ms: float
    longest_gap_ms: float  # the longest silence, and the time when it began
    gap_at_ns: int
    ssrc_changes: int
    dtmf_events: int  # RFC 4733, counted once each (by timestamp)
    dscp: int  # of the first packet
    r_factor: float
    mos: float
    secure: bool
    final: bool
