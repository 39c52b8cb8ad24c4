"""docs/library.md: its examples are run as they are, and its names exist."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from capture_agent import read
from capture_agent.config.filter_text import FilterError
from capture_agent.sources.source import SourceError
from capture_agent.view.call import SipCall

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "library.md"


def test_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert (failed, tried > 8) == (0, True)


def test_the_stable_names_exist() -> None:
    table = DOCUMENT.read_text().partition("## Stable names")[2]
    for path in re.findall(r"`(capture_agent(?:\.\w+)+)", table):
        module, _, name = path.rpartition(".")
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), name), path
    row = next(line for line in table.splitlines() if "SipCall" in line)
    names = re.findall(r"`(\w+)`", row.partition("|")[2].partition("|")[2])
    assert len(names) > 20
    assert [name for name in names if not hasattr(SipCall, name)] == []


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "no.pcap").write_bytes(b"no capture at all, whatever its name says")
    with pytest.raises(SourceError):
        read(tmp_path / "no.pcap").calls()
    with pytest.raises(FilterError, match="column 1: unknown field"):
        read(ROOT / "pcaps" / "demo.pcap").calls("nothing = 1")
    cut = read(ROOT / "pcaps" / "cut.pcap")
    assert cut.calls()
    assert "cut.pcap" in str(cut.damage)
    assert repr(cut).endswith("cut.pcap')")
