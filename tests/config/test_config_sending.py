"""What a sink may be told to send from."""

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load
from capture_agent.config.sending import EXPECTED, parse_source, split_source

pytestmark = pytest.mark.once


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


def test_empty_is_the_system_s_choice() -> None:
    assert parse_source("") == ""


def test_the_configuration_says_which_option_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[[hep]]\nhost = "h"\nsource = "10.0.0.256"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [
        f"{file}:3: hep.source: value '10.0.0.256', expected {EXPECTED}"
        " ('10.0.0.256' is neither an IP address nor an interface)"
    ]
