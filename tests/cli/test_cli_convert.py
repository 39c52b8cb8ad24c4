"""`capture-agent config convert`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import capture_agent

pytestmark = pytest.mark.once


def test_what_it_prints_is_correct(tmp_path: Path) -> None:
    (tmp_path / "kamailio.cfg").write_text(
        'modparam("siptrace", "trace_mode", 1)\nmodparam("siptrace", "duplicate_uri", "sip:h")'
    )
    made = capture_agent("config", "convert", "kamailio.cfg", folder=tmp_path)
    assert (made.err, made.status) == ("", 0)
    (tmp_path / "agent.toml").write_text(made.out)
    checked = capture_agent("config", "check", "agent.toml", folder=tmp_path)
    assert (checked.out, checked.err, checked.status) == ("agent.toml: OK\n", "", 0)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("nix.cfg", "nix.cfg: cannot be read: no such file or directory"),
        (".", ".: cannot be read: is a directory"),
        ("includes.cfg", "includes.cfg:2: nix.cfg: cannot be read: no such file or directory"),
    ],
)
def test_lines(tmp_path: Path, file: str, line: str) -> None:
    (tmp_path / "includes.cfg").write_text('\ninclude_file "nix.cfg"\n')
    ended = capture_agent("config", "convert", file, folder=tmp_path)
    assert (ended.err, ended.out, ended.status) == (f"capture-agent: config convert: {line}\n", "", 2)
