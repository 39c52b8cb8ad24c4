"""The captures that the cases need: made once, kept under .cache/benchmarks/."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import traffic

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "benchmarks"
SHARED = ROOT.parent / "shared" / "bench" / "gen.py"  # the generator that others measure with, if present


@dataclass(frozen=True, slots=True)
class Capture:
    sip: int
    rtp_per_sip: int = 0
    carrier: str = "udp"

    @property
    def name(self) -> str:
        return f"{'mixed' if self.rtp_per_sip and self.carrier == 'udp' else self.carrier}-{self.sip}.pcap"

    @property
    def packets(self) -> int | None:
        """None: it depends on the segmentation."""
        return self.sip * (1 + self.rtp_per_sip) if self.carrier in ("udp", "tunnels") else None


ONE = Capture(1)


def generator() -> str:
    return "shared/bench/gen.py" if SHARED.exists() else "benchmarks/traffic.py"


def made(capture: Capture) -> Path:
    """Its file, which is written if it does not exist."""
    folder = CACHE / ("shared" if SHARED.exists() else "own")
    path = folder / capture.name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        print(f"writing {path.name}", file=sys.stderr)
        write(unfinished, capture)
        unfinished.rename(path)
    return path


def write(path: Path, capture: Capture) -> None:
    if not SHARED.exists() or capture.carrier not in ("udp", "tcp"):
        traffic.write(path, capture.sip, capture.rtp_per_sip, capture.carrier)
        return
    rtp = [str(capture.rtp_per_sip)] if capture.rtp_per_sip else []
    command = [sys.executable, str(SHARED), "mixed" if rtp else capture.carrier, str(path), str(capture.sip), *rtp]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
