"""The program as a whole: help, version, configuration commands, unexpected errors, cost of starting."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_samples import CALL, capture_agent, pcap

from capture_agent import __version__, cli
from capture_agent.cli import endings, program
from capture_agent.cli.capture_reading import CaptureReading
from capture_agent.config.option_list import COMMAND_LINE

COMMAND = typer.main.get_command(program.app)


def leaves(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*names, name))
    if not getattr(command, "commands", {}):
        yield names, command


LEAVES = dict(leaves(COMMAND))


TESTS = Path(__file__).parents[1]


def test_every_command_is_documented() -> None:
    text = (TESTS.parent / "docs" / "operating.md").read_text()
    documented = re.findall(r"^\| `capture-agent ([a-z -]+)` \|", text, re.MULTILINE)
    commands = {" ".join(leaf) for leaf in LEAVES}
    assert commands - set(documented) == set(), "docs/operating.md: add a row to the table of commands"
    assert set(documented) - commands == set(), "capture_agent/cli/program.py registers no such command"
    assert len(documented) == len(commands)


def words() -> Iterator[list[object]]:
    """The arguments of each call and the elements of each list in the tests of commands."""
    for file in [file for room in ("cli", "doctor", "sinks") for file in (TESTS / room).glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List) else []
            yield [part.value if isinstance(part, ast.Constant) else None for part in parts]


def test_every_command_is_run_by_a_test() -> None:
    run = {tuple(found[n : n + size]) for found in words() for size in (1, 2) for n in range(len(found))}
    missing = [" ".join(names) for names in LEAVES if names not in run]
    assert missing == [], "add tests/cli/test_cli_NAME.py, which runs it as users do: capture_agent('NAME', ...)"


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_help_names_every_option(names: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*names, "--help"]) == 0
    shown = capfd.readouterr().out
    for parameter in LEAVES[names].params:
        assert parameter.help, parameter.name
        for option in (*parameter.opts, *parameter.secondary_opts):
            assert (option if option.startswith("-") else parameter.metavar) in shown
    assert LEAVES[names].help
    assert "\x1b" not in shown


def test_options_of_the_configuration_are_there() -> None:
    options = {option for command in LEAVES.values() for parameter in command.params for option in parameter.opts}
    assert set(COMMAND_LINE.values()) <= options


def test_version(build: str) -> None:
    assert capture_agent("--version").out == f"capture-agent {__version__} ({build})\n"


def test_config_check(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[[hep]]\nuri = "hep:homer"\n')
    ended = capture_agent("config", "check", file)
    assert (ended.out, ended.err, ended.status) == (f"{file}: OK\n", "", 0)
    file.write_text('[[hep]]\nuri = "hep:homer"\nversion = 4\n[log]\nlevel = "loud"\n')
    ended = capture_agent("config", "check", file)
    assert ended.err.splitlines() == [
        f"{file}:3: hep.version: value 4, expected 1, 2 or 3",
        f'{file}:5: log.level: value \'loud\', expected "debug", "info", "warning" or "error"',
    ]
    assert (ended.out, ended.status) == ("", 2)


def test_config_show(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('[[hep]]\nuri = "hep:homer?key=s3cret"\n')
    ended = capture_agent("config", "show", "--config", file)
    assert tomllib.loads(ended.out)["hep"][0]["auth_key"] == "***"
    assert ended.status == 0


def test_interfaces() -> None:
    ended = capture_agent("interfaces")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["name", "state", "kind", "addresses"]
    assert any(line.startswith("lo ") and "127.0.0.1" in line for line in lines)
    assert ended.status == 0


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr(CaptureReading, "messages", fail)
    monkeypatch.delenv(endings.DEBUG, raising=False)
    assert cli.main(["decode", __file__]) == 1
    assert capsys.readouterr().err == (
        "capture-agent: decode: unexpected ZeroDivisionError (test_cli_program.py:115)"
        " (a bug: CAPTURE_AGENT_DEBUG=1 shows where)\n"
    )
    monkeypatch.setenv(endings.DEBUG, "1")
    assert cli.main(["decode", __file__]) == 1
    shown = capsys.readouterr().err
    assert "in fail" in shown
    assert 'ZeroDivisionError("' in shown.replace("s3cret", "")  # the line of code, of ours, is all there is of it


@pytest.mark.parametrize("module", ["rich", "sqlalchemy", "tomlkit"])
def test_what_replay_does_not_load(tmp_path: Path, module: str) -> None:
    file = tmp_path / "one.pcap"
    file.write_bytes(pcap(CALL[:1]))
    code = "import sys; from capture_agent.cli import main; main(sys.argv[2:]); sys.exit(sys.argv[1] in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code, module, "replay", "--hep", "hep:127.0.0.1:9", str(file)],
        check=True,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "arguments", [["--version"], ["decode", "one.pcap"], ["decode", "one.pcap", "--format", "jsonl"]]
)
def test_standard_output_to_a_full_disk(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "one.pcap").write_bytes(pcap(CALL[:1]))
    command = [sys.executable, "-m", "capture_agent", *arguments]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    name = "" if arguments == ["--version"] else "decode: "
    assert ended.stderr == f"capture-agent: {name}the output cannot be written: no space left on device\n"
    assert ended.returncode == 1


@pytest.mark.parametrize("closed", ["1", "2"])
@pytest.mark.parametrize("command", ["decode one.pcap", "config show"])
def test_a_stream_that_is_closed(tmp_path: Path, command: str, closed: str) -> None:
    (tmp_path / "one.pcap").write_bytes(pcap(CALL[:1]))
    line = f'exec "$0" -m capture_agent {command} {closed}>&-'
    ended = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, check=False)
    assert ended.returncode == 0
    assert b"bug" not in ended.stderr
