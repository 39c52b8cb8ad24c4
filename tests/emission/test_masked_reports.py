"""Reports of media under masks: canonical names go, whoever has written the report; and with other addresses."""

from __future__ import annotations

import json

import pytest
from sink_samples import not_sip

from capture_agent.config.endpoints import parse_advertised
from capture_agent.config.sections import Config, Privacy, TraceSection
from capture_agent.emission.emission import emission
from capture_agent.records.kinds import LogEvent, NotSip, RtcpReport, RtpReport
from capture_agent.records.origin import Origin

pytestmark = pytest.mark.once

NAMED = b'{"ssrc":1,"sdes_report_count":1,"sdes_information":[{"type":1,"text":"alice@host"}]}'


@pytest.mark.parametrize(
    ("kind", "given", "want"),
    [
        (RtcpReport, NAMED, {"ssrc": 1}),
        (RtcpReport, b'{"ssrc":1}', {"ssrc": 1}),
        (RtcpReport, b"[1]", [1]),
        (RtcpReport, b'"' + b"[" * 5, None),
        (RtcpReport, b"[" * 100_000, None),
        (LogEvent, NAMED, json.loads(NAMED)),
    ],
)
def test_names(kind: type[NotSip], given: bytes, want: object) -> None:
    change = emission(Config(privacy=Privacy(mask=("users:truncate",))))
    assert change is not None
    before = not_sip(kind, given)
    [after] = change([before])
    ends = (after.message.datagram.source, after.message.datagram.destination_port, after.message.time_ns)
    assert ends == (before.message.datagram.source, before.message.datagram.destination_port, before.message.time_ns)
    if want is None:
        assert after.message.raw == given
    else:
        assert json.loads(after.message.raw) == want


@pytest.mark.parametrize("kind", [RtcpReport, RtpReport])
@pytest.mark.parametrize(
    ("entry", "source", "destination"),
    [
        ("192.0.2.1=203.0.113.5", "203.0.113.5", "192.0.2.2"),
        ("192.0.2.1=203.0.113.5:5099", "203.0.113.5", "192.0.2.2"),
        ("udp:192.0.2.2=203.0.113.5", "192.0.2.1", "203.0.113.5"),
        ("192.0.2.1:4001=203.0.113.5:5099", "203.0.113.5", "192.0.2.2"),
        ("192.0.2.1:5060=203.0.113.5", "192.0.2.1", "192.0.2.2"),
        ("tcp:192.0.2.1=203.0.113.5", "192.0.2.1", "192.0.2.2"),
        ("*=203.0.113.5", "192.0.2.1", "192.0.2.2"),
        ("198.51.100.1=203.0.113.5", "192.0.2.1", "192.0.2.2"),
    ],
)
def test_shown_addresses(kind: type[NotSip], entry: str, source: str, destination: str) -> None:
    change = emission(Config(trace=TraceSection(advertise=(parse_advertised(entry),))))
    assert change is not None
    before = not_sip(kind, b"{}", Origin(correlation_id=b"c"))
    [after] = change([before])
    datagram = after.message.datagram
    assert (datagram.source_text, datagram.destination_text) == (source, destination)
    assert (datagram.source_port, datagram.destination_port, after.message.raw) == (4001, 4003, b"{}")
    assert (type(after.message), after.message.origin) == (kind, before.message.origin)
    assert (after is before) == (source == "192.0.2.1" and destination == "192.0.2.2")
