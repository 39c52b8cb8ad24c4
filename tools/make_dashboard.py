"""Write monitoring/dashboard.json, the Grafana dashboard, from the tables below.

    python tools/make_dashboard.py

A query is PromQL, with the variables of the dashboard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "monitoring" / "dashboard.json"
AGENT, INTERFACE, SINK = 'instance=~"$instance"', 'interface=~"$interface"', 'sink=~"$sink"'
PEER, SUCCESSFUL = 'peer=~"$peer"', 'outcome="successful"'
SIP, SENT = 'outcome=~"traced|not_traced|duplicate"', 'outcome="sent"'
REJECTED, NOT_THERE = 'outcome="rejected"', 'outcome=~"lost|rejected"'
WIDTH = 24  # of the grid
STAT, TIMES = "stat", "timeseries"
HEIGHT = {STAT: 4, TIMES: 8}
GREEN, YELLOW, RED, BLUE = "green", "orange", "red", "blue"
Steps = Sequence[tuple[str, float | None]]  # a colour from this value on
GOOD_AT_1: Steps = ((RED, None), (GREEN, 1))
BAD_FROM_1: Steps = ((GREEN, None), (RED, 1))
PLAIN: Steps = ((BLUE, None),)


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`words`: what a value of 0, 1 ... is called."""

    title: str
    meaning: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = TIMES
    width: int = 8
    steps: Steps = PLAIN
    words: Sequence[str] = ()
    stacked: bool = False
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel] = field(default_factory=list)


def rate(metric: str, *labels: str) -> str:
    """How much of a counter of the chosen agents there is per second."""
    return f"rate(capture_agent_{metric}{{{', '.join((AGENT, *labels))}}}[$__rate_interval])"


def stat(
    title: str, meaning: str, text: str, unit: str = "short", steps: Steps = PLAIN, words: Sequence[str] = ()
) -> Panel:
    return Panel(title, meaning, [Query(text)], unit, STAT, 3, steps, words)


HEALTH = Row("Health at a glance", [
    stat(
        "Agents", "How many of the chosen agents answer.",
        f"count(capture_agent_build_info{{{AGENT}}})",
    ),
    stat(
        "Tracing", "Off: an agent runs, but sends nothing (capture-agent status on).",
        f"min(capture_agent_tracing{{{AGENT}}})", steps=GOOD_AT_1, words=("off", "on"),
    ),
    stat(
        "Interfaces", "Down: at least one interface or listener is missing.",
        f"min(capture_agent_interface_up{{{AGENT}, {INTERFACE}}})", steps=GOOD_AT_1, words=("down", "up"),
    ),
    stat(
        "Sinks", "Down: at least one sink cannot be reached.",
        f"min(capture_agent_sink_up{{{AGENT}, {SINK}}})", steps=GOOD_AT_1, words=("down", "up"),
    ),
    stat(
        "Packets dropped", "In the time shown, on all interfaces: in the kernel's buffer or by the network card.",
        f"sum(increase(capture_agent_interface_dropped_total{{{AGENT}, {INTERFACE}}}[$__range]))", steps=BAD_FROM_1,
    ),
    stat(
        "Messages lost", "In the time shown, by all sinks.",
        f'sum(increase(capture_agent_sink_messages_total{{{AGENT}, {SINK}, outcome="lost"}}[$__range]))',
        steps=BAD_FROM_1,
    ),
    stat(
        "SIP messages", "Per second, with those that no rule wants.",
        f"sum({rate('messages_total', SIP)})",
        "mps",
    ),
    stat(
        "Configuration", "Refused: the last reload found mistakes; the old configuration is in force.",
        f"min(capture_agent_config_last_reload_success{{{AGENT}}})", steps=GOOD_AT_1, words=("refused", "loaded"),
    ),
])  # fmt: skip

INTERFACES = Row("Interfaces", [
    Panel(
        "Packets", "Packets that the agent read, per interface.",
        [Query(rate("interface_packets_total", INTERFACE), "{{interface}}")],
        "pps",
    ),
    Panel(
        "Traffic", "Captured bits, per interface.",
        [Query(f"8 * {rate('interface_bytes_total', INTERFACE)}", "{{interface}}")],
        "bps",
    ),
    Panel(
        "Drops", "Packets lost before the agent read them, by interface and place. Any drop means missing messages.",
        [Query(
            rate("interface_dropped_total", INTERFACE),
            "{{interface}} {{where}}",
        )],
        "pps",
    ),
])  # fmt: skip

