"""The man page: made from the help texts, and complete."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from package_fixtures import need

from capture_agent import __version__
from capture_agent.cli.failures import PROGRAM
from capture_agent.cli.program import app

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.once


def contexts(context: Any) -> Iterator[Any]:
    yield context
    for name, command in getattr(context.command, "commands", {}).items():
        yield from contexts(typer.Context(command, info_name=name, parent=context))


CONTEXTS = list(contexts(typer.Context(typer.main.get_command(app), info_name=PROGRAM)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("man")
    file = tmp_path_factory.mktemp("man") / "capture-agent.1"
    with file.open("wb") as out:
        subprocess.run([sys.executable, ROOT / "tools/manual_page.py"], stdout=out, check=True)
    return file


@pytest.fixture(scope="module")
def shown(page: Path) -> dict[str, str]:
    """What `man` shows on a wide terminal: the text of each section."""
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page],
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "500", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    sections: dict[str, str] = {}
    title = ""
    for line in done.stdout.splitlines():
        if line.strip() and not line.startswith("    "):
            title = line.strip()
        sections[title] = sections.get(title, "") + line + "\n"
    return sections


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)
def test_every_command_has_all_its_options(shown: dict[str, str], context: Any) -> None:
    root = context.parent is None
    text = shown["OPTIONS" if root else context.command_path]
    for parameter in context.command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        for name in names if names[0].startswith("-") else [parameter.metavar]:
            assert name in text
        assert " ".join(parameter.help.split()) in text
    if not root:
        assert all(" ".join(part.split()) in text for part in context.command.help.split("\n\n"))


def test_it_has_the_sections_of_a_manual_page(shown: dict[str, str]) -> None:
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "FILES", "SEE ALSO"]
    assert [title for title in shown if title in wanted] == wanted
    assert f"capture-agent {__version__}" in list(shown)[-1]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param(".TH x", ".TH x", id="a request at the start of a line"),
        pytest.param("'br x", "'br x", id="a request that does not break"),
        pytest.param("a\\fBb \\n[x] \\", "a\\fBb \\n[x] \\", id="escapes"),
        pytest.param("--x 'y' `z`", "--x 'y' `z`", id="signs that troff draws"),
    ],
)
def test_no_text_is_a_command_to_troff(text: str, want: str, tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import manual_page; print(manual_page.roff({text!r}))"
    escaped = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    need("man")
    (tmp_path / "x.1").write_text(f".TH X 1\n.SH TEXT\n{escaped}")
    done = subprocess.run(
        ["man", "--warnings", "--local-file", tmp_path / "x.1"],
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "200", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert want in done.stdout
