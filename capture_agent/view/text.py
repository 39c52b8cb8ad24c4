"""Makes text from the network safe for a terminal, and tables of it. Nothing is wider than its column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capture_agent.sip.headers import printable

__all__ = ["Column", "Columns", "padded", "printable", "shortened", "width"]

GAP = "  "
MOST = 40  # terminal columns of a value, by default
CUT = ".."


def width(text: str) -> int:
    """Width in terminal columns: two for CJK, none for combining characters. Printable text only."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, most: int, ending: int | None = None) -> str:
    """Shortened to this many columns: the beginning, and `ending` columns of the end; by default half each."""
    # A combining character takes no column, but as many bytes as others.
    if len(text) <= 4 * most and width(text) <= most:
        return text
    room = max(0, most - len(CUT))
    last = room // 2 if ending is None else min(ending, room)
    head = taken(text[: 4 * most], room - last)
    tail = taken(text[-4 * most :][::-1], last)[::-1] if last else ""
    return (head + CUT + tail)[:most] if most < len(CUT) else head + CUT + tail


def taken(text: str, room: int) -> str:
    """As much of the beginning as fits this many columns."""
    if text.isascii():
        return text[:room]
    used = 0
    for n, character in enumerate(text):
        used += width(character)
        if used > room:
            return text[:n]
    return text


def padded(text: str, to: int, right: bool = False) -> str:
    blanks = " " * max(0, to - width(text))
    return blanks + text if right else text + blanks


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column, in terminal columns: its initial, greatest and least width."""

    title: str
    width: int = 0
    most: int = MOST
    least: int = 0  # 0: its width never shrinks
    right: bool = False


class Columns:
    """Rows as aligned text, printed as they come: a column grows with its values, up to its greatest width.

    The last column is written in full. If it does not fit the terminal, it goes on a separate line.
    """

    def __init__(self, columns: Sequence[Column], room: int = 0) -> None:
        """`room`: the terminal's width; 0: unlimited."""
        self._columns = columns[:-1]
        self._room = room
        self._last = columns[-1].title
        self._fitted = False
        self._widths = [max(column.width, width(column.title)) for column in self._columns]

    @property
    def titles(self) -> str:
        return self._line([column.title for column in self._columns]) + self._last

    def fit(self, rows: Iterable[Sequence[str]]) -> None:
        """Shrink as these rows' last column requires, but no column below its least width."""
        self._fitted = True
        widest = [width(column.title) for column in self._columns]
        lasts = []
        for row in rows:
            *cells, last = map(printable, row)
            lasts.append(width(last))
            widest = [max(old, width(cell[: 2 * MOST])) for old, cell in zip(widest, cells, strict=True)]
        self._widths = [min(wide, column.most) for wide, column in zip(widest, self._columns, strict=True)]
        least = [min(n, column.least or n) for n, column in zip(self._widths, self._columns, strict=True)]
        gaps = len(GAP) * len(self._columns)
        wanted = max((last for last in lasts if sum(least) + gaps + last <= self._room), default=0)
        while sum(self._widths) + gaps + wanted > self._room:
            spare = [n - low for n, low in zip(self._widths, least, strict=True)]
            at = spare.index(max(spare))
            if not spare[at]:
                break
            self._widths[at] -= 1

    def row(self, values: Sequence[str]) -> str:
        *cells, last = map(printable, values)
        if not self._fitted:
            for n, cell in enumerate(cells):
                self._grow(n, cell)
        before = self._line(cells)
        if self._room and width(before) + width(last) > self._room:
            return f"{before.rstrip()}\n{GAP}{last}"
        return (before + last).rstrip()

    def _grow(self, n: int, cell: str) -> None:
        most = self._columns[n].most
        wanted = min(width(cell[: 4 * most]), most) - self._widths[n]
        if wanted > 0 and self._room:
            wanted = min(wanted, self._room - sum(self._widths) - len(GAP) * (len(self._widths) - 1))
        self._widths[n] += max(0, wanted)

    def _line(self, cells: Sequence[str]) -> str:
        line = ""
        for cell, column, wide in zip(cells, self._columns, self._widths, strict=True):
            line += padded(shortened(cell, wide), wide, column.right) + GAP
        return line