MESSAGES = Row("Messages", [
    Panel(
        "Messages by outcome", "What became of each payload: traced, not traced, duplicate, rejected or lost.",
        [Query(f"sum by (outcome) ({rate('messages_total')})", "{{outcome}}")],
        "mps", stacked=True,
    ),
    Panel(
        "Rejected, by reason", "Payloads that are not SIP, by what they are (docs/books.md).",
        [Query(
            f"sum by (reason) ({rate('messages_total', REJECTED)}) > 0",
            "{{reason}}",
        )],
        "mps",
    ),
    Panel(
        "Frames rejected or lost, by reason", "Frames in which no payload was found (docs/books.md).",
        [Query(
            f"sum by (reason) ({rate('frames_total', NOT_THERE)}) > 0",
            "{{reason}}",
        )],
        "pps",
    ),
])  # fmt: skip

# With [metrics] sip = true.
SIP_TRAFFIC = Row("SIP", [
    Panel(
        "Requests", "By method. Needs [metrics] sip = true, like the rest of this row.",
        [Query(f"sum by (method) ({rate('sip_requests_total', PEER)})", "{{method}}")],
        "mps",
    ),
    Panel(
        "Responses", "By status, of all methods.",
        [Query(f"sum by (status) ({rate('sip_responses_total', PEER)})", "{{status}}")],
        "mps",
    ),
    Panel(
        "Requests by peer", "A peer is a network of [metrics.peers].",
        [Query(f"sum by (peer, direction) ({rate('sip_requests_total', PEER)})", "{{peer}} {{direction}}")],
        "mps",
    ),
])  # fmt: skip

# With [metrics] calls = true.
CALLS = Row("Calls", [
    Panel(
        "Calls", "How many begin, are answered, and fail. Needs [metrics] calls = true, like the rest of this row.",
        [
            Query(f"sum ({rate('call_attempts_total', PEER)})", "attempts"),
            Query(f"sum ({rate('calls_answered_total', PEER)})", "answered"),
            Query(f"sum by (status) ({rate('calls_failed_total', PEER)})", "failed {{status}}"),
        ],
        "ops",
    ),
    Panel(
        "Answer-seizure ratio", "Of the calls that began, those answered, by peer (docs/call-figures.md).",
        [Query(
            f"sum by (peer) ({rate('calls_answered_total', PEER)})"
            f" / sum by (peer) ({rate('call_attempts_total', PEER)})",
            "{{peer}}",
        )],
        "percentunit",
    ),
    Panel(
        "In progress", "Calls at this moment.",
        [
            Query(f"sum (capture_agent_calls_active{{{AGENT}, {PEER}}})", "answered"),
            Query(f"sum (capture_agent_calls_in_setup{{{AGENT}, {PEER}}})", "in setup"),
        ],
    ),
    Panel(
        "Session request delay", "From the INVITE to the first 18x or 200, of calls that got one (RFC 6076).",
        [
            Query(
                f"histogram_quantile({share}, sum by (le)"
                f" ({rate('session_request_delay_seconds_bucket', PEER, SUCCESSFUL)}))",
                name,
            )
            for share, name in ((0.5, "median"), (0.95, "95 %"))
        ],
        "s",
    ),
    Panel(
        "Duration", "Of answered calls that have ended: the mean.",
        [Query(
            f"sum by (peer) ({rate('call_duration_seconds_sum', PEER)})"
            f" / sum by (peer) ({rate('call_duration_seconds_count', PEER)})",
            "{{peer}}",
        )],
        "s",
    ),
    Panel(
        "Sent again", "Retransmissions, by method: packets are lost, or somebody answers too late.",
        [Query(f"sum by (method) ({rate('sip_retransmissions_total', PEER)})", "{{method}}")],
        "mps",
    ),
])  # fmt: skip

# With [media] rtp.
MEDIA = Row("Media", [
    Panel(
        "MOS", "Of RTP streams that are over, by the E-model. Needs [media] rtp, like the rest of this row.",
        [
            Query(f"histogram_quantile({share}, sum by (le) ({rate('rtp_mos_bucket', PEER)}))", name)
            for share, name in ((0.5, "median"), (0.1, "worst 10 %"))
        ],
    ),
    Panel(
        "Lost packets", "Of these streams, the mean share of their packets, by peer.",
        [Query(
            f"sum by (peer, direction) ({rate('rtp_loss_ratio_sum', PEER)})"
            f" / sum by (peer, direction) ({rate('rtp_loss_ratio_count', PEER)})",
            "{{peer}} {{direction}}",
        )],
        "percentunit",
    ),
    Panel(
        "Calls that were heard", "Answered calls at their end: one_way and none had no RTP in one or both directions.",
        [Query(f"sum by (media) ({rate('rtp_calls_total', PEER)})", "{{media}}")],
        "ops",
    ),
])  # fmt: skip

