"""RTCP reports under masks: their canonical names go, whoever has written the report."""

from __future__ import annotations

import json

import pytest
from sink_samples import not_sip

from capture_agent.config.sections import Config, Privacy
from capture_agent.emission.emission import emission
from capture_agent.records.kinds import LogEvent, NotSip, RtcpReport

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
