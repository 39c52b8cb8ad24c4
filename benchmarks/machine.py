"""Describes the machine and the versions measured: enough to compare, but no name of the machine or its folders."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.building import compiler

ROOT = Path(__file__).parent.parent
VERSION_OPTIONS = {"sngrep": "-V", "sipgrep": "-V", "tshark": "-v"}


def first_line(*command: str) -> str:
    """The version that a program prints; empty if it cannot be run."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[0].strip() if lines else ""


def number_in(text: str) -> str:
    """`TShark (Wireshark) 4.0.17 (Git ...)` -> `4.0.17`."""
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else "of unknown version"


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def commit() -> str:
    """The last commit that changed the agent, with a + if files have changed since."""
    if not shutil.which("git"):
        return ""
    head = first_line("git", "log", "-1", "--format=%h", "--", "capture_agent", "hep")
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no", "--", "capture_agent", "hep")
    return head + ("+" if changed else "")


def machine(peers: Iterable[str]) -> dict[str, object]:
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "load": round(os.getloadavg()[0], 2),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "compiler": first_line(compiler(), "--version"),
        "cython": version("cython"),
        "capture_agent": version("capture-agent"),
        "commit": commit(),
        "peers": {peer: number_in(first_line(peer, VERSION_OPTIONS[peer])) for peer in peers},
    }