SINKS = Row("Sinks", [
    Panel(
        "Sent", "Messages that the sink accepted, per sink.",
        [Query(
            f"sum by (sink) ({rate('sink_messages_total', SINK, SENT)})",
            "{{sink}}",
        )],
        "mps",
    ),
    Panel(
        "Lost or rejected", "Messages that the sink does not have, by reason (docs/books.md).",
        [Query(
            f"sum by (sink, reason) ({rate('sink_messages_total', SINK, NOT_THERE)})",
            "{{sink}} {{reason}}",
        )],
        "mps",
    ),
    Panel(
        "Lag", "From a packet's timestamp until its message was handed over.",
        [
            Query(
                f"histogram_quantile({share}, sum by (sink, le)"
                f" ({rate('sink_lag_seconds_bucket', SINK)}))",
                f"{{{{sink}}}} {name}",
            )
            for share, name in ((0.5, "median"), (0.99, "99 %"))
        ],
        "s",
    ),
    Panel(
        "Queue", "Messages that wait, or that the receiver has not confirmed.",
        [Query(f"sum by (sink) (capture_agent_sink_queue_messages{{{AGENT}, {SINK}}})", "{{sink}}")],
    ),
    Panel(
        "Queue's memory", "Memory of these messages; queue.mib is the limit.",
        [Query(f"sum by (sink) (capture_agent_sink_queue_bytes{{{AGENT}, {SINK}}})", "{{sink}}")],
        "decbytes",
    ),
    Panel(
        "Oldest message", "How long the oldest message in the queue or in the spool has waited.",
        [Query(f"max by (sink) (capture_agent_sink_oldest_seconds{{{AGENT}, {SINK}}})", "{{sink}}")],
        "s",
    ),
    Panel(
        "Reachable", "0: the sink is down.",
        [Query(f"min by (sink) (capture_agent_sink_up{{{AGENT}, {SINK}}})", "{{sink}}")],
        decimals=0,
    ),
    Panel(
        "Groups", "1: the member gets messages of its group now. 0: the member is down, has not been back for long"
        " enough, or is a reserve.",
        [Query(f"max by (group, sink) (capture_agent_group_active{{{AGENT}, {SINK}}})", "{{group}} {{sink}}")],
        decimals=0,
    ),
    Panel(
        "Groups that can be reached", "0: all members of the group are down.",
        [Query(f"min by (group) (capture_agent_group_up{{{AGENT}}})", "{{group}}")],
        decimals=0,
    ),
    Panel(
        "Reconnects", "How often the agent has connected to it again, per second.",
        [Query(f"sum by (sink) ({rate('sink_reconnects_total', SINK)})", "{{sink}}")],
    ),
    Panel(
        "Time per batch", "How long handing over a batch took, 99 % of the batches.",
        [Query(
            "histogram_quantile(0.99, sum by (sink, le)"
            f" ({rate('sink_batch_seconds_bucket', SINK)}))",
            "{{sink}}",
        )],
        "s",
    ),
])  # fmt: skip

# With [spool] directory.
SPOOLS = Row("Spools", [
    Panel(
        "Messages on disk", "Messages that wait in a sink's spool. Needs spool.directory, like the rest of this row.",
        [Query(f"sum by (sink) (capture_agent_sink_spool_messages{{{AGENT}, {SINK}}})", "{{sink}}")],
    ),
    Panel(
        "Disk", "What they take, and spool.mib, their limit.",
        [
            Query(f"sum by (sink) (capture_agent_sink_spool_bytes{{{AGENT}, {SINK}}})", "{{sink}}"),
            Query(f"sum by (sink) (capture_agent_sink_spool_limit_bytes{{{AGENT}, {SINK}}})", "{{sink}}, limit"),
        ],
        "decbytes",
    ),
    Panel(
        "Oldest on disk", "How long the oldest message in the spool has been there; spool.max_age_hours is the limit.",
        [Query(f"max by (sink) (capture_agent_sink_spool_oldest_seconds{{{AGENT}, {SINK}}})", "{{sink}}")],
        "s",
    ),
])  # fmt: skip

