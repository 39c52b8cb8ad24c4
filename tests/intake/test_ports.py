"""A list of ports: traffic on other ports is left out and counted, also in tunnels."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from carriages import SERVER_PORT
from encapsulations import build, names

from capture_agent.config import Capture
from capture_agent.config.endpoints import PortRange, parse_ports
from capture_agent.intake.ports import PortFilter
from capture_agent.pipeline import Pipeline
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames


def datagram(source_port: int, destination_port: int) -> Datagram:
    return Datagram(bytes(8), 8, 8, 0, 4, source_port, destination_port)


@pytest.mark.parametrize(
    ("ports", "source", "destination", "chosen"),
    [
        ("5060", 5060, 1, True),
        ("5060", 1, 5060, True),
        ("5060", 5061, 5059, False),
        ("5060-5070", 5070, 1, True),
        ("5060-5070", 5071, 5059, False),
        ("1-65535", 1, 65535, True),
        ("65535", 65534, 65535, True),
        ("1", 0, 0, False),
    ],
)
def test_either_end(ports: str, source: int, destination: int, chosen: bool) -> None:
    wanted = PortFilter([parse_ports(ports)])
    one = datagram(source, destination)
    assert wanted.chosen([one]) == [one] * chosen
    assert wanted.left_out == (not chosen)


@pytest.mark.parametrize(("depth", "every"), [(0, 1), (1, 37), (2, 2617)])
def test_within_every_encapsulation(depth: int, every: int) -> None:
    for name in islice(names(depth), 0, None, every):
        case = build(name)
        for port, wanted in ((SERVER_PORT, case.messages), (1, [])):
            pipeline = Pipeline(Capture(esp_null=True, ports=(PortRange(port, port),)))
            found = [one for messages in pipeline.read([Frames.of(case.frames, case.link_type)]) for one in messages]
            assert sorted(message.raw for message in found) == sorted(wanted), (name, port)
            pipeline.policy.decide(found)
            assert [ledger for ledger in pipeline.ledgers() if ledger.difference] == [], (name, port)


def test_decode_reports_other_ports(pcaps: Path) -> None:
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", str(pcaps / "demo.pcap")]
    every = subprocess.run(command, capture_output=True, text=True, check=True)
    ports = sorted(
        {port for line in every.stdout.splitlines() for port in (json.loads(line)["sport"], json.loads(line)["dport"])}
    )
    some = subprocess.run(
        [*command, "--port", "1-5059", "-p", "5061-65535"], capture_output=True, text=True, check=True
    )
    none = subprocess.run([*command, "-p", "1"], capture_output=True, text=True, check=True)
    assert 5060 in ports
    assert none.stdout == ""
    assert "109 frames, 0 messages, 109 on other ports" in none.stderr
    assert "on other ports" not in every.stderr
    kept = [
        line for line in every.stdout.splitlines() if {json.loads(line)["sport"], json.loads(line)["dport"]} != {5060}
    ]
    assert some.stdout.splitlines() == kept


def test_a_port_that_is_none(pcaps: Path) -> None:
    command = [sys.executable, "-m", "capture_agent", "decode", "--port", "70000", str(pcaps / "demo.pcap")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "capture-agent: decode: --port: value '70000', expected a port or a range FROM-TO (expected a port from 1 to 65535)"
    ]
