"""What the doctor says of a topic, at a real broker that a test breaks in one place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.kafka import Broker, broker

from capture_agent.app.extensions import Extensions
from capture_agent.config import load
from capture_agent.config.precedence import Layers
from capture_agent.doctor import advice, listeners
from capture_agent.doctor.case import Case
from capture_agent.doctor.destination_trials import are_reached, trials_of
from capture_agent.doctor.finding import Finding, Status
from capture_agent.sources import kafka_source

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as one:
        one.create("sip")
        yield one


def findings(section: str, options: dict[str, Any]) -> list[Finding]:
    config = load(None, {}, {section: [options]})
    case = Case(config, Layers(None), Extensions(), trials=trials_of(config, Extensions(), test_message=False))
    for trial in case.trials:
        trial.run()
    return [*are_reached(case), *listeners.can_listen(case)]


@pytest.mark.parametrize("section", ["kafka", "kafka_source"])
@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        pytest.param({}, "", "", id="nothing"),
        pytest.param({"topic": "nix"}, "", "no such topic", id="no topic"),
        pytest.param({"brokers": ["127.0.0.1:9"]}, "", "Connection refused", id="nobody listens"),
        pytest.param({"brokers": ["nix.invalid:9092"]}, "", "Failed to resolve", id="no such name"),
        pytest.param({"tls": True}, "", "no broker answers", id="a broker without TLS"),
        pytest.param({"sasl": "PLAIN", "user": "bob", "password": "s3cret"}, "", "SASL", id="a broker without users"),
        pytest.param({}, "mute", "no broker answers", id="silent"),
        pytest.param({}, "tls", "no broker answers", id="a broker with TLS"),
        pytest.param({"tls": True}, "tls", "certificate could not be verified", id="unknown authority"),
    ],
)
def test_topics(
    kafka: Broker, certificate: Path, monkeypatch: pytest.MonkeyPatch,
    section: str, changes: dict[str, Any], state: str, says: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(kafka_source, "FOUND_SECONDS", 1.0)
    options = {"brokers": [kafka.address], "topic": "sip"} | changes
    name = f"kafka:{options['brokers'][0]}/{options['topic']}"
    if section == "kafka":
        options["dead_after_seconds"] = 2.0
    kafka.tls = certificate if state == "tls" else None
    if state == "mute":
        kafka.mute()
    try:
        [finding] = findings(section, options)
    finally:
        kafka.mend()
    assert (finding.of, says in finding.found, name in finding.found) == (name, True, False), finding
    assert finding.status is (Status.BROKEN if says else Status.OK)
    assert finding.to_do == (advice.KAFKA if says else "")
    assert "s3cret" not in finding.found