TABLES = Row("Tables", [
    Panel(
        "Held", "Entries of the agent's tables: calls, transactions, dialogs, streams, fragments ...",
        [Query(f"sum by (what) (capture_agent_held{{{AGENT}}})", "{{what}}")],
    ),
    Panel(
        "Evicted", "Entries that made room for others, because a table was full: messages may lack their call.",
        [Query(f"sum by (what) ({rate('evicted_total')})", "{{what}}")],
        "ops",
    ),
    Panel(
        "Decisions by rule", "How often a rule matched.",
        [Query(f"sum by (rule) ({rate('rule_decisions_total')})", "{{rule}}")],
        "ops",
    ),
])  # fmt: skip

PROCESS = Row("Process", [
    Panel(
        "CPU", "1 is one core. The agent's packets are processed by one core.",
        [Query(
            f"rate(process_cpu_seconds_total{{{AGENT}}}[$__rate_interval])"
            f" and on (instance, job) capture_agent_build_info{{{AGENT}}}",
            "{{instance}}",
        )],
        "percentunit",
    ),
    Panel(
        "Memory", "Resident memory.",
        [Query(
            f"process_resident_memory_bytes{{{AGENT}}} and on (instance, job) capture_agent_build_info{{{AGENT}}}",
            "{{instance}}",
        )],
        "decbytes",
    ),
    Panel(
        "Open files", "File descriptors, with the connections to sinks.",
        [Query(
            f"process_open_fds{{{AGENT}}} and on (instance, job) capture_agent_build_info{{{AGENT}}}", "{{instance}}",
        )],
    ),
])  # fmt: skip

ROWS = (HEALTH, INTERFACES, MESSAGES, SIP_TRAFFIC, CALLS, MEDIA, SINKS, SPOOLS, TABLES, PROCESS)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = (
    ("instance", "Agent", "label_values(capture_agent_build_info, instance)"),
    ("interface", "Interface", f"label_values(capture_agent_interface_packets_total{{{AGENT}}}, interface)"),
    ("peer", "Peer", f"label_values(capture_agent_sip_requests_total{{{AGENT}}}, peer)"),
    ("sink", "Sink", f"label_values(capture_agent_sink_messages_total{{{AGENT}}}, sink)"),
)


def variables() -> Iterator[dict[str, object]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}
    for name, label, query in VARIABLES:
        yield {
            "name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1,
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
        }  # fmt: skip


def options(panel: Panel) -> dict[str, object]:
    if panel.kind == STAT:
        reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": reduced, "colorMode": "background", "graphMode": "none", "textMode": "value"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def look(panel: Panel) -> dict[str, object]:
    found: dict[str, object] = {"unit": panel.unit, "min": 0}
    if panel.kind == STAT:
        found["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": at, "value": value} for at, value in panel.steps],
        }
        if panel.words:
            named = {str(value): {"text": word, "index": value} for value, word in enumerate(panel.words)}
            found["mappings"] = [{"type": "value", "options": named}]
    else:
        found["custom"] = {
            "fillOpacity": 40 if panel.stacked else 10,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
        }
    return found | ({"decimals": panel.decimals} if panel.decimals is not None else {})


def drawn(panel: Panel, number: int, x: int, y: int) -> dict[str, object]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT[panel.kind]},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query.text, "legendFormat": query.legend}
            for place, query in enumerate(panel.queries)
        ],
        "options": options(panel),
        "fieldConfig": {"defaults": look(panel), "overrides": []},
    }


def panels() -> Iterator[dict[str, object]]:
    number, y = 1, 0
    for row in ROWS:
        yield {
            "id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }  # fmt: skip
        number, y, x = number + 1, y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT[panel.kind]
            yield drawn(panel, number, x, y)
            number, x = number + 1, x + panel.width
        y += HEIGHT[row.panels[-1].kind]


def dashboard() -> dict[str, object]:
    return {
        "title": "capture-agent",
        "uid": "capture-agent",
        "description": "SIP capture agents: health, interfaces, messages, calls, sinks, tables, process.",
        "tags": ["sip", "capture-agent"],
        "schemaVersion": 37,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(variables())},
        "annotations": {"list": []},
        "panels": list(panels()),
    }


def text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(text())
