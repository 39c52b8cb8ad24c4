"""Keeps the results of a run: JSON, and the parts shown in docs/benchmarks.md and the README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.plot import svg
from benchmarks.report import markdown_table, missing_line, published_table
from benchmarks.runner import Sample

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    machine: Mapping[str, Any]
    generator: str
    repeats: int
    figures: Sequence[Figure]
    samples: Sequence[Sample]


def save(result: Result, folder: Path = FOLDER) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{result.name}.json"
    text = json.dumps(asdict(result), indent=1)
    path.write_text(text + "\n")
    return path


def load(path: Path) -> Result:
    told = json.loads(path.read_text())
    told["figures"] = [Figure(**one) for one in told["figures"]]
    told["samples"] = [Sample(**one) for one in told["samples"]]
    return Result(**told)


def caption(result: Result) -> str:
    machine = result.machine
    return (
        f"{machine['when']}, {machine['processor']}, {machine['cores']} cores, {machine['kernel']}, "
        f"Python {machine['python']}"
    )


def section(result: Result) -> str:
    """The text between the document's markers."""
    machine = result.machine
    peers = ", ".join(f"{peer} {number}" for peer, number in machine["peers"].items())
    lines = [
        f"{caption(result)}. {machine['compiler']}, Cython {machine['cython']}, capture-agent "
        f"{machine['capture_agent']} at {machine['commit'] or 'no commit'}. Medians of {result.repeats}, traffic by "
        f"{result.generator}; load average before: {machine['load']}. "
        f"All of it: [{result.name}.json](../benchmarks/results/{result.name}.json).",
        f"Peers: {peers or 'none'}. {missing_line(machine['peers'])}",
        markdown_table(result.figures),
        "Published, measured elsewhere on two cores with the same kind of traffic:",
        published_table(),
    ]
    return "\n\n".join(lines)


def replaced(document: str, content: str) -> str:
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def publish(result: Result) -> None:
    """Show this result in docs/benchmarks.md and docs/benchmarks.svg."""
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), section(result)))
    PICTURE.write_text(svg(result.figures, caption(result)))
