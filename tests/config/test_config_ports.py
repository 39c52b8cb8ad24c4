"""Ports and ranges of them, as numbers and as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load
from capture_agent.config.ports import PortRange, parse_ports

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "ports"),
    [("5060", PortRange(5060, 5060)), ("5060-5070", PortRange(5060, 5070)), (" 1 - 65535 ", PortRange(1, 65535))],
)
def test_ports(text: str, ports: PortRange) -> None:
    assert parse_ports(text) == ports
    assert parse_ports(str(ports)) == ports


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "-1", "5060-", "-", "1-2-3", "5070-5060", "sip", "٣", "1e3", "5060,5061"]
)
def test_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|more than"):
        parse_ports(text)


def test_in_a_file_in_the_environment_and_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[capture]\nports = [5060, "5061", "5080-5090"]\n')
    wanted = (PortRange(5060, 5060), PortRange(5061, 5061), PortRange(5080, 5090))
    assert load(file).capture.ports == wanted
    assert load(environ={"CAPTURE_AGENT_CAPTURE__PORTS": "5060,5061,5080-5090"}).capture.ports == wanted
    assert load(overrides={"capture": {"ports": ["5060", "5061", "5080-5090"]}}).capture.ports == wanted


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("70000", "value 70000, expected a port or a range FROM-TO (the port is not 1 to 65535)"),
        ('"5070-5060"', "value '5070-5060', expected a port or a range FROM-TO (5070 is more than 5060)"),
        ("5060.5", "value 5060.5, expected a port or a range FROM-TO"),
        ("true", "value true, expected a port or a range FROM-TO"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, written: str, shown: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f"[capture]\nports = [5060, {written}]\n")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert error.value.problems == [f"{file}:2: capture.ports: {shown}"]
