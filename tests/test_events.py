"""Messages and log events that were not captured."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from capture_agent.events import Place, log_event, message_event, parse_place
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import LogEvent

ONE, TWO, SIX = (ip_address(text).packed for text in ("192.0.2.1", "192.0.2.2", "2001:db8::1"))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("udp:192.0.2.1:5060", Place("udp", ONE, 5060)),
        ("WSS:192.0.2.1:443", Place("wss", ONE, 443)),
        ("any:192.0.2.1:0", Place("any", ONE, 0)),
        ("tcp:[2001:db8::1]:5060", Place("tcp", SIX, 5060)),
        ("tcp:2001:db8::1:5060", Place("tcp", SIX, 5060)),
        ("sctp:192.0.2.1", Place("sctp", ONE, 0)),
        ("sctp:[2001:db8::1]", Place("sctp", SIX, 0)),
    ],
)
def test_places(text: str, want: Place) -> None:
    assert parse_place(text) == want


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("192.0.2.1:5060", "protocol '192.0.2.1', expected udp, tcp, tls, sctp, ws, wss, any"),
        ("", "protocol '', expected udp, tcp, tls, sctp, ws, wss, any"),
        ("udp:example.com:5060", "'example.com' is not a valid IP address"),
        ("udp:[2001:db8::1:5060", "the brackets of the IPv6 address do not match"),
        ("udp:[2001:db8::1]5060", "the brackets of the IPv6 address do not match"),
        ("udp:192.0.2.1:65536", "port '65536', expected 0 to 65535"),
        ("udp:192.0.2.1:", "port '', expected 0 to 65535"),
        ("udp:", "'' is not a valid IP address"),
    ],
)
def test_no_places(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_place(text)
    assert str(caught.value) == problem


def test_a_log_event() -> None:
    event = log_event(b"INVITE sip:x SIP/2.0\r\n\r\n", 7, b"c-1", sinks=2)
    assert (event.sinks, event.trace.correlation_id, type(event.message)) == (2, b"c-1", LogEvent)
    assert (event.message.raw, event.message.time_ns) == (b"INVITE sip:x SIP/2.0\r\n\r\n", 7)
    assert event.message.datagram.source == event.message.datagram.destination == b""


@pytest.mark.parametrize("payload", [b"BYE sip:x SIP/2.0\r\nCall-ID: a\r\n\r\n", b"no SIP", b""])
def test_a_message(payload: bytes) -> None:
    event = message_event(payload, Place("udp", ONE, 1), Place("tcp", TWO, 2), 7, sinks=1)
    assert isinstance(event.message, CapturedMessage)
    datagram = event.message.datagram
    assert (event.message.raw, datagram.time_ns) == (payload, 7)
    assert (datagram.source, datagram.source_port, datagram.destination, datagram.destination_port) == (ONE, 1, TWO, 2)
    assert (datagram.transport, datagram.protocol) == ("tcp", 6)
    assert event.message.sip.call_id == (b"a" if payload.startswith(b"BYE") else None)
    assert event.trace.correlation_id == b""


def test_a_message_between_two_families() -> None:
    with pytest.raises(ValueError, match="one address is IPv4 and the other IPv6"):
        message_event(b"", Place("udp", ONE, 1), Place("udp", SIX, 2), 7)
