"""Nothing of the network obeys a terminal's escapes, and plain tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.cli.text import Columns, printable

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with a space", "plain, with a space"),
        ("J\u00fcrgen \u4e2d", "J\u00fcrgen \u4e2d"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb\tc\0", r"a\r\nb\tc\x00"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("a\u2028b\u00a0c", r"a\u2028b\xa0c"),
        ("\udcff\U000e0001", r"\udcff\U000e0001"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_always_is(text: str) -> None:
    assert printable(text).isprintable()


def test_columns_grow() -> None:
    columns = Columns(("n", "name"), right=(0,), widths=(3, 6))
    assert columns.titles == "  n  name"
    assert columns.row(("1", "a")) == "  1  a"
    assert columns.row(("12345", "b\n")) == r"12345  b\n"
    assert columns.row(("2", "c")) == "    2  c"
