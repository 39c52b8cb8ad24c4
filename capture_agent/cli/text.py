"""Text that came from the network, made fit for a terminal, and tables of it without colours."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Control characters, escape sequences, line ends and bidirectional overrides as escapes: \\x1b, \\u202e.

    str.isprintable is False for all of Unicode's categories C* and Z*, the space excepted.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Columns:
    """Rows as aligned text, printed as they come: a column grows when a longer value does. Nothing is cut."""

    def __init__(self, titles: Sequence[str], right: Sequence[int] = (), widths: Sequence[int] = ()) -> None:
        self._right = frozenset(right)
        self._widths = [max(pair) for pair in zip(map(len, titles), widths or [0] * len(titles), strict=True)]
        self.titles = self.row(titles)

    def row(self, values: Sequence[str]) -> str:
        cells = [printable(value) for value in values]
        for n, cell in enumerate(cells):
            self._widths[n] = max(self._widths[n], len(cell))
        return "  ".join(self._pad(n, cell) for n, cell in enumerate(cells)).rstrip()

    def _pad(self, n: int, cell: str) -> str:
        return cell.rjust(self._widths[n]) if n in self._right else cell.ljust(self._widths[n])
