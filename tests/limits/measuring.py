"""How much memory a table holds under its worst input: measured in a fresh process, compared with docs/limits.md.

A test module has CASES, by the name of the row in docs/limits.md, and ends with `main(CASES)` under `__main__`: each case
fills one table completely and returns it, so that it is alive while the process is measured.
"""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"
MIB = 1 << 20

Fill = Callable[[], object]


def documented() -> dict[str, float]:
    """MiB by the name of the row, from docs/limits.md: the last column."""
    rows = re.findall(r"^\| ([^|]+?) \|.*\| ([0-9.,]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {name: float(mib.replace(",", "")) for name, mib in rows}


def held_mib(module: str, case: str) -> float:
    """The memory that the case of this test module holds, in MiB."""
    done = subprocess.run([sys.executable, module, case], check=True, capture_output=True, text=True, timeout=600)
    return int(done.stdout.split()[-1]) / MIB


def main(cases: Mapping[str, Fill]) -> None:
    gc.collect()
    before = resident()
    kept = cases[sys.argv[1]]()
    gc.collect()
    after = resident()
    assert kept is not None
    print(after - before)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
