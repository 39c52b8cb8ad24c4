"""#!ifexp: expressions that the file alone decides, and others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.convert.expressions import DEEPEST, is_true

pytestmark = pytest.mark.once

DEFINES = {"FIVE": "5", "NAME": '"abc"', "BARE": "abc", "HERE": ""}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1", True), ("0", False), ("FIVE", True), ("!FIVE", False), ("!!FIVE", True), ("-FIVE < 0", True),
        ("FIVE == 5", True), ("FIVE != 5", False), ("FIVE >= 6", False), ("FIVE <= 6", True), ("4 < FIVE", True),
        ("FIVE > 4", True), ("NAME == 'abc'", True), ('BARE == "abc"', True), ('NAME != "abc"', False),
        ("1 + 2 * 3 == 7", True), ("(1 + 2) * 3 == 9", True), ("7 / 2 == 3 && 7 % 2 == 1", True), ("7 - 2 - 1 == 4", True),
        ("0 || 1", True), ("0 && 1", False), ("1 && (0 || 1)", True), ("FIVE == 4 || NAME == 'abc' && FIVE", True),
        # Not known, and where that does not matter.
        ("NIX", None), ("!NIX", None), ("HERE", None), ("KAMAILIO_VERSION >= 5006000", None), ("NIX || 1", True),
        ("NIX && 0", False), ("0 && NIX", False), ("NIX && 1", None), ("NIX || 0", None), ("NIX == NIX", None),
        # No sense in it.
        ("", None), ("(", None), ("(1", None), ("1 1", None), ("1 +", None), ("== 1", None), ("FIVE == 'abc'", None),
        ("1 / 0", None), ("'a' + 'b'", None), ("1 % 0", None), ("§", None), ("-NAME", None), ("9" * 30, None),
        ("'a' - 'b'", None), ("(" * (DEEPEST + 5) + "1" + ")" * (DEEPEST + 5), None), ("!" * 500 + "1", None),
        (" * ".join(["999999999"] * 50) + " > 0", None), ("'%99999999999999999999s' % 'x'", None),
    ],
)  # fmt: skip
def test_expressions(text: str, wanted: bool | None) -> None:
    assert is_true(text, DEFINES) is wanted


@given(st.text(alphabet="019 FIVENA&|=!<>()+-*/%\"'", max_size=80))
def test_anything(text: str) -> None:
    assert is_true(text, DEFINES) in (True, False, None)
