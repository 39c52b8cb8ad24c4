"""Every metric: its name, its labels, what it is for, and where its samples are in the figures. docs/metrics.md has
them all (a test asks).

Label values come from the configuration, from the names of the books, or from a table whose surplus is `other`: never
from the network. sip_families.py has those of [metrics] sip and calls, media_families.py those of [media] rtp.
"""

from __future__ import annotations

from capture_agent.metrics import samples as of
from capture_agent.metrics.media_families import MEDIA_FAMILIES
from capture_agent.metrics.metric_family import COUNTER, GAUGE, HISTOGRAM, MetricFamily
from capture_agent.metrics.sip_families import SIP_FAMILIES

OUTCOME = ("outcome", "reason")

FAMILIES: tuple[MetricFamily, ...] = (
    MetricFamily(
        "capture_agent_build_info", GAUGE, ("version", "build", "python"),
        "Always 1: which version and build runs.",
        of.build,
    ),
    MetricFamily(
        "capture_agent_start_time_seconds", GAUGE, (),
        "When the agent was started, in seconds since the epoch.",
        of.one(lambda figures: figures.about.started_at),
    ),
    MetricFamily(
        "capture_agent_tracing", GAUGE, (),
        "1 while messages are traced.",
        of.one(lambda figures: figures.tracing),
    ),
    MetricFamily(
        "capture_agent_config_last_reload_success", GAUGE, (),
        "1 if the configuration was last read without problems.",
        of.one(lambda figures: figures.reloaded.success),
    ),
    MetricFamily(
        "capture_agent_config_last_reload_success_timestamp_seconds", GAUGE, (),
        "When the configuration in force was read, in seconds since the epoch.",
        of.one(lambda figures: figures.reloaded.at),
    ),
    MetricFamily(
        "capture_agent_frames_total", COUNTER, OUTCOME,
        "Frames that sources have read, by what became of them.",
        of.stage("frames"),
    ),
    MetricFamily(
        "capture_agent_segments_total", COUNTER, OUTCOME,
        "TCP segments, by what became of them.",
        of.stage("segments"),
    ),
    MetricFamily(
        "capture_agent_websocket_messages_total", COUNTER, OUTCOME,
        "Messages of WebSockets, by what became of them.",
        of.stage("websocket"),
    ),
    MetricFamily(
        "capture_agent_tls_connections_total", COUNTER, OUTCOME,
        "TLS connections, by what became of them.",
        of.stage("tls"),
    ),
    MetricFamily(
        "capture_agent_hep_packets_total", COUNTER, OUTCOME,
        "HEP packets that came in, by the kind of their payload, or why they were refused.",
        of.stage("hep"),
    ),
    MetricFamily(
        "capture_agent_chunks_total", COUNTER, OUTCOME,
        "SCTP chunks, by what became of them.",
        of.stage("chunks"),
    ),
    MetricFamily(
        "capture_agent_stream_events_total", COUNTER, ("event",),
        "What happened to TCP streams and the messages in them.",
        of.events,
    ),
    MetricFamily(
        "capture_agent_stream_bytes_total", COUNTER, ("what",),
        "Bytes of TCP streams that did not become a message.",
        of.stream_bytes,
    ),
    MetricFamily(
        "capture_agent_rtcp_total", COUNTER, OUTCOME,
        "RTCP, by what became of it.",
        of.stage("rtcp"),
    ),
    MetricFamily(
        "capture_agent_rtp_total", COUNTER, OUTCOME,
        "RTP, by what became of it.",
        of.stage("rtp"),
    ),
    MetricFamily(
        "capture_agent_messages_total", COUNTER, OUTCOME,
        "Payloads, and the SIP among them, by what became of them.",
        of.stage("messages"),
    ),
    MetricFamily(
        "capture_agent_malformed_total", COUNTER, ("problem",),
        "Problems of SIP messages that were traced all the same.",
        of.problems,
    ),
    MetricFamily(
        "capture_agent_correlation_total", COUNTER, OUTCOME,
        "Messages that were looked at for their call, by the result.",
        of.stage("correlation"),
    ),
    MetricFamily(
        "capture_agent_remembered_total", COUNTER, ("what", *OUTCOME),
        "Calls, transactions and dialogs that are held no more, by the reason.",
        of.remembered,
    ),
    MetricFamily(
        "capture_agent_held", GAUGE, ("what",),
        "Entries of the agent's tables now.",
        of.held,
    ),
    MetricFamily(
        "capture_agent_evicted_total", COUNTER, ("what",),
        "Entries that made room for others when a table was full.",
        of.evicted,
    ),
    MetricFamily(
        "capture_agent_interface_packets_total", COUNTER, ("interface",),
        "Packets that were read from an interface or another source.",
        of.sources(lambda source: source.packets),
    ),
    MetricFamily(
        "capture_agent_interface_bytes_total", COUNTER, ("interface",),
        "Captured bytes of these packets.",
        of.sources(lambda source: source.bytes),
    ),
    MetricFamily(
        "capture_agent_interface_dropped_total", COUNTER, ("interface", "where"),
        "Packets that were lost before they were read, by place.",
        of.dropped,
    ),
    MetricFamily(
        "capture_agent_interface_up", GAUGE, ("interface",),
        "1 while the interface or source is captured from.",
        of.up,
    ),
    MetricFamily(
        "capture_agent_rule_decisions_total", COUNTER, ("rule", "mode"),
        "How often a rule has matched.",
        of.decisions,
        restarts=True,
    ),
    MetricFamily(
        "capture_agent_condition_calls_total", COUNTER, ("condition", *OUTCOME),
        "Calls of functions that rules name in `when`, by their result.",
        of.user_code("condition"),
    ),
    MetricFamily(
        "capture_agent_condition_off", GAUGE, ("condition",),
        "1 if the condition has failed too often and is asked no more.",
        of.off("condition"),
    ),
    MetricFamily(
        "capture_agent_hook_calls_total", COUNTER, ("hook", *OUTCOME),
        "Calls of hooks, by their result.",
        of.user_code("hook"),
    ),
    MetricFamily(
        "capture_agent_hook_off", GAUGE, ("hook",),
        "1 if the hook has failed too often and is called no more.",
        of.off("hook"),
    ),
    MetricFamily(
        "capture_agent_sink_messages_total", COUNTER, ("sink", *OUTCOME),
        "Messages for a sink, by what became of them.",
        of.sink_entries,
    ),
    MetricFamily(
        "capture_agent_sink_queue_messages", GAUGE, ("sink",),
        "Messages that wait for the sink, or that it has not confirmed.",
        of.sinks(lambda sink: sink.ledger.outcomes.get("waiting", 0)),
    ),
    MetricFamily(
        "capture_agent_sink_queue_bytes", GAUGE, ("sink",),
        "Memory of the messages that wait for the sink.",
        of.sinks(lambda sink: sink.standing.queue_bytes),
    ),
    MetricFamily(
        "capture_agent_sink_oldest_seconds", GAUGE, ("sink",),
        "How long the oldest message has waited for the sink.",
        of.sinks(lambda sink: sink.standing.oldest_seconds),
    ),
    MetricFamily(
        "capture_agent_sink_spool_messages", GAUGE, ("sink",),
        "Messages that wait for the sink on disk.",
        of.spools(lambda spool: spool.messages),
    ),
    MetricFamily(
        "capture_agent_sink_spool_bytes", GAUGE, ("sink",),
        "Bytes of the sink's spool.",
        of.spools(lambda spool: spool.bytes),
    ),
    MetricFamily(
        "capture_agent_sink_spool_limit_bytes", GAUGE, ("sink",),
        "Bytes that the sink's spool may have.",
        of.spools(lambda spool: spool.limit_bytes),
    ),
    MetricFamily(
        "capture_agent_sink_spool_oldest_seconds", GAUGE, ("sink",),
        "How long the oldest message in the spool has been there.",
        of.spools(lambda spool: spool.oldest_seconds),
    ),
    MetricFamily(
        "capture_agent_sink_spool_failing", GAUGE, ("sink",),
        "1 while the sink's spool cannot be used.",
        of.spools(lambda spool: spool.failing),
    ),
    MetricFamily(
        "capture_agent_sink_up", GAUGE, ("sink",),
        "0 while the sink cannot be reached.",
        of.sinks(lambda sink: sink.standing.up),
    ),
    MetricFamily(
        "capture_agent_sink_reconnects_total", COUNTER, ("sink",),
        "Times that the sink was connected to again.",
        of.sinks(lambda sink: sink.standing.reconnects),
        restarts=True,
    ),
    MetricFamily(
        "capture_agent_sink_lag_seconds", HISTOGRAM, ("sink",),
        "From a packet's time until its message was handed over to the sink.",
        of.sinks(lambda sink: sink.standing.lag),
    ),
    MetricFamily(
        "capture_agent_sink_batch_seconds", HISTOGRAM, ("sink",),
        "How long handing over a batch to the sink took.",
        of.sinks(lambda sink: sink.standing.batch),
    ),
    MetricFamily(
        "capture_agent_group_up", GAUGE, ("group",),
        "1 while a member of the group can be reached.",
        of.groups,
    ),
    MetricFamily(
        "capture_agent_group_active", GAUGE, ("group", "sink"),
        "1 while the member gets messages of its group.",
        of.active,
    ),
    *SIP_FAMILIES,
    *MEDIA_FAMILIES,
)  # fmt: skip
