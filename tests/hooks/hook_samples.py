"""Messages as hooks get them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from capture_agent.hooks.hook_message import Message
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Interface
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan

TIME_NS = 1_795_386_683_255_621_000

REGISTER = (
    b"REGISTER sip:example.com SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0\r\n"
    b"From: \"Al\" <sip:alice@example.com>;tag=f1\r\n"
    b"To: <sip:alice@example.com>\r\n"
    b"Call-ID: call-1@192.0.2.1\r\n"
    b"CSeq: 7 REGISTER\r\n"
    b"X-Odd: \xff\r\n"
    b"Content-Length: 2\r\n\r\nhi"
)  # fmt: skip
REPLY = (
    b"SIP/2.0 486 Busy Here\r\n"
    b"From: <sip:alice@example.com>;tag=f1\r\n"
    b"To: <sip:bob@example.com>;tag=t1\r\n"
    b"Call-ID: call-2\r\n"
    b"CSeq: 1 INVITE\r\n\r\n"
)
BARE = b"OPTIONS sip:a SIP/2.0\r\n\r\n"

SINKS = SinkNames(dict(enumerate(["homer", "spare", "calls"])), defaults=0b101)
DEFAULTS = Trace(0b101, rule="everything")


def captured(
    raw: bytes = REGISTER, source: str = "192.0.2.1", destination: str = "198.51.100.2", **more: Any
) -> CapturedMessage:
    addresses = ip_address(source).packed + ip_address(destination).packed
    data = addresses + raw
    sip = scan(data, len(addresses), len(data))
    assert sip is not None
    more = {"time_ns": TIME_NS, "transport": "tcp"} | more
    return CapturedMessage(
        Datagram(data, len(addresses), len(data), 0, len(addresses) // 2, 5062, 5060, **more),
        sip,
    )


def message(raw: bytes = REGISTER, *traces: Trace, **more: Any) -> Message:
    one = captured(raw, **more)
    traced = tuple(TracedMessage(one, Direction.IN, trace) for trace in traces)
    return Message(one, Direction.IN, traced, SINKS, "me")


WIRED = {"vlan": 7, "interface": Interface("eth1", 1)}
