"""The documents' commands are accepted by the command line, and their TOML by `config check`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_repository import DOCUMENTS, name
from typer.main import get_command

from capture_agent.cli.program import app
from capture_agent.config import load
from capture_agent.packet.tunnels import BY_IP_PROTOCOL, BY_UDP_PORT

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[1]
PROGRAM = get_command(app)

CODE = re.compile(r"^```\w*\n(.*?)^```$|^((?: {4}.*\n|\n(?= {4}))+)|`(capture-agent [^`]+)`", re.M | re.S)
TOML = re.compile(r"^```toml\n(.*?)^```$", re.M | re.S)
ENDS = ("|", "||", "&&", ";", ">", ">>", "<", "2>", "&", "...")
# `journalctl -u capture-agent -p warning`: not the agent's options.
OTHERS = ("journalctl", "systemctl", "apt", "apt-get", "make")
# Not commands to type: alternatives in brackets, continued text of a list.
NOTATION = re.compile(r"\[-|`|\.\.\.")


def commands(text: str) -> Iterator[list[str]]:
    """The words after `capture-agent` of each command in code, whatever starts it."""
    for found in CODE.finditer(text):
        code = next(part for part in found.groups() if part is not None)
        for line in code.replace("\\\n", " ").splitlines():
            yield from command_in(line.strip())


def command_in(line: str) -> Iterator[list[str]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return  # not a line of a shell
    places = [n for n, word in enumerate(words) if word == "capture-agent" or word.endswith("/bin/capture-agent")]
    if not places or words[0] in OTHERS or NOTATION.search(line):
        return
    after = words[places[-1] + 1 :]
    if after and re.fullmatch(r"--?[a-z]+|[a-z]+(-[a-z]+)?", after[0]):
        yield after[: next((n for n, word in enumerate(after) if word in ENDS), None)]


def parse(words: list[str]) -> None:
    """Raises what the command line raises for wrong usage, except that words are missing: texts name commands. Runs
    nothing.
    """
    command: Any = PROGRAM
    while hasattr(command, "commands"):
        if not words or words[0] in ("--version", "--help"):
            return
        command = command.commands[words.pop(0)]
    try:
        command.make_context("capture-agent", words)
    except Exception as error:
        if type(error).__name__ != "MissingParameter":
            raise


WRITTEN = [
    pytest.param(words, id=f"{name(document)}: {' '.join(words)}"[:90])
    for document in DOCUMENTS
    for words in commands(document.read_text())
]


@pytest.mark.parametrize("words", WRITTEN)
def test_commands(words: list[str]) -> None:
    parse(list(words))


def test_commands_are_found() -> None:
    text = (
        "Text `capture-agent stats --json`.\n\n    sudo capture-agent db create \\\n        --db sqlite:///x  # made\n"
    )
    assert list(commands(text)) == [["stats", "--json"], ["db", "create", "--db", "sqlite:///x"]]
    assert len(WRITTEN) > 30


OPERATE = sorted((ROOT / "docs/operate").glob("*.md"))
BLOCKS = [
    pytest.param(block, id=f"{name(document)}-{number}")
    for document in OPERATE
    for number, block in enumerate(TOML.findall(document.read_text()), 1)
]


def check(block: str, folder: Path) -> None:
    """As `config check`. Files with secrets are the reader's: here they are in the configuration's folder."""
    block = re.sub(r'(_file = ")/[^"]*/', r"\1", block)
    for file in re.findall(r'_file = "([^"/]+)"', block):
        (folder / file).write_text("sqlite:////var/lib/x.db" if "url" in file else "0123456789abcdef")
    (folder / "agent.toml").write_text(block)
    load(folder / "agent.toml")


@pytest.mark.parametrize("block", BLOCKS)
def test_toml_in_docs_operate(block: str, tmp_path: Path) -> None:
    check(block, tmp_path)


def test_each_page_is_in_the_index() -> None:
    index = (ROOT / "docs/operate/README.md").read_text()
    assert [page.name for page in OPERATE if page.name != "README.md" and f"]({page.name})" not in index] == []
    assert "](docs/operate/README.md)" in (ROOT / "README.md").read_text()


def test_links_to_sections() -> None:
    """A link to a heading leads to one, in all documents."""
    dead = []
    for document in DOCUMENTS:
        for target, section in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text()):
            other = document if not target else document.parent / target
            if other.suffix == ".md" and section not in anchors(other.read_text()):
                dead.append(f"{name(document)}: {target}#{section}")
    assert dead == []


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


COMPOSE = ROOT / "examples/compose.yaml"


def test_the_compose_file(tmp_path: Path) -> None:
    document = yaml.safe_load(COMPOSE.read_text())
    agent = document["services"]["capture-agent"]
    assert (agent["cap_drop"], agent["cap_add"], agent["network_mode"]) == (["ALL"], ["NET_RAW"], "host")
    parse(shlex.split(agent["command"]) if isinstance(agent["command"], str) else list(agent["command"]))
    config = document["configs"][agent["configs"][0]["source"]]["content"]
    assert agent["configs"][0]["target"] in " ".join(agent["command"])
    for mounted in agent.get("secrets", []):
        assert mounted in document["secrets"]
        assert f'"/run/secrets/{mounted}"' in config
    check(config, tmp_path)


def test_the_tunnels() -> None:
    """docs/operate/mirror.md has every port and IP protocol that is unwrapped, and no other."""
    table = (ROOT / "docs/operate/mirror.md").read_text().partition("| unwrapped")[2].partition("\n\n")[0]
    numbers = set(map(int, re.findall(r"\b\d{2,5}\b|(?<=protocol )\d", table)))
    # MPLS in IP is in its row by name; IEEE 802.1ah and the like are ethertypes.
    assert numbers == {*BY_UDP_PORT, *BY_IP_PROTOCOL} - {137}


TROUBLE = (ROOT / "docs/operate/troubleshooting.md").read_text()


def test_the_books_of_troubleshooting() -> None:
    """Each reason that a line of the books has there is one of docs/books.md."""
    reasons = re.findall(r"(?:rejected|lost) \((\w+) ", TROUBLE)
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/books.md").read_text(), re.M))
    assert len(reasons) > 8
    assert [reason for reason in reasons if reason not in known] == []


def test_the_checks_of_troubleshooting() -> None:
    """Each check of the doctor that is named there exists."""
    named = re.findall(r"`doctor`: ((?:`\w[\w ]*`(?:, )?)+)", TROUBLE)
    checks = [check for found in named for check in re.findall(r"`([^`]+)`", found)]
    known = (ROOT / "docs/operating.md").read_text().partition("| check | question |")[2].partition("\n\n")[0]
    assert len(checks) > 8
    assert [check for check in checks if f"`{check}`" not in known] == []
