"""No text from the network controls a terminal; and plain tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.view.text import Column, Columns, printable, shortened, width

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
    columns = Columns([Column("n", 3, right=True), Column("name", 6), Column("last")])
    assert columns.titles == "  n  name    last"
    assert columns.row(("1", "a", "x")) == "  1  a       x"
    assert columns.row(("12345", "b\n", "y")) == r"12345  b\n     y"
    assert columns.row(("2", "c", "")) == "    2  c"


def test_columns_grow_to_their_most_and_never_cost_more() -> None:
    """A column for one long value must not make every line after it long."""
    columns = Columns([Column("name", 6, most=10), Column("last")])
    assert columns.row(("a" * 100_000, "x")) == "aaaa..aaaa  x"
    assert columns.row(("b", "y" * 1000)) == "b           " + "y" * 1000
    assert columns.row(("c", "z")) == "c           z"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("abc", 3, id="ASCII"),
        pytest.param("jörg", 4, id="accents"),
        pytest.param("\u65e5\u672c", 4, id="CJK"),
        pytest.param("\uff21", 2, id="fullwidth"),
        pytest.param("\ud55c\uae00", 4, id="Hangul"),
        pytest.param("e\u0301", 1, id="combining"),
        pytest.param("\U0001f600", 2, id="emoji"),
    ],
)
def test_columns_of_a_terminal(text: str, want: int) -> None:
    assert width(text) == want
    columns = Columns([Column("name", 8), Column("last")])
    assert columns.row((text, "x")) == text + " " * (8 - want) + "  x"


@pytest.mark.parametrize(
    ("text", "most", "want"),
    [
        ("+49301234567", 10, "+493..4567"),
        ("+49301234567", 12, "+49301234567"),
        ("\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e", 8, "\u65e5..\u8a9e"),
        ("a", 1, "a"),
        ("abc", 2, ".."),
        ("abc", 1, "."),
    ],
)
def test_shortened(text: str, most: int, want: str) -> None:
    assert shortened(text, most) == want


@given(st.text(), st.integers(2, 30), st.none() | st.integers(0, 30))
def test_shortened_text_fits(text: str, most: int, ending: int | None) -> None:
    assert width(shortened(printable(text), most, ending)) <= most


def test_signs_without_width_are_bounded() -> None:
    assert len(shortened("e" + "\u0301" * 100_000, 10)) <= 90


CALL_ID = "3c26700857a0-jxpgqbwqjg7h@snom370"


def test_others_are_shortened_first() -> None:
    columns = Columns([Column("from", 8, least=6), Column("to", 8, least=6), Column("Call-ID")], room=60)
    rows = [("+4930123456789", "+49891234567890", CALL_ID), ("alice", "bob", "a@b")]
    columns.fit(rows)
    assert [columns.row(row) for row in rows] == [
        f"+4930..6789  +4989..67890  {CALL_ID}",
        "alice        bob           a@b",
    ]


def test_a_call_id_that_finds_no_room_has_a_line_of_its_own() -> None:
    columns = Columns([Column("from", 8, least=6), Column("to", 8, least=6), Column("Call-ID")], room=40)
    columns.fit([("+4930123456789", "bob", CALL_ID)])
    assert columns.row(("+4930123456789", "bob", CALL_ID)) == f"+4930123456789  bob\n  {CALL_ID}"
