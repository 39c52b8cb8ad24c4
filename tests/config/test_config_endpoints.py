"""Hosts, addresses and ports: how each is written, and what is said of wrong ones."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load
from capture_agent.config.endpoints import (
    ADVERTISE_EXPECTED,
    SOURCE_EXPECTED,
    LocalAddress,
    PortRange,
    parse_advertised,
    parse_local,
    parse_ports,
    parse_source,
    split_source,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("10.0.0.1", "10.0.0.1/32", None),
        ("10.0.0.1:5060", "10.0.0.1/32", 5060),
        ("10.0.0.0/8", "10.0.0.0/8", None),
        ("2001:db8::1", "2001:db8::1/128", None),
        ("[2001:db8::1]", "2001:db8::1/128", None),
        ("[2001:db8::1]:5061", "2001:db8::1/128", 5061),
        ("2001:db8::/32", "2001:db8::/32", None),
    ],
)
def test_addresses(text: str, network: str, port: int | None) -> None:
    local = parse_local(text)
    assert local == LocalAddress(ip_network(network), port)
    assert parse_local(str(local)) == local


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not a valid IP address"),
        ("sip.example.net", "'sip.example.net' is not a valid IP address"),
        ("10.0.0.1:0", "expected a port from 1 to 65535"),
        ("10.0.0.1:sip", "expected a port from 1 to 65535"),
        ("[::1", "the brackets of the IPv6 address do not match"),
        ("[::1]5060", "the brackets of the IPv6 address do not match"),
        ("10.0.0.1/8", "host bits are set: the network is 10.0.0.0/8"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a valid network"),
        ("[2001:db8::/32]:5060", "a network cannot have a port"),
    ],
)
def test_wrong_addresses(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_local(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.5:5060=203.0.113.5:5099",
        "10.0.0.5=203.0.113.5",
        "tcp:10.0.0.5=203.0.113.5:5099",
        "[fd00::1]:5060=[2001:db8::1]:5099",
        "udp:fd00::1=2001:db8::1",
        "*=203.0.113.5:5099",
        "udp:*:5060=203.0.113.5",
    ],
)
def test_an_advertised_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_advertised(text)) == text
    assert parse_advertised(text.replace("=", " = ")) == parse_advertised(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.5", "no = between the two addresses"),
        ("10.0.0.5=", "'' is not a valid IP address"),
        ("h=10.0.0.5", "'h' is not a valid IP address"),
        ("*=*", "'*' is not a valid IP address"),
        ("10.0.0.5=2001:db8::1", "one address is IPv4 and the other IPv6"),
        ("10.0.0.5:0=10.0.0.6", "expected a port from 1 to 65535"),
        ("dccp:10.0.0.5=10.0.0.6", "expected a port from 1 to 65535"),
    ],
)
def test_wrong_advertised_addresses(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[trace]\nadvertise = ["{text}"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [
        f"{file}:2: trace.advertise: value '{text}', expected {ADVERTISE_EXPECTED} ({problem})"
    ]


def test_one_address_advertised_twice(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[trace]\nadvertise = ["10.0.0.5=10.0.0.6", "10.0.0.5=10.0.0.7"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"{file}:1: trace: advertise: 10.0.0.5 is given twice"]


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


def test_ports_in_a_file_in_the_environment_and_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[capture]\nports = [5060, "5061", "5080-5090"]\n')
    wanted = (PortRange(5060, 5060), PortRange(5061, 5061), PortRange(5080, 5090))
    assert load(file).capture.ports == wanted
    assert load(environ={"CAPTURE_AGENT_CAPTURE__PORTS": "5060,5061,5080-5090"}).capture.ports == wanted
    assert load(overrides={"capture": {"ports": ["5060", "5061", "5080-5090"]}}).capture.ports == wanted


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("70000", "value 70000, expected a port or a range FROM-TO (expected a port from 1 to 65535)"),
        ('"5070-5060"', "value '5070-5060', expected a port or a range FROM-TO (5070 is more than 5060)"),
        ("5060.5", "value 5060.5, expected a port or a range FROM-TO"),
        ("true", "value true, expected a port or a range FROM-TO"),
    ],
)
def test_what_is_wrong_with_ports_is_said(tmp_path: Path, written: str, shown: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f"[capture]\nports = [5060, {written}]\n")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert error.value.problems == [f"{file}:2: capture.ports: {shown}"]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("10.0.0.5", ("10.0.0.5", 0)),
        ("10.0.0.5:5075", ("10.0.0.5", 5075)),
        ("2001:db8::5", ("2001:db8::5", 0)),
        ("[2001:db8::5]:5075", ("2001:db8::5", 5075)),
        ("fe80::1%eth0", ("fe80::1%eth0", 0)),
        ("eth0", ("eth0", 0)),
        ("eth0.100:5075", ("eth0.100", 5075)),
    ],
)
def test_source(text: str, want: tuple[str, int]) -> None:
    assert parse_source(text) == text
    assert split_source(text) == want


@pytest.mark.parametrize("text", ["10.0.0.256", "1.2.3", "eth0:0", "eth0:x", "[::1", "a b", "x" * 16, "[eth0:1]:5"])
def test_no_source(text: str) -> None:
    with pytest.raises(ValueError):
        parse_source(text)


def test_the_system_chooses_an_empty_source() -> None:
    assert parse_source("") == ""


def test_the_configuration_says_which_source_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[[hep]]\nhost = "h"\nsource = "10.0.0.256"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [
        f"{file}:3: hep.source: value '10.0.0.256', expected {SOURCE_EXPECTED}"
        " ('10.0.0.256' is neither an IP address nor an interface)"
    ]
