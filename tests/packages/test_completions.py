"""Completion in real shells: every command and option is offered, and nothing else runs."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from package_fixtures import need

from capture_agent.cli.program import app

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.once

BASH = """
source "$1"
COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_capture_agent_completion capture-agent
printf '%s\\n' "${COMPREPLY[@]}"
"""
# As zsh does at the first TAB: the file is the body of a function. What completes then is zsh's own `_arguments`.
ZSH = """
fpath=($1 $fpath); autoload -Uz _capture-agent
compdef() { }
_arguments() { print -r -- "$@" }
words=("${@:2}"); CURRENT=${#words}
_capture-agent
"""


def leaves(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*names, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))
GROUPS = [names for names, command in COMMANDS.items() if hasattr(command, "commands")]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    subprocess.run([sys.executable, ROOT / "tools/completions.py", folder], check=True)
    return folder


def run(shell: str, *words: str | Path) -> str:
    need(shell)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *words], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def in_bash(scripts: Path, line: str) -> set[str]:
    words = [*line.split(), *([""] if line.endswith(" ") else [])]
    return set(run("bash", "--norc", "-c", BASH, "bash", scripts / "bash/capture-agent", *words).split())


def in_zsh(scripts: Path, line: str) -> set[str]:
    words = [*line.split(), *([""] if line.endswith(" ") else [])]
    shown = run("zsh", "-f", "-c", ZSH, "zsh", scripts / "zsh", *words)
    return set(re.findall(r'[( ]"([a-z-]+)"[:)]', shown))


def in_fish(scripts: Path, line: str) -> set[str]:
    load = f"source {scripts / 'fish/capture-agent.fish'}; complete -C '{line}'"
    return {offered.split("\t")[0] for offered in run("fish", "--no-config", "-c", load).splitlines()}


SHELLS = [pytest.param(in_bash, id="bash"), pytest.param(in_zsh, id="zsh"), pytest.param(in_fish, id="fish")]


@pytest.mark.parametrize("names", COMMANDS, ids=lambda names: " ".join(names) or "capture-agent")
@pytest.mark.parametrize("offered", SHELLS)
def test_every_option_is_offered(
    scripts: Path, offered: Callable[[Path, str], set[str]], names: tuple[str, ...]
) -> None:
    options = {name for parameter in COMMANDS[names].params for name in parameter.opts if name.startswith("--")}
    found = offered(scripts, " ".join(["capture-agent", *names, "--"]))
    assert options | {"--help"} <= found
    assert all(option.startswith("--") for option in found)


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: " ".join(names) or "capture-agent")
@pytest.mark.parametrize("offered", SHELLS)
def test_every_command_is_offered(
    scripts: Path, offered: Callable[[Path, str], set[str]], names: tuple[str, ...]
) -> None:
    assert offered(scripts, " ".join(["capture-agent", *names, ""])) == set(COMMANDS[names].commands)


def test_what_is_offered_runs_nothing(scripts: Path, tmp_path: Path) -> None:
    in_bash(scripts, f"capture-agent db create --db sqlite:///{tmp_path}/trace.db --")
    assert list(tmp_path.iterdir()) == []
