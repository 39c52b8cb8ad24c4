"""Instructions per message under valgrind: steadier than time, so CI compares these.

    python -m benchmarks.instructions           compare with benchmarks/instructions.json; status 1: it got worse
    python -m benchmarks.instructions --write   write the figures of this Python there

For each row the compiled build replays a small capture, and then one several times as long. The difference is the
figure, without start-up. (--loop would forget all calls and streams at each pass.) Figures are valid for one minor
version of Python; another one is compared with the nearest known version, with twice the tolerance.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import traffic
from benchmarks.building import built, compiler
from benchmarks.carriers import CARRIERS
from benchmarks.collector import collecting
from benchmarks.machine import first_line, number_in
from benchmarks.runner import clean_environment

HERE = Path(__file__).parent
COMMITTED = HERE / "instructions.json"
RULES, COUNTED, CALLS = (HERE / f"{name}.toml" for name in ("rules", "counted", "calls"))
HEADER = Path("/usr/include/valgrind/callgrind.h")
TOLERANCE = 0.30
MESSAGES, MIXED, STORED, CARRIED = 1000, 200, 300, 500  # in the first capture
WARM_UP = 30  # runs, after which Python has specialised the code that runs once in each
TIMES = 11  # times the length: the second capture. Start-up differs by 100,000 instructions between runs
PATIENCE = 900.0  # seconds: only to end hanging runs

Row = tuple[str, tuple[str, ...]]  # a capture, and the sink
ROWS: dict[str, Row] = {
    "hep-tcp": ("many", ("--hep", "hep+tcp:127.0.0.1:{port}")),
    "hep-udp": ("many", ("--hep", "hep:127.0.0.1:{port}")),
    "counted": ("many", ("--hep", "hep+tcp:127.0.0.1:{port}", "--config", str(COUNTED))),
    "tracked": ("many", ("--hep", "hep+tcp:127.0.0.1:{port}", "--trace", "transaction")),
    "calls": ("many", ("--hep", "hep+tcp:127.0.0.1:{port}", "--config", str(CALLS))),
    "rules": ("many", ("--hep", "hep+tcp:127.0.0.1:{port}", "--config", str(RULES))),
    "mixed": ("mixed", ("--hep", "hep+tcp:127.0.0.1:{port}")),
    "sip-tcp": ("tcp", ("--hep", "hep+tcp:127.0.0.1:{port}")),
    "fragments": ("fragments", ("--hep", "hep+tcp:127.0.0.1:{port}")),
    "tunnels": ("tunnels", ("--hep", "hep+tcp:127.0.0.1:{port}")),
    "sqlite": ("stored", ("--db", "sqlite:///{folder}/trace.db")),
}
AT_MOST = {"calls": ("tracked", 1.5)}  # times the instructions of that row
SIP = {
    "many": MESSAGES,
    "mixed": MIXED,
    "stored": STORED,
    **dict.fromkeys(("tcp", "fragments", "tunnels"), CARRIED),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    row: str
    measured: float
    known: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.known * (1 + self.tolerance)

    def __str__(self) -> str:
        change = self.measured / self.known - 1
        verdict = "" if self.holds else f": more than {self.tolerance:.0%} worse"
        figures = f"{self.measured:,.0f} instructions per message, {self.known:,.0f} known"
        return f"{self.row}: {figures} ({change:+.1%}){verdict}"


def unavailable() -> str:
    """What is missing for measuring; empty if nothing is."""
    if shutil.which("valgrind") is None or not HEADER.exists():
        return "valgrind is not installed (Debian package valgrind)"
    if shutil.which("cc") is None:
        return "no C compiler (Debian package gcc)"
    return ""


def measured() -> dict[str, float]:
    """Instructions per message, by row."""
    with tempfile.TemporaryDirectory(prefix="instructions-") as name:
        folder = Path(name)
        traffic.write(folder / "one", 1)
        for capture, sip in SIP.items():
            carrier = capture if capture in CARRIERS else "udp"
            rtp = traffic.RTP_PER_SIP if capture == "mixed" else 0
            traffic.write(folder / capture, sip, rtp, carrier)
            traffic.write(folder / f"{capture} longer", TIMES * sip, rtp, carrier)
        counting, sink = built("counting", folder, "-shared", "-fPIC"), built("sink", folder)
        with collecting(sink) as collector:
            count_all(folder, counting, collector.port)
            counts = collector.counts()
        sent = WARM_UP + sum(1 + (1 + TIMES) * SIP[capture] for row, (capture, _) in ROWS.items() if row != "sqlite")
        if (counts.packets, counts.broken) != (sent, 0):
            raise SystemExit(f"the sink has {counts}, not {sent} messages")
        return per_message(totals(folder))


def count_all(folder: Path, counting: Path, port: int) -> None:
    runs = [("", ["db", "create", "--db", f"sqlite:///{folder}/trace.db"])]
    hep = ["--hep", f"hep+tcp:127.0.0.1:{port}"]
    runs += [("", ["replay", str(folder / "one"), *hep])] * WARM_UP
    for row, (capture, sink) in ROWS.items():
        options = [word.format(port=port, folder=folder) for word in sink]
        # The first run imports modules.
        for run, file in (("", "one"), (f"{row} once", capture), (f"{row} longer", f"{capture} longer")):
            runs.append((run, ["replay", str(folder / file), *options]))
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/callgrind.%p"]
    program = [sys.executable, str(HERE / "counted.py"), str(counting), json.dumps(runs)]
    # The duration of look-ups depends on addresses and hashes.
    command = ["setarch", "--addr-no-randomize", *tool, *program]
    environment = clean_environment() | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise SystemExit(f"valgrind ended with status {done.returncode}:\n{done.stderr}")


def totals(folder: Path) -> dict[str, int]:
    """Instructions by run name, from the files that callgrind has written."""
    found = {}
    for path in folder.glob("callgrind.*"):
        text = path.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
        total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        if name and total:
            found[name.group(1)] = int(total.group(1))
    return found


def per_message(total: Mapping[str, int]) -> dict[str, float]:
    return {
        row: round((total[f"{row} longer"] - total[f"{row} once"]) / ((TIMES - 1) * SIP[capture]), 1)
        for row, (capture, _) in ROWS.items()
    }


def minor_version() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def compare(now: Mapping[str, float], committed: Mapping[str, Mapping[str, Any]], version: str) -> list[Comparison]:
    """Each row with the committed figure for this Python, otherwise for the nearest version."""
    nearest = min(committed, key=lambda known: abs(int(known.split(".")[1]) - int(version.split(".")[1])))
    tolerance = TOLERANCE if nearest == version else 2 * TOLERANCE
    known: dict[str, float] = committed[nearest]["instructions"]
    return [Comparison(row, figure, known[row], tolerance) for row, figure in now.items() if row in known]


def too_expensive(now: Mapping[str, float]) -> list[str]:
    """Rows that need more than AT_MOST allows."""
    return [
        f"{row}: {now[row] / now[base]:.2f} times {base}, at most {times} are allowed"
        for row, (base, times) in AT_MOST.items()
        if now[row] > times * now[base]
    ]


def known_figures() -> dict[str, dict[str, Any]]:
    """The figures by Python's minor version."""
    figures: dict[str, dict[str, Any]] = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    return figures


def write(now: Mapping[str, float]) -> None:
    figures = known_figures()
    figures[minor_version()] = {
        "python": platform.python_version(),
        "compiler": first_line(compiler(), "--version"),
        "valgrind": number_in(first_line("valgrind", "--version")),
        "machine": platform.machine(),
        "instructions": dict(now),
    }
    COMMITTED.write_text(json.dumps(dict(sorted(figures.items())), indent=2) + "\n")


def main() -> int:
    if missing := unavailable():
        print(missing, file=sys.stderr)
        return 1
    now = measured()
    known = known_figures()
    comparisons = compare(now, known, minor_version()) if known else []
    for line in (*comparisons, *too_expensive(now)):
        print(line)
    if "--write" in sys.argv[1:]:
        write(now)
        return 0
    holds = comparisons and all(comparison.holds for comparison in comparisons)
    return 0 if holds and not too_expensive(now) else 1


if __name__ == "__main__":
    sys.exit(main())
