"""A message as JSON: the columns of Homer 11's table of SIP calls, where they mean the same; docs/kafka.md."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from capture_agent.addresses import address_text
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.message_fields import as_text
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.headers import text, uri_user

SCHEMA = 1  # raised when a field changes its meaning or goes; not when one is added
OURS = Origin()


def columns(one: TracedMessage, capture_id: int, node_name: str) -> dict[str, Any]:
    """`capture_id` and `node_name` are ours: another agent's message keeps its own."""
    message, trace, datagram = one.message, one.trace, one.message.datagram
    origin = message.origin or OURS
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "timestamp": datagram.time_ns // 1000,
        "session_id": "",
        "caller": "",
        "callee": "",
        "src_ip": address_text(datagram.source) if datagram.address_size else "",
        "src_port": datagram.source_port,
        "dst_ip": address_text(datagram.destination) if datagram.address_size else "",
        "dst_port": datagram.destination_port,
        "method": "",
        "response_code": 0,
        "cseq_method": "",
        "protocol": datagram.transport,
        "node_id": capture_id if origin.capture_id is None else origin.capture_id,
        "node": as_text(origin.node) or node_name,
        "cid": as_text(trace.correlation_id or origin.correlation_id) or "",
        "type": message.kind,
        "direction": str(one.direction),
        "retransmission": False,
        "from_tag": "",
        "to_tag": "",
        "user_agent": "",
    }
    if type(message) is CapturedMessage:
        sip = message.sip
        found |= {
            "session_id": as_text(sip.call_id) or "",
            "caller": uri_user(sip.from_value),
            "callee": uri_user(sip.to_value),
            "method": as_text(sip.method) or "",
            "response_code": sip.status,
            "cseq_method": as_text(sip.cseq_method) or "",
            "retransmission": message.retransmission,
            "from_tag": as_text(sip.from_tag) or "",
            "to_tag": as_text(sip.to_tag) or "",
            "user_agent": text(sip.header("user-agent")),
        }
    return found | payload(message.raw)


def payload(raw: bytes) -> dict[str, str]:
    try:
        return {"payload": raw.decode(), "payload_base64": ""}
    except UnicodeDecodeError:
        return {"payload": "", "payload_base64": b64encode(raw).decode()}


def json_value(one: TracedMessage, capture_id: int, node_name: str) -> bytes:
    return json.dumps(columns(one, capture_id, node_name), separators=(",", ":")).encode()
