"""The captures equal their script's output, and each is described."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.once


def test_made_captures_are_what_the_script_makes(tmp_path: Path, pcaps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    runpy.run_path(str(ROOT / "tools" / "make_pcaps.py"))["make"](tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made
    assert [name for name, data in made.items() if (pcaps / name).read_bytes() != data] == []


def test_the_table_lists_every_file(pcaps: Path) -> None:
    listed = set(re.findall(r"^\| `([^`]+)`", (pcaps / "README.md").read_text(), re.MULTILINE))
    files = {path.name for path in pcaps.iterdir() if path.is_file()} - {"README.md"}
    files |= {f"look/{path.name}" for path in (pcaps / "look").iterdir()}
    folders = {f"siptrace/{path.name}/" for path in (pcaps / "siptrace").iterdir()}
    assert listed == files | folders
