"""Finds the line of an option in a TOML file, which tomllib does not report. Called only if there is a problem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


class Lines:
    """The first line, from 1, of every key and table of a TOML text that tomllib accepts as a whole."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # of the tables in each list of tables
        table: Path = ()
        for number, statement, parsed in statements(text):
            if statement.startswith("["):
                table = self._table(parsed, is_list=statement.startswith("[["))
                self._lines.setdefault(table, number)
            else:
                for path in paths(parsed):
                    self._lines.setdefault(table + path, number)

    def of(self, path: Path) -> int:
        """The line of a key; of the table that lacks it; 1 where the file has neither."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _table(self, parsed: dict[str, Any], is_list: bool) -> Path:
        names = []
        value: Any = parsed
        while isinstance(value, dict) and value:
            (name, value), *_ = value.items()
            names.append(name)
        path: Path = ()
        for depth, name in enumerate(names, start=1):
            path = (*path, name)
            if is_list and depth == len(names):
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path


def statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Line number, text and value of each statement: lines are put together until tomllib takes them."""
    import tomllib  # without a file nobody pays for it

    first, pending = 1, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not pending:
            first = number
        pending += line + "\n"
        try:
            parsed = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        if parsed:
            yield first, pending.lstrip(), parsed
        pending = ""


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every key in a value, outermost first."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))
