"""Addresses that are shown as others: their form, and what is said of wrong ones."""

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load
from capture_agent.config.advertised import EXPECTED, parse_advertised

pytestmark = pytest.mark.once


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
def test_it_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_advertised(text)) == text
    assert parse_advertised(text.replace("=", " = ")) == parse_advertised(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.5", "the = is missing"),
        ("10.0.0.5=", "'' is no IP address"),
        ("h=10.0.0.5", "'h' is no IP address"),
        ("*=*", "'*' is no IP address"),
        ("10.0.0.5=2001:db8::1", "one address is IPv4 and the other IPv6"),
        ("10.0.0.5:0=10.0.0.6", "the port is not 1 to 65535"),
        ("dccp:10.0.0.5=10.0.0.6", "the port is not 1 to 65535"),
    ],
)
def test_wrong_ones(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[trace]\nadvertise = ["{text}"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"{file}:2: trace.advertise: value '{text}', expected {EXPECTED} ({problem})"]


def test_one_that_stands_there_twice(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[trace]\nadvertise = ["10.0.0.5=10.0.0.6", "10.0.0.5=10.0.0.7"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"{file}:1: trace: advertise: 10.0.0.5 stands there twice"]
