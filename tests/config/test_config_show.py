"""The configuration shown: TOML that loads again, without secrets."""

import tomllib
from pathlib import Path

import pytest

from capture_agent.config import Config, load
from capture_agent.config.load import load_layers
from capture_agent.config.secrets import mask
from capture_agent.config.show import show

pytestmark = pytest.mark.once

TOML = """
[capture]
interfaces = ["eth0", "a\\"b"]
local = ["auto", "10.0.0.0/8", "[::1]:5060"]
[[hep]]
uri = "hep+tcp:[::1]?id=7&key=s3cret"
[[hep]]
host = "h"
[[sip]]
host = "s"
[[sql]]
url = "postgresql://u:s3cret@h/db?password=s3cret"
"""


def test_it_loads_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(TOML)
    config, layers = load_layers(first, {"CAPTURE_AGENT_HEP__2__AUTH_KEY": "s3cret"}, {"trace": {"on": False}})
    text = "\n".join(show(config, layers))
    second.write_text(text)
    again = load(second)
    assert "s3cret" not in text
    assert (again.capture, again.trace, again.sip, again.queue) == (
        config.capture,
        config.trace,
        config.sip,
        config.queue,
    )
    assert [(t.host, t.port, t.capture_id, t.auth_key) for t in again.hep] == [
        ("::1", 9060, 7, "***"),
        ("h", 9060, 2001, "***"),
    ]
    assert again.sql[0].url == "postgresql://u:***@h/db?***"


def test_comments_tell_the_origin(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(TOML)
    config, layers = load_layers(file, {"CAPTURE_AGENT_LOG__LEVEL": "debug"}, {"capture": {"filter": "udp"}})
    lines = set(show(config, layers))
    assert {
        f'interfaces = ["eth0", "a\\"b"]  # {file}:3',
        'filter = "udp"  # --filter',
        "buffer_mib = 16",
        f"capture_id = 7  # {file}:6",
        'level = "debug"  # CAPTURE_AGENT_LOG__LEVEL',
    } <= lines


def test_the_defaults() -> None:
    config, layers = load_layers(None, {}, {})
    text = "\n".join(show(config, layers))
    assert "#" not in text
    assert config == Config()
    assert list(tomllib.loads(text)) == [
        "capture",
        "tls",
        "media",
        "trace",
        "correlate",
        "legs",
        "hooks",
        "privacy",
        "queue",
        "spool",
        "control",
        "http",
        "health",
        "run",
        "metrics",
        "aliases",
        "log",
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:p@ss:w@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?password=p&x=1", "postgresql://u@h/db?***"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("hep:h?key=k&id=1", "hep:h?key=***&id=1"),
        ("hep:h?id=1", "hep:h?id=1"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert mask(text) == masked
