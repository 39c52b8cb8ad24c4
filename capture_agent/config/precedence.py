"""Defaults < TOML < environment < command line: one tree of plain values, and the origin of each value.

A value of the file comes from a line, which tomllib does not report: `TomlLines` finds it when there is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from capture_agent.config.option_list import COMMAND_LINE, ENVIRONMENT, options, sections
from capture_agent.config.spool_options import SinkSpool

Path = tuple[str | int, ...]
WORDS = dict.fromkeys(("true", "on", "yes", "1"), True) | dict.fromkeys(("false", "off", "no", "0"), False)
LONGEST_LIST = 99  # tables of one kind that the environment may number


class Precedence(IntEnum):
    """A higher one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(slots=True, frozen=True)
class ValueOrigin:
    layer: Precedence
    name: str = ""  # of the variable or the option


@dataclass
class Layers:
    """The merged values. `unplaced`: variables of the environment that name no option."""

    file: FilePath | None
    credentials: FilePath | None = None  # the folder of those that systemd passes
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, ValueOrigin] = field(default_factory=dict)
    aliases: dict[Path, Path] = field(default_factory=dict)  # of an option taken from a URI: the URI's path
    unplaced: list[tuple[str, str, str]] = field(default_factory=list)  # variable, section, option
    secret_files: list[FilePath] = field(default_factory=list)  # that were read

    @cached_property
    def lines(self) -> TomlLines:
        return TomlLines(self.text)

    def layer(self, path: Path) -> Precedence:
        return self._origin(path).layer

    def origin(self, path: Path) -> str:
        """`agent.toml:3`, the name of a variable, or of an option of the command line."""
        path = self.aliases.get(path, path)
        origin = self._origin(path)
        if origin.layer == Precedence.FILE and self.file is not None:
            return f"{self.file}:{self.lines.of(path)}"
        return origin.name or "configuration"

    def _origin(self, path: Path) -> ValueOrigin:
        path = self.aliases.get(path, path)
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, ValueOrigin(Precedence.FILE if self.file else Precedence.DEFAULT))

    def add_command_line(self, overrides: Mapping[str, Any]) -> None:
        """Values in the structure of the file; sinks given here replace those of the file."""
        for section, value in overrides.items():
            if isinstance(value, Mapping):
                for name, inner in value.items():
                    self._set((section, name), inner, command_line(section, name))
                continue
            self.data[section] = [dict(entry) for entry in value]
            self.origins[(section,)] = command_line(section, "uri")
            for index, entry in enumerate(value):
                for name in entry:
                    self.origins[section, index, name] = command_line(section, name)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """CAPTURE_AGENT_SECTION__OPTION and CAPTURE_AGENT_SECTION__N__OPTION, N from 1.

        Other names are ignored: Kubernetes sets CAPTURE_AGENT_PORT for a service of our name.
        """
        for variable in sorted(environ):
            if not variable.startswith(ENVIRONMENT) or "__" not in variable[len(ENVIRONMENT) :]:
                continue
            section, *middle, name = variable[len(ENVIRONMENT) :].lower().split("__")
            path = self._place(section, middle, name)
            if path is None:
                self.unplaced.append((variable, section, name))
            elif self.layer(path) < Precedence.COMMAND_LINE or self._may_join(path):
                self._set(path, from_text(path, environ[variable]), ValueOrigin(Precedence.ENVIRONMENT, variable))

    def _place(self, section: str, middle: list[str], name: str) -> Path | None:
        if (section, name) not in options():
            return None
        if not sections()[section]:
            return None if middle else (section, name)
        if len(middle) != 1 or not middle[0].isdecimal() or not 1 <= int(middle[0]) <= LONGEST_LIST:
            return None
        return section, int(middle[0]) - 1, name

    def _may_join(self, path: Path) -> bool:
        """A key from the environment may complete a sink given on the command line, but not add one."""
        section, index, name = path if len(path) == 3 else ("", 0, "")
        entries = self.data.get(str(section))
        if not isinstance(entries, list) or not isinstance(index, int) or index >= len(entries):
            return False
        return name not in entries[index]

    def _set(self, path: Path, value: Any, origin: ValueOrigin) -> None:
        section, name = str(path[0]), path[-1]
        if len(path) == 2:
            table = self.data.setdefault(section, {})
        else:
            entries = self.data.setdefault(section, [])
            while isinstance(entries, list) and len(entries) <= int(path[1]):
                entries.append({})
            table = entries[int(path[1])] if isinstance(entries, list) else None
        if isinstance(table, dict):  # else the file has another type there: validation reports it
            table[name] = value
            self.origins[path] = origin


def as_table(text: str) -> Any:
    """`{ a = 1 }`, as in TOML."""
    import tomllib

    try:
        return tomllib.loads(f"table = {text}")["table"]
    except tomllib.TOMLDecodeError:
        return text


def command_line(section: str, name: str) -> ValueOrigin:
    return ValueOrigin(Precedence.COMMAND_LINE, COMMAND_LINE.get(f"{section}.{name}", f"{section}.{name}"))


def from_text(path: Path, text: str) -> Any:
    """A variable's text as the type of its option; text that does not fit stays text, and validation reports it."""
    default = options()[str(path[0]), str(path[-1])].default
    if isinstance(default, bool):
        return WORDS.get(text.strip().lower(), text)
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(default, dict | SinkSpool):
        return as_table(text)
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


class TomlLines:
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
        """The line of a key; else of its table; 1 if the file has neither."""
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
    """Line number, text and value of each statement: lines are joined until tomllib accepts them."""
    import tomllib  # needed only with a file

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
