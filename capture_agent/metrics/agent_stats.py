"""The JSON that Homer's `agent stats` and `agent watch` poll from an agent, and that of its health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capture_agent.delivery.standing import Standing
from capture_agent.metrics.figures import AgentFigures, SinkFigures
from capture_agent.metrics.health import HealthReason

SIP = ("traced", "not_traced", "waiting", "crowded_out")  # outcomes of messages that are SIP, without copies
KNOWN = ("rtp", "rtcp")
SECONDS = {"h": 3600, "m": 60, "s": 1}


def agent_stats(figures: AgentFigures) -> dict[str, Any]:
    """What the agent does not look at (DNS, logs of others) is 0."""
    about = figures.about
    interfaces = [source.name for source in figures.sources if source.up is not None]
    uptime = max(0, int(figures.now - about.started_at))
    return {
        "node_name": about.node_name,
        "node_id": about.node_id,
        "uuid": about.uuid,
        "interfaces": interfaces,
        "capture_modes": {name: ["SIP"] for name in interfaces},
        "uptime_seconds": uptime,
        "uptime": in_words(uptime),
        "packets": packets(figures),
        "transport": [transport(sink, sink.standing) for sink in figures.sinks if sink.transport and sink.standing],
    }


def packets(figures: AgentFigures) -> dict[str, int]:
    messages = figures.ledger("messages")
    rejected = messages.rejected
    return {
        "total": figures.ledger("frames").seen,
        "sip": sum(messages.outcomes.get(name, 0) for name in SIP),
        "rtcp": rejected.get("rtcp", 0),
        "rtcp_fail": 0,
        "rtp": rejected.get("rtp", 0),
        "dns": 0,
        "log": 0,
        "hep_sent": sum(sink.ledger.outcomes.get("sent", 0) for sink in figures.sinks if sink.kind == "hep"),
        "duplicates": messages.outcomes.get("duplicate", 0),
        "unknown": sum(count for reason, count in rejected.items() if reason not in KNOWN),
    }


def transport(sink: SinkFigures, standing: Standing) -> dict[str, Any]:
    ledger = sink.ledger
    return {
        "addr": sink.address,
        "proto": sink.transport,
        "connected": standing.up,
        "reconnects": standing.reconnects,
        "sent": ledger.outcomes.get("sent", 0),
        "errors": sum(ledger.rejected.values()) + sum(ledger.lost.values()),
    }


def agent_health(sinks: Sequence[SinkFigures], reasons: Sequence[HealthReason]) -> dict[str, Any]:
    return {
        "status": "degraded" if reasons else "ok",
        "connected_transports": sum(bool(sink.transport and sink.standing and sink.standing.up) for sink in sinks),
        "queue_size": sum(sink.ledger.outcomes.get("waiting", 0) for sink in sinks),
        "buffer_size_bytes": sum(sink.standing.queue_bytes for sink in sinks if sink.standing),
        "reasons": [{"reason": one.reason, "name": one.name, "text": one.text} for one in reasons],
    }


def in_words(seconds: int) -> str:
    """`2h0m9s`, as Go writes a duration."""
    words = ""
    for unit, length in SECONDS.items():
        if words or seconds >= length or unit == "s":
            words += f"{seconds // length}{unit}"
        seconds %= length
    return words
