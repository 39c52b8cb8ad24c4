"""The line of an option in TOML."""

import pytest

from capture_agent.config.precedence import Path, TomlLines

pytestmark = pytest.mark.once

TOML = '''\
# a comment

[capture] # and another
  filter = """
[log]
level = 1
"""
local = [
  "auto", # [[hep]]
  "x",
]
"buffer_mib" = 1

[[hep]]
host = "a"
[[hep]]
host = "b"
extra = {version = 4}

[queue]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("capture",), 3),
        (("capture", "filter"), 4),
        (("capture", "local"), 8),
        (("capture", "local", 1), 8),
        (("capture", "buffer_mib"), 12),
        (("hep", 0), 14),
        (("hep", 0, "host"), 15),
        (("hep", 1, "host"), 17),
        (("hep", 1, "extra", "version"), 18),
        (("hep", 1, "nothing"), 16),
        (("queue", "messages"), 20),
        (("nothing",), 1),
    ],
)
def test_lines(path: Path, line: int) -> None:
    assert TomlLines(TOML).of(path) == line


def test_dotted_keys() -> None:
    lines = TomlLines("log.level = 1\ntrace = {on = 1}\n")
    assert lines.of(("log", "level")) == 1
    assert lines.of(("trace", "on")) == 2
