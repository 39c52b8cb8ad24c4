"""`make bench`: measure everything, show the table, keep the result, and update the documents."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.building import NoCompiler
from benchmarks.captures import generator
from benchmarks.cases import WORKS, Sizes, all_cases, chosen, installed_peers
from benchmarks.figures import figures
from benchmarks.machine import machine
from benchmarks.measure import Failed
from benchmarks.results import FOLDER, Result, load, publish, save
from benchmarks.runner import run_all
from benchmarks.stores import installed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed, compared with the physical limit and the peers."
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--only", action="append", choices=list(WORKS), help="only this work; keeps nothing")
    parser.add_argument("--divide", type=int, default=1, metavar="N", help="captures N times smaller; keeps nothing")
    parser.add_argument(
        "--name", default=f"{datetime.now(UTC):%Y-%m-%d}", help="name of the JSON file (default: the date)"
    )
    parser.add_argument("--publish", metavar="NAME", help="do not measure: show results/NAME.json in the documents")
    return parser.parse_args()


def measured(asked: argparse.Namespace) -> Result:
    peers = installed_peers()
    where = machine(peers)
    cases = chosen(all_cases(Sizes().divided(asked.divide), peers, installed()), asked.only or WORKS)
    samples = run_all(cases, asked.repeats, progress)
    return Result(asked.name, where, generator(), asked.repeats, figures(cases, samples), samples)


def progress(text: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:60}", end=end, file=sys.stderr, flush=True)


def main() -> int:
    asked = arguments()
    if asked.publish:
        publish(load(FOLDER / f"{asked.publish}.json"))
        return 0
    try:
        result = measured(asked)
    except (Failed, NoCompiler) as error:
        print(f"no figures: {error}", file=sys.stderr)
        return 1
    report.show(result.figures, result.machine["peers"])
    if asked.only or asked.divide > 1:
        return 0
    path = save(result)
    publish(result)
    print(f"kept in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
