"""A dialog that is held takes at most 1 KB of resident memory: `python -m benchmarks.held` measures a million."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PROGRAM = "from benchmarks.held import measure; print(*measure(30_000, 0))"


def test_memory_of_a_dialog(build: str) -> None:
    if build == "plain":
        pytest.skip("the limit is for the compiled build: objects of the interpreter are larger")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    size = float(done.stdout.split()[0])
    assert 200 < size <= 1024
