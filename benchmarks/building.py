"""Compiles small C programs when they are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


class NoCompiler(Exception):
    """There is no C compiler."""


def compiler() -> str:
    found = shutil.which(os.environ.get("CC") or "cc")
    if found is None:
        raise NoCompiler("no C compiler: install gcc")
    return found


def built(name: str, folder: Path, *flags: str) -> Path:
    """Compile benchmarks/NAME.c to a program in that folder. Raises NoCompiler."""
    program = folder / name
    if not program.exists():
        subprocess.run([compiler(), "-O2", *flags, "-o", str(program), str(HERE / f"{name}.c")], check=True)
    return program
