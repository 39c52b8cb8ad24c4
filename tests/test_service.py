"""The systemd unit and the Dockerfile name what exists."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from capture_agent.config import load

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "capture-agent.service"
pytestmark = pytest.mark.once


def command_lines() -> list[list[str]]:
    """The commands in the unit and the Dockerfile's heading, without the words before the sub-command."""
    unit = re.search(r"^ExecStart=\S+ (.+)$", UNIT.read_text(), re.MULTILINE)
    docker = re.search(r"^# docker run .* capture-agent (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert unit
    assert docker
    return [unit[1].split(), docker[1].split()]


@pytest.mark.parametrize("arguments", command_lines(), ids=["systemd", "docker"])
def test_options_exist(arguments: list[str]) -> None:
    program = Path(sys.executable).parent / "capture-agent"
    command = [program, arguments[0], "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_text))
    assert {argument for argument in arguments if argument.startswith("-")} <= known


def test_the_example_is_a_good_configuration() -> None:
    config = load(ROOT / "systemd" / "capture-agent.toml", {}, {})
    assert config.capture.interfaces == ("eth0",)


def test_every_example_line_is_good(tmp_path: Path) -> None:
    """Those that are commented out, too."""
    text = (ROOT / "systemd" / "capture-agent.toml").read_text()
    every = re.sub(r"^# (?=[a-z_]+ = |\[\[)", "", text, flags=re.MULTILINE)
    assert every != text
    (tmp_path / "every.toml").write_text(every)
    load(tmp_path / "every.toml", {}, {})


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / UNIT.name
    program = f"ExecStart={shutil.which('true')}"  # ours is not installed where the unit says
    copy.write_text(re.sub(r"^ExecStart=\S+", program, UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, check=False)
    assert UNIT.name not in done.stderr
