"""[aliases]: what is accepted, what a problem says, and the names of peers in metrics."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from capture_agent.config import Config, ConfigError
from capture_agent.config.load import load_layers
from capture_agent.config.show import show

pytestmark = pytest.mark.once

GOOD = """[aliases]
"192.0.2.10" = "proxy"
"192.0.2.20:5080" = "voicemail"
"203.0.113.0/24" = "carrier-a"
"2001:db8::/32" = "carrier-a"
"[2001:db8::1]:5060" = "edge"
[metrics.peers]
office = ["192.0.2.10", "198.51.100.0/24"]
"""


def loaded(folder: Path, text: str, **environment: str) -> Config:
    file = folder / "agent.toml"
    file.write_text(text)
    return load_layers(file, environment, {})[0]


def test_they_name_places_and_peers(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    assert {str(place): name for place, name in config.aliases.by_place().items()} == {
        "192.0.2.10": "proxy",
        "192.0.2.20:5080": "voicemail",
        "203.0.113.0/24": "carrier-a",
        "2001:db8::/32": "carrier-a",
        "[2001:db8::1]:5060": "edge",
    }
    assert config.metrics.peers == {"office": ("192.0.2.10/32", "198.51.100.0/24")}
    assert config.named_metrics.peers == {
        "office": ("192.0.2.10/32", "198.51.100.0/24"),
        "voicemail": ("192.0.2.20/32",),
        "carrier-a": ("203.0.113.0/24", "2001:db8::/32"),
        "edge": ("2001:db8::1/128",),
    }


def test_what_is_shown_loads_again(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text(GOOD)
    config, layers = load_layers(tmp_path / "first.toml", {}, {})
    text = "\n".join(show(config, layers))
    assert tomllib.loads(text)["aliases"]["names"]["192.0.2.20:5080"] == "voicemail"
    assert loaded(tmp_path, text) == config


def test_the_environment_has_one_variable_for_them(tmp_path: Path) -> None:
    config = loaded(tmp_path, "", CAPTURE_AGENT_ALIASES__NAMES='{ "192.0.2.1" = "sbc" }')
    assert config.aliases.names == {"192.0.2.1": "sbc"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[aliases]\n"192.0.2.300" = "a"', "192.0.2.300"),
        ('[aliases]\n"192.0.2.1/24" = "a"', "host bits are set"),
        ('[aliases]\nauto = "a"', "expected an address, a network or ADDRESS:PORT"),
        ('[aliases]\n"192.0.2.1" = ""', "a name has 1 to 64 printable characters"),
        ('[aliases]\n"192.0.2.1" = "\\u202ea"', "a name has 1 to 64 printable characters"),
        ('[aliases]\n"192.0.2.1" = "other"', "is not 'other'"),
        ('[aliases]\n"192.0.2.1" = 7', "aliases"),
        ("aliases = 7", "expected a table [aliases]"),
        ("[aliases]\n" + "\n".join(f'"192.0.{n // 250}.{n % 250}" = "n{n}"' for n in range(300)), "at most 256"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert problem in "\n".join(caught.value.problems)
