"""Prints a table to standard output. On a terminal the last column, which people copy, is never wrapped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

from capture_agent.history.text import Column, Columns


def terminal_width() -> int:
    """The terminal's width; 0 if standard output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


class Table:
    """`show` prints rows as they come; later calls continue the same table."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = Columns(columns, terminal_width())
        self._titled = False

    def show(self, rows: Iterable[Sequence[str]]) -> None:
        write = sys.stdout.write
        if not self._titled:
            write(self._columns.titles + "\n")
            self._titled = True
        for row in rows:
            write(self._columns.row(row) + "\n")
        sys.stdout.flush()

    def show_all(self, rows: Sequence[Sequence[str]]) -> None:
        """The same table, as wide as these rows need. Only on a terminal: output for programs keeps its columns."""
        if terminal_width() and not self._titled:
            self._columns.fit(rows)
        self.show(rows)
