"""Runs under callgrind: counted.py COUNTING.so RUNS, which are JSON: [[name, [argument of capture-agent, ...]], ...].

All run in one process, with one start-up. Runs without a name are not counted, and are quicker.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys


def main() -> None:
    counting = ctypes.CDLL(sys.argv[1])
    runs: list[tuple[str, list[str]]] = json.loads(sys.argv[2])
    from capture_agent.build import flavour
    from capture_agent.cli import main as capture_agent

    if flavour() != "compiled":
        raise SystemExit("instructions are counted in the compiled build")
    for name, arguments in runs:
        gc.collect()
        if name:
            counting.begin()
        status = capture_agent(arguments)
        if name:
            counting.end(name.encode())
        if status:
            raise SystemExit(f"{name or arguments}: status {status}")


if __name__ == "__main__":
    main()
