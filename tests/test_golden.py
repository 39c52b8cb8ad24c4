"""The output of `decode` for each capture in pcaps/, compared with tests/golden/. `make golden` rewrites it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
CAPTURES = sorted(p for p in (ROOT / "pcaps").rglob("*") if {".pcap", ".pcapng"} & set(p.suffixes))


def golden(capture: Path) -> Path:
    return GOLDEN / (str(capture.relative_to(ROOT / "pcaps")).replace("/", "-") + ".jsonl")


def decode(capture: Path) -> str:
    """The messages, then the exit status and standard error: the books."""
    command = [Path(sys.executable).parent / "capture-agent", "decode", "--format", "jsonl", capture.relative_to(ROOT)]
    plain_output = os.environ | {"COLUMNS": "1000", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(command, cwd=ROOT, env=plain_output, capture_output=True, text=True, check=False)
    said = "".join(f"# {line}\n" for line in done.stderr.splitlines())
    return f"{done.stdout}# exit status {done.returncode}\n{said}"


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: str(capture.relative_to(ROOT / "pcaps")))
def test_decode(capture: Path) -> None:
    assert decode(capture) == golden(capture).read_text()


def test_no_golden_file_is_left_over() -> None:
    assert set(GOLDEN.iterdir()) == {golden(capture) for capture in CAPTURES}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for one in CAPTURES:
        golden(one).write_text(decode(one))
    print(f"{len(CAPTURES)} files in {GOLDEN.relative_to(ROOT)}: review them with git diff")
