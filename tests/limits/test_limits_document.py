"""docs/limits.md has a row for each measured table, and each row is measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from measuring import documented

pytestmark = pytest.mark.once


def test_each_row_is_measured_and_each_measured_table_has_a_row() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_limits_*.py"))
    cases = "".join(re.findall(r"^CASES\b.*?^\}", sources, re.MULTILINE | re.DOTALL))
    measured = set(re.findall(r'^    "([^"]+)":', cases, re.MULTILINE))
    assert measured == set(documented())
