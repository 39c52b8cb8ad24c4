"""Constants of hot modules: those in the .pxd equal those for the plain build in the .py."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENUM = re.compile(r"^cpdef enum:\n((?: {4}\w+ = .+\n)+)", re.MULTILINE)
CONSTANT = re.compile(r" {4}(\w+) = (.+)\n")
LARGEST = (1 << 31) - 1  # of a constant of C: a larger one would lose its upper half on the way to Python

OWNERS = sorted(
    path.relative_to(ROOT)
    for package in ("capture_agent", "hep")
    for path in (ROOT / package).rglob("*.pxd")
    if ENUM.search(path.read_text())
)


def of_c(pxd: str) -> dict[str, int]:
    return {name: int(value, 0) for block in ENUM.findall(pxd) for name, value in CONSTANT.findall(block)}


def of_the_plain_build(source: str) -> dict[str, int]:
    return {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "not cython.compiled"
        for statement in block.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def test_there_are_some() -> None:
    assert len(OWNERS) >= 5


@pytest.mark.parametrize("pxd", OWNERS, ids=str)
def test_both_builds_have_the_same(pxd: Path) -> None:
    constants = of_c((ROOT / pxd).read_text())
    assert constants == of_the_plain_build((ROOT / pxd).with_suffix(".py").read_text())
    assert max(map(abs, constants.values())) <= LARGEST


@pytest.mark.parametrize(
    ("pxd", "source", "same"),
    [
        ("cpdef enum:\n    A = 1\n    B = -0x10\n", "if not cython.compiled:\n    A = 1\n    B = -16\n", True),
        ("cpdef enum:\n    A = 1\n", "if not cython.compiled:\n    A = 2\n", False),
        ("cpdef enum:\n    A = 1\n    B = 2\n", "if not cython.compiled:\n    A = 1\n", False),
        ("cpdef enum:\n    A = 1\n", "A = 1\n", False),
    ],
)
def test_a_difference_is_found(pxd: str, source: str, same: bool) -> None:
    assert (of_c(pxd) == of_the_plain_build(source)) is same
