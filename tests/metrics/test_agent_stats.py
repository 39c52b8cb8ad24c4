"""The JSON that Homer's `agent stats` polls: its keys, their types, and where the numbers come from."""

from __future__ import annotations

import pytest
from figure_samples import figures, sink

from capture_agent.metrics.agent_stats import agent_health, agent_stats, in_words
from capture_agent.metrics.health import HealthReason

pytestmark = pytest.mark.once


def test_stats() -> None:
    assert agent_stats(figures(sinks=[sink(lost=2), sink("t", "sql")])) == {
        "node_name": "edge",
        "node_id": 2001,
        "uuid": "u-u-i-d",
        "interfaces": ["eth0"],
        "capture_modes": {"eth0": ["SIP"]},
        "uptime_seconds": 7230,
        "uptime": "2h0m30s",
        "packets": {
            "total": 12, "sip": 6, "rtcp": 0, "rtcp_fail": 0, "rtp": 1, "dns": 0, "log": 0, "hep_sent": 7,
            "duplicates": 1, "unknown": 1,
        },
        "transport": [
            {"addr": "h:9060", "proto": "tcp", "connected": True, "reconnects": 0, "sent": 7, "errors": 2},
        ],
    }  # fmt: skip


def test_health() -> None:
    sinks = [sink(waiting=3), sink(up=False, waiting=2), sink("t", "sql")]
    assert agent_health(sinks, []) == {
        "status": "ok",
        "connected_transports": 1,
        "queue_size": 5,
        "buffer_size_bytes": 500,
        "reasons": [],
    }
    degraded = agent_health(sinks, [HealthReason("source_down", "eth0", "down")])
    assert degraded["status"] == "degraded"
    assert degraded["reasons"] == [{"reason": "source_down", "name": "eth0", "text": "down"}]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59, "59s"), (60, "1m0s"), (3599, "59m59s"), (3600, "1h0m0s"), (90_061, "25h1m1s")],
)
def test_uptime(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
