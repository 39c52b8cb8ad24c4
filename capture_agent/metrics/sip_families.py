"""The metrics of SIP ([metrics] sip) and of calls, registrations and OPTIONS ([metrics] calls).

docs/metrics.md lists them, docs/call-figures.md describes them. They have no samples where nothing is counted.
"""

from __future__ import annotations

from capture_agent.metrics import samples as of
from capture_agent.metrics.metric_family import COUNTER, GAUGE, HISTOGRAM, MetricFamily

SIDE = ("direction", "peer")

TABLE = (
    (
        "capture_agent_sip_requests_total", COUNTER, ("method", "transport", *SIDE),
        "SIP requests, with those that were sent again.",
    ),
    (
        "capture_agent_sip_responses_total", COUNTER, ("method", "status", "transport", *SIDE),
        "SIP responses by the method of their request, with those that were sent again.",
    ),
    (
        "capture_agent_sip_retransmissions_total", COUNTER, ("method", "peer"),
        "SIP messages that were sent or captured again; known where calls are correlated.",
    ),
    (
        "capture_agent_call_attempts_total", COUNTER, SIDE,
        "Calls that an INVITE has begun: one each, however often it was forwarded or tried again.",
    ),
    (
        "capture_agent_calls_answered_total", COUNTER, SIDE,
        "Calls with a 2xx response.",
    ),
    (
        "capture_agent_calls_failed_total", COUNTER, ("class", "status", *SIDE),
        "Calls that were refused, by the status that counts (RFC 3261 16.7).",
    ),
    (
        "capture_agent_calls_cancelled_total", COUNTER, SIDE,
        "Calls that the caller gave up before they were answered: CANCEL, or status 487.",
    ),
    (
        "capture_agent_calls_abandoned_total", COUNTER, SIDE,
        "Calls that nobody has answered, refused or cancelled.",
    ),
    (
        "capture_agent_calls_resumed_total", COUNTER, SIDE,
        "Calls that went on after they were counted as failed, cancelled or abandoned.",
    ),
    (
        "capture_agent_calls_ended_total", COUNTER, ("how", *SIDE),
        "Answered calls that are over.",
    ),
    (
        "capture_agent_call_causes_total", COUNTER, ("outcome", "cause", *SIDE),
        "Q.850 causes in Reason headers: of calls that failed, were cancelled, or ended.",
    ),
    (
        "capture_agent_calls_evicted_total", COUNTER, ("state", *SIDE),
        "Calls that made room for others in the full table.",
    ),
    (
        "capture_agent_calls_in_setup", GAUGE, SIDE,
        "Calls that are neither answered nor over.",
    ),
    (
        "capture_agent_early_dialogs", GAUGE, SIDE,
        "Calls in setup with a provisional response other than 100.",
    ),
    (
        "capture_agent_calls_active", GAUGE, SIDE,
        "Calls that are answered and have not ended.",
    ),
    (
        "capture_agent_session_request_delay_seconds", HISTOGRAM, ("outcome", *SIDE),
        "From an INVITE to its first 18x or 2xx (successful), or to its failure (RFC 6076 4.3).",
    ),
    (
        "capture_agent_call_answer_seconds", HISTOGRAM, SIDE,
        "From the first INVITE of a call to 2xx.",
    ),
    (
        "capture_agent_call_duration_seconds", HISTOGRAM, SIDE,
        "From 2xx to BYE (RFC 6076 4.5).",
    ),
    (
        "capture_agent_session_disconnect_delay_seconds", HISTOGRAM, SIDE,
        "From BYE to its 2xx (RFC 6076 4.4).",
    ),
    (
        "capture_agent_registration_attempts_total", COUNTER, SIDE,
        "Registrations: one each with the REGISTERs that answer a challenge.",
    ),
    (
        "capture_agent_registrations_accepted_total", COUNTER, SIDE,
        "Registrations with a 2xx response.",
    ),
    (
        "capture_agent_registrations_refused_total", COUNTER, ("class", "status", *SIDE),
        "Registrations that were refused, and not tried again as was asked.",
    ),
    (
        "capture_agent_registrations_unanswered_total", COUNTER, SIDE,
        "Registrations without a final response.",
    ),
    (
        "capture_agent_registered", GAUGE, SIDE,
        "Addresses-of-record that are registered now.",
    ),
    (
        "capture_agent_registration_request_delay_seconds", HISTOGRAM, SIDE,
        "From the REGISTER that was accepted to its 2xx (RFC 6076 4.1).",
    ),
    (
        "capture_agent_options_total", COUNTER, SIDE,
        "OPTIONS requests, each once.",
    ),
    (
        "capture_agent_options_unanswered_total", COUNTER, SIDE,
        "OPTIONS requests without a final response.",
    ),
    (
        "capture_agent_options_round_trip_seconds", HISTOGRAM, SIDE,
        "From OPTIONS to its final response.",
    ),
)  # fmt: skip

SIP_FAMILIES = tuple(MetricFamily(name, kind, labels, help, of.counted(name)) for name, kind, labels, help in TABLE)
