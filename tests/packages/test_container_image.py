"""The Dockerfile: hadolint, and what it says beside the program and the Helm chart."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from capture_agent.cli.program import app

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
pytestmark = pytest.mark.once


def instruction(pattern: str) -> str:
    found = re.search(pattern, DOCKERFILE, re.MULTILINE)
    assert found, pattern
    return found[1]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [hadolint, "--no-color", "--failure-threshold", "style", ROOT / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_has_every_extra() -> None:
    assert instruction(r"pip install .*\"(\.\[\w+\])\"") == ".[all]"


def test_the_interpreter_has_the_capability_that_the_container_is_given() -> None:
    """One that the container lacks would keep the kernel from starting it."""
    added = re.findall(r"--cap-add (\w+)", instruction(r"^(# docker run .*)$"))
    assert instruction(r"setcap (\S+)=eip").split(",") == [f"cap_{name.lower()}" for name in added]
    assert added == ["NET_RAW"]


def test_the_health_check_asks_the_agent() -> None:
    words = json.loads(instruction(r"^HEALTHCHECK .* CMD (\[.*\])$"))
    entry = json.loads(instruction(r"^ENTRYPOINT (\[.*\])$"))
    assert words[:1] == entry == ["capture-agent"]
    assert words[1] in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    # A user that is not root has a control socket only where this says so.
    folder = instruction(r"^ENV .*RUNTIME_DIRECTORY=(\S+)")
    assert re.search(rf"install -d -o capture-agent -m 0700 {folder}$", DOCKERFILE, re.MULTILINE)


def test_the_chart_runs_it_as_its_user() -> None:
    user = int(instruction(r"^USER (\d+)$"))
    assert f"--uid {user} " in DOCKERFILE
    template = (ROOT / "charts/capture-agent/templates/daemonset.yaml").read_text()
    assert set(re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", template)) == {str(user)}
    assert str(user) in (ROOT / "charts/capture-agent/values.yaml").read_text()


def test_the_chart_checks_its_health_alike() -> None:
    template = (ROOT / "charts/capture-agent/templates/daemonset.yaml").read_text()
    commands = [yaml.safe_load(found) for found in re.findall(r"^ +command: (\[.*\])$", template, re.MULTILINE)]
    assert commands
    assert {tuple(command) for command in commands} == {
        tuple(json.loads(instruction(r"^HEALTHCHECK .* CMD (\[.*\])$")))
    }
