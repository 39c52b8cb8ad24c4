"""Every option has an effect: code outside of its declaration reads it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import option_reads
import pytest

from capture_agent.config.sections import Config
from capture_agent.policy.compiling import CONDITIONS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
SETTINGS = f"""
[mypy]
python_version = 3.11
plugins = {option_reads.__file__}
packages = capture_agent
mypy_path = {ROOT}/stubs
ignore_missing_imports = True
incremental = False
cache_dir = {os.devnull}
[mypy-sqlalchemy.*]
follow_imports = skip
"""

SECTIONS: Mapping[str, type] = {
    section: (get_args(hint) or (hint,))[0] for section, hint in get_type_hints(Config).items()
}
# Rules are compiled by a table of their matchers: tests/policy/test_matchers.py proves each of them.
OPTIONS = [
    (section, field.name)
    for section, declared in SECTIONS.items()
    for field in fields(declared)
    if not (section == "rule" and field.name in CONDITIONS)
]


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Class and attribute of everything that is read, `Capture.filter`."""
    folder = tmp_path_factory.mktemp("reads")
    (folder / "mypy.ini").write_text(SETTINGS)
    found = folder / "reads"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(folder / "mypy.ini")],
        cwd=ROOT,
        env={**os.environ, option_reads.READS: str(found)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: without the types of SQLAlchemy
    lines = [line.rsplit(" ", 2) for line in found.read_text().splitlines()]
    return used([(name, path, int(line)) for name, path, line in lines])


def used(lines: list[tuple[str, str, int]]) -> set[str]:
    """What is read outside of the module that declares it, or there by a property that is itself used."""
    used = {name for name, path, _ in lines if path != source_of(name)}
    for name, path, line in lines:
        property_ = f"{name.rpartition('.')[0]}.{properties(path).get(line)}" if path == source_of(name) else ""
        if property_ in used:
            used.add(name)
    return used


def source_of(name: str) -> str:
    """The file of the class in `package.module.Class.attribute`."""
    return str(ROOT / (name.rsplit(".", 2)[0].replace(".", "/") + ".py"))


@cache
def properties(path: str) -> dict[int, str]:
    """The property that each line of this file is in."""
    return {
        line: function.name
        for function in ast.walk(ast.parse(Path(path).read_text()))
        if isinstance(function, ast.FunctionDef) and "property" in map(ast.unparse, function.decorator_list)
        for line in range(function.lineno, (function.end_lineno or 0) + 1)
    }


@pytest.mark.parametrize(("section", "name"), OPTIONS, ids=lambda part: part)
def test_an_option_is_read(section: str, name: str, reads: set[str]) -> None:
    names = {f"{one.__module__}.{one.__qualname__}.{name}" for one in SECTIONS[section].__mro__}
    assert names & reads, (
        f"nothing reads the option {section}.{name}, so it has no effect: use it, or remove it from "
        f"{SECTIONS[section].__module__}.{SECTIONS[section].__name__}"
    )
