"""Prints a table to standard output. On a terminal the last column, which people copy, is never wrapped."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from capture_agent.cli.failures import WrongUsage
from capture_agent.config.secrets import quotable
from capture_agent.view.text import Column, Columns


def terminal_width() -> int:
    """The terminal's width; 0 if standard output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def coloured(color: str) -> bool:
    """Whether to colour, by --color. Raises WrongUsage."""
    if color not in ("auto", "always", "never"):
        raise WrongUsage(f"--color: value {quotable(color)!r}, expected auto, always or never")
    if color != "auto":
        return color == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str) -> str:
    """In this colour: the number of an SGR sequence (ECMA-48 8.3.117)."""
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


class Table:
    """`show` prints rows as they come; later calls continue the same table."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = Columns(columns, terminal_width())
        self._titled = False

    def show(self, rows: Iterable[Sequence[str]], colours: Sequence[str] = ()) -> None:
        """`colours`: of each row, as the number of an SGR sequence; '' for none."""
        write = sys.stdout.write
        if not self._titled:
            write(self._columns.titles + "\n")
            self._titled = True
        for number, row in enumerate(rows):
            write(painted(self._columns.row(row), colours[number] if colours else "") + "\n")
        sys.stdout.flush()

    def show_all(self, rows: Sequence[Sequence[str]], colours: Sequence[str] = ()) -> None:
        """The same table, as wide as these rows need. Only on a terminal: output for programs keeps its columns."""
        if terminal_width() and not self._titled:
            self._columns.fit(rows)
        self.show(rows, colours)
