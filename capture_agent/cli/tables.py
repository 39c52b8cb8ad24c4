"""A table on standard output: rich on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from capture_agent.cli.text import Columns, printable

NARROWEST = 72  # columns; on a smaller terminal rich would drop some of the table's
AT_ONCE = 500  # rows of one table on a terminal; a longer list becomes several


def terminal_width() -> int:
    return shutil.get_terminal_size().columns


class Table:
    """Titles, and how columns behave: `right` are numbers, `folds` may be broken into lines on a terminal."""

    def __init__(
        self,
        titles: Sequence[str],
        right: Sequence[int] = (),
        folds: Sequence[int] = (),
        widths: Sequence[int] = (),
    ) -> None:
        self._titles = titles
        self._right = right
        self._folds = folds
        self._plain = Columns(titles, right, widths)
        self._titled = False

    def show(self, rows: Iterable[Sequence[str]]) -> None:
        """Print these rows; a second call goes on with the same table."""
        rows = iter(rows)
        first = next(rows, None)
        if first is None and self._titled:
            return
        rows = chain([] if first is None else [first], rows)
        if sys.stdout.isatty() and terminal_width() >= NARROWEST:
            self._show_rich(rows)
        else:
            self._show_plain(rows)
        self._titled = True

    def _show_plain(self, rows: Iterable[Sequence[str]]) -> None:
        write = sys.stdout.write
        if not self._titled:
            write(self._plain.titles + "\n")
        for row in rows:
            write(self._plain.row(row) + "\n")
        sys.stdout.flush()

    def _show_rich(self, rows: Iterable[Sequence[str]]) -> None:
        import rich.box
        import rich.console
        import rich.table
        from rich.text import Text

        # With a height too, or rich takes 80 columns for granted where TERM is dumb.
        columns, lines = shutil.get_terminal_size()
        console = rich.console.Console(width=columns, height=lines, highlight=False, markup=False, emoji=False)
        rows = iter(rows)
        while some := list(islice(rows, AT_ONCE)):
            table = rich.table.Table(
                box=rich.box.SIMPLE_HEAD, show_header=not self._titled, pad_edge=False, padding=(0, 1, 0, 0)
            )
            self._titled = True
            for n, title in enumerate(self._titles):
                folds = n in self._folds
                table.add_column(
                    title,
                    justify="right" if n in self._right else "left",
                    no_wrap=not folds,
                    overflow="fold",
                    min_width=10 if folds else None,
                )
            for row in some:
                # Text, because a plain string would be read as rich's markup.
                table.add_row(*(Text(printable(cell)) for cell in row))
            console.print(table)
