"""Rows of an index merged in order of time."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.records.frames import FRAME_ROW
from capture_agent.sources.frame_rows import merge_rows


def merged(times: list[list[int]]) -> list[list[int]]:
    """Pieces with these times: as rows, each with its piece and place for start and length."""
    rows, pieces = array("q"), array("q")
    for number, piece in enumerate(times):
        first = len(rows) // FRAME_ROW
        for place, time in enumerate(piece):
            rows.extend((place, 10 + place, 20 + place, time, 0))
        pieces.extend((first, first + len(piece), 1000 * number, number))
    into = array("q", bytes(8 * len(rows)))
    assert merge_rows(rows, pieces, into) == len(rows) // FRAME_ROW
    return [into[at : at + FRAME_ROW].tolist() for at in range(0, len(into), FRAME_ROW)]


def test_two_pieces() -> None:
    assert merged([[1, 4], [2, 4]]) == [
        [0, 10, 20, 1, 0], [1000, 10, 20, 2, 1], [1, 11, 21, 4, 0], [1001, 11, 21, 4, 1],
    ]  # fmt: skip


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=5))
def test_all_are_there_and_in_order(times: list[list[int]]) -> None:
    found = merged([sorted(piece) for piece in times])
    assert [row[3] for row in found] == sorted(time for piece in times for time in piece)
    assert sorted((row[4], row[0] - 1000 * row[4]) for row in found) == sorted(
        (number, place) for number, piece in enumerate(times) for place in range(len(piece))
    )


def test_pieces_that_are_not_in_order_lose_nothing() -> None:
    assert sorted(row[3] for row in merged([[9, 1, 5], [4]])) == [1, 4, 5, 9]


@pytest.mark.parametrize("into", [0, FRAME_ROW])
def test_too_small_an_index_is_an_error(into: int) -> None:
    rows = array("q", range(2 * FRAME_ROW))
    with pytest.raises(IndexError):
        merge_rows(rows, array("q", [0, 2, 0, 0]), array("q", bytes(8 * into)))


def test_pieces_outside_of_the_index_are_an_error() -> None:
    with pytest.raises(IndexError):
        merge_rows(array("q", range(FRAME_ROW)), array("q", [0, 2, 0, 0]), array("q", bytes(8 * 2 * FRAME_ROW)))
