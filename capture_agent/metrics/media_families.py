"""The metrics of RTP ([media] rtp): docs/metrics.md lists them. They have no samples where nothing is measured."""

from __future__ import annotations

from capture_agent.metrics import samples as of
from capture_agent.metrics.metric_family import COUNTER, HISTOGRAM, MetricFamily
from capture_agent.metrics.sip_families import SIDE

TABLE = (
    (
        "capture_agent_rtp_streams_total", COUNTER, SIDE,
        "RTP streams of traced calls that are over.",
    ),
    (
        "capture_agent_rtp_mos", HISTOGRAM, SIDE,
        "How these streams are rated by the E-model, if their codec has a rating.",
    ),
    (
        "capture_agent_rtp_loss_ratio", HISTOGRAM, SIDE,
        "Lost packets of these streams, as a share of those that were expected.",
    ),
    (
        "capture_agent_rtp_jitter_seconds", HISTOGRAM, SIDE,
        "The mean jitter of these streams (RFC 3550 A.8).",
    ),
    (
        "capture_agent_rtp_calls_total", COUNTER, ("media", *SIDE),
        "Answered calls that have ended, by whether their media was heard.",
    ),
)  # fmt: skip

MEDIA_FAMILIES = tuple(MetricFamily(name, kind, labels, help, of.counted(name)) for name, kind, labels, help in TABLE)
