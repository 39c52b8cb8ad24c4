"""docs/configuration.md documents every option, with the type, default and environment name it has."""

import re
import tomllib
from pathlib import Path

import pytest

from capture_agent.config import load
from capture_agent.config.options import ENVIRONMENT, Option, options
from capture_agent.config.templates import Template

pytestmark = pytest.mark.once

TEXT = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
PARTS = re.split(r"^## \[+(\w+)\]+.*$", TEXT, flags=re.M)[1:]
SECTIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| `(.*?)` \|$", re.M)


def rows(section: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(cells) for name, *cells in ROW.findall(SECTIONS[section])}


def as_written(option: Option) -> str:
    if option.default is None:
        return "\u2013"
    if isinstance(option.default, bool):
        return f"`{str(option.default).lower()}`"
    if isinstance(option.default, tuple):
        return "`[{}]`".format(", ".join(f'"{part}"' for part in option.default))
    return f'`"{option.default}"`' if isinstance(option.default, str | Template) else f"`{option.default}`"


@pytest.mark.parametrize("option", options().values(), ids=lambda option: option.key)
def test_options(option: Option) -> None:
    value, default, _, environment = rows(option.section)[option.name]
    assert value == option.expected
    assert default == as_written(option)
    assert ENVIRONMENT + environment == option.environment


@pytest.mark.parametrize("option", options().values(), ids=lambda option: option.key)
def test_every_option_is_explained_with_an_example(option: Option, tmp_path: Path) -> None:
    items = re.split(r"^\* ", SECTIONS[option.section], flags=re.M)
    item = next(item for item in items if item.startswith(f"`{option.name}`:"))
    example = re.search(r"Example: `(.+?)`\.", " ".join(item.split()))
    assert example is not None
    if option.name.endswith("_file"):
        return  # names a file of the reader's host
    needs = {
        "hep": 'host = "h"',
        "sip": 'host = "h"',
        "sql": 'url = "sqlite:///x.db"',
        "sink": 'use = "x"',
        "source": 'use = "x"',
    }.get(option.section, "")
    if option.name == "lookback":
        needs = 'trace = "dialog"'
    if option.name in ("host", "uri", "url") or option.key in ("sink.use", "source.use"):
        needs = ""
    heading = f"[[{option.section}]]" if option.repeated else f"[{option.section}]"
    file = tmp_path / "agent.toml"
    file.write_text(f"{heading}\n{needs}\n{option.name} = {example[1]}\n")
    load(file)


def test_nothing_else_is_documented() -> None:
    documented = {(section, name) for section in SECTIONS for name in rows(section)}
    assert documented == set(options())


def test_the_opening_example(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", TEXT, re.S)
    assert example is not None
    assert set(tomllib.loads(example[1])) == {"capture", "hep", "sql"}
    (tmp_path / "agent.toml").write_text(example[1])
    (tmp_path / "homer.key").write_text("key")
    load(tmp_path / "agent.toml")
