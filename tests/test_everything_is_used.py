"""Every function and class of the program is used by it: one that no table and no code names would do nothing.

So it is with a command that is not registered, a check that `doctor` does not make, a decoder without a number.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.once

TREES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
    for package in ("capture_agent", "hep")
    for path in sorted((ROOT / package).rglob("*.py"))
}
PACKAGES = {
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("capture_agent", "hep")
    for path in (ROOT / package).rglob("__init__.py")
}
BY_NAME = re.compile(r"(capture_agent(?:\.\w+)+):(\w+)")  # "module:name", which is imported when it is needed

# The names of these packages are for others' code; elsewhere an __init__.py that names something does not use it.
PUBLIC = ("hep", "capture_agent.hooks")
FOR_OTHERS: set[str] = {"capture_agent.__getattr__"}  # `from capture_agent import read`
REGISTERING = ("command", "callback")  # decorators of typer

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.Module) -> Iterator[Definition]:
    """Of the top level, and of `if` and `try` there."""
    for node in tree.body:
        parts = (
            [node] if isinstance(node, Definition) else [*ast.walk(node)] if isinstance(node, ast.If | ast.Try) else []
        )
        yield from (part for part in parts if isinstance(part, Definition))


def is_registered(definition: Definition) -> bool:
    called = [one.func for one in definition.decorator_list if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Attribute) and one.attr in REGISTERING for one in called)


@cache
def used() -> set[tuple[str, str]]:
    """Module and name of everything that some code refers to."""
    found = {reference for module, tree in TREES.items() for reference in references(module, tree)}
    for package in PACKAGES - set(PUBLIC):
        found |= {whence for name, whence in imported(TREES[package]).items() if (package, name) in found}
    return found


def imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Module and name of what comes from another module, by its name here."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def references(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    here = imported(tree)
    if module not in PACKAGES or module in PUBLIC:
        yield from here.values()
    for statement in tree.body:
        own = statement.name if isinstance(statement, Definition) else None
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id != own:
                yield here.get(node.id, (module, node.id))
            elif isinstance(node, ast.Attribute):
                yield ".".join(here.get(ast.unparse(node.value), ("", ""))), node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from BY_NAME.findall(node.value)


# Where a newcomer's function belongs, by package or module.
TABLES = {
    "capture_agent.packet": "a line in packet/tunnels.py",
    "capture_agent.control.commands": "a line in COMMANDS of control/commands.py",
    "capture_agent.cli": "a line in cli/program.py",
    "capture_agent.doctor": "a line in doctor/check_table.py",
    "capture_agent.sinks": "a line in the table of kinds in config/sections.py",
    "capture_agent.policy": "a line in CONDITIONS of policy/compiling.py",
    "capture_agent.metrics": "a line in metrics/families.py",
    "capture_agent.streams": "a line in streams/layers.py",
}


def advice(module: str) -> str:
    tables = [table for place, table in TABLES.items() if f"{module}.".startswith(f"{place}.")]
    return " or ".join([*tables, "whatever should use it"])


def test_everything_is_used() -> None:
    pyproject = BY_NAME.findall((ROOT / "pyproject.toml").read_text())
    known = {*used(), *pyproject}
    unused = {
        f"{module}.{definition.name}": advice(module)
        for module, tree in TREES.items()
        for definition in definitions(tree)
        if (module, definition.name) not in known and not is_registered(definition)
    }
    forgotten = [f"nothing uses {name}: add {table}" for name, table in unused.items() if name not in FOR_OTHERS]
    assert not forgotten, "\n".join(forgotten)
    assert FOR_OTHERS - unused.keys() == set(), "FOR_OTHERS has names that are used, or that do not exist"
