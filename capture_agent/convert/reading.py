"""Preprocesses a configuration file like Kamailio: yields lines with their positions.

It removes comments, inserts included files, applies #!define and #!substdef, and keeps one branch of each #!ifdef.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from capture_agent.config.secrets import quotable
from capture_agent.convert import substitutions
from capture_agent.convert.expressions import is_true
from capture_agent.convert.quotes import unquoted
from capture_agent.convert.substitutions import Substitution
from capture_agent.os_errors import in_words

DEEPEST = 10  # nested files; Kamailio has the same limit
MOST_LINES = 200_000
MOST_EXPANSIONS = 8  # names in values of names
LONGEST_LINE = 65_536
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_DIRECTIVE = re.compile(r"\s*(?:#!|!!)\s*([A-Za-z_]+)\s*(.*)$", re.DOTALL)
_STRING = re.compile(r"\"[^\"]*\"?|'[^']*'?")
_INCLUDE = re.compile(r"\s*(?:#!|!!)?(include_file|import_file)\s+[\"'](.*?)[\"']\s*;?\s*$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PIECES = re.compile(r"\"(?:[^\"\\]|\\.?)*\"?|'[^']*'?|/\*|//|#|[^\"'/#]+|/", re.DOTALL)
# The rest of a string that began on an earlier line, and its end if there; single quotes have no escapes.
_ENDS = {'"': re.compile(r"(?:[^\"\\]|\\.?)*\"?", re.DOTALL), "'": re.compile(r"[^']*'?")}
_CLOSED = {'"': re.compile(r"(?:[^\"\\]|\\.)*\"", re.DOTALL), "'": re.compile(r"[^']*'")}
DEFINING = {"define", "def", "trydef", "trydefine", "redef", "redefine"}
TRYING = {"trydef", "trydefine"}
SUBSTITUTING = {"subst", "substdef", "substdefs"}
FROM_ENVIRONMENT = {"defenv", "defenvs", "trydefenv", "trydefenvs"}


class ConvertError(Exception):
    """One clear line for the user."""


@dataclass(frozen=True, slots=True)
class ScriptPlace:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    place: ScriptPlace


@dataclass(frozen=True, slots=True)
class Note:
    """A difference after conversion, or something unknown."""

    place: ScriptPlace | None
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


@dataclass
class Reader:
    """Raises ConvertError if a required file cannot be read."""

    notes: list[Note] = field(default_factory=list)
    _defines: dict[str, str] = field(default_factory=dict)
    _substitutions: list[Substitution] = field(default_factory=list)
    _taken: list[bool] = field(default_factory=list)  # for each open #!ifdef: whether this branch is read
    _in_comment: bool = False
    _quote: str = ""  # the quote of a string that continues on the next line
    _lines: int = 0

    def read(self, path: Path, depth: int = 0) -> Iterator[Line]:
        number = 0
        waiting, started = "", 0
        open_before = len(self._taken)
        for number, raw in enumerate(read_lines(path), start=1):
            self._lines += 1
            line = self._decoded(raw, ScriptPlace(str(path), number))
            if self._lines > MOST_LINES or len(line) > LONGEST_LINE:
                raise ConvertError(f"{path}:{number}: too long: more than {MOST_LINES} lines, or one of 64 KiB")
            started = started if waiting else number
            waiting += line
            if not (self._in_comment or self._quote) and _DIRECTIVE.match(waiting) and waiting.endswith("\\"):
                waiting = waiting[:-1] + " "  # a continued define
                continue
            yield from self._line(waiting, ScriptPlace(str(path), started), path, depth)
            waiting = ""
        if len(self._taken) != open_before:
            self.notes.append(Note(ScriptPlace(str(path), number), "an #!ifdef without its #!endif"))
            del self._taken[open_before:]

    def _decoded(self, raw: bytes, place: ScriptPlace) -> str:
        """UTF-8; other lines as ISO-8859-1, which has a character for every byte. TOML must be UTF-8."""
        try:
            return raw.decode()
        except UnicodeDecodeError:
            if not raw.lstrip().startswith((b"#", b"//")) or raw.lstrip().startswith(b"#!"):
                why = "not UTF-8: read as ISO-8859-1, so bytes matched or sent from it differ here"
                self.notes.append(Note(place, why))
            return raw.decode("latin-1")

    def _line(self, text: str, place: ScriptPlace, path: Path, depth: int) -> Iterator[Line]:
        inside = self._in_comment or self._quote
        if not inside and (match := _INCLUDE.match(text)):
            if all(self._taken):
                yield from self._include(match[1], self._expand(match[2]), place, path, depth)
        elif not inside and (match := _DIRECTIVE.match(text)):
            self._direct(match[1].lower(), match[2].strip(), place)
        elif all(self._taken):
            yield Line(self._code(text), place)
        else:
            self._code(text)  # a comment may begin or end here

    def _include(self, how: str, name: str, place: ScriptPlace, path: Path, depth: int) -> Iterator[Line]:
        """Like Kamailio: in the working directory, otherwise next to the file; import_file may be missing."""
        found = Path(name) if Path(name).is_absolute() else path.parent / name
        if how == "import_file" and not found.exists():
            return
        if depth >= DEEPEST:
            raise ConvertError(f"{place}: files include each other more than {DEEPEST} deep: {found}")
        try:
            yield from self.read(found, depth + 1)
        except ConvertError as error:
            raise error if depth else ConvertError(f"{place}: {error}") from None

    def _direct(self, name: str, rest: str, place: ScriptPlace) -> None:
        word, _, value = rest.partition(" ") if " " in rest else rest.partition("\t")
        if name in ("ifdef", "ifndef"):
            self._taken.append((word in self._defines) == (name == "ifdef"))
        elif name == "ifexp":
            self._taken.append(self._holds(rest, place))
        elif name == "else" and self._taken:
            self._taken[-1] = not self._taken[-1]
        elif name == "endif" and self._taken:
            self._taken.pop()
        elif all(self._taken):
            self._define(name, word, value.strip(), rest, place)

    def _holds(self, expression: str, place: ScriptPlace) -> bool:
        holds = is_true(expression, self._defines)
        if holds is None and all(self._taken):
            self.notes.append(Note(place, f"#!ifexp {without_strings(expression)}: not known here, assumed to be true"))
        return holds is not False

    def _define(self, name: str, word: str, value: str, rest: str, place: ScriptPlace) -> None:
        if name in DEFINING:
            if not (name in TRYING and word in self._defines):
                self._defines[word] = value
        elif name in SUBSTITUTING:
            self._substitute(name, rest, place)
        elif name in FROM_ENVIRONMENT:
            word = word.partition("=")[0]
            self._defines.setdefault(word, "")
            self.notes.append(Note(place, f"{word} comes from Kamailio's environment, which is not known here"))

    def _substitute(self, name: str, rest: str, place: ScriptPlace) -> None:
        """Only a name can also be a define."""
        try:
            quoted = len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'"
            found = substitutions.parse(unquoted(rest) if quoted else rest.strip("\"'"))
        except ValueError as error:
            self.notes.append(Note(place, f"#!{name}: {without_detail(error)}: left out"))
            return
        self._substitutions.append(found)
        if name != "subst" and found.name:
            self._defines[found.name] = f'"{found.value}"' if name == "substdefs" else found.value
        elif name != "subst":
            self.notes.append(Note(place, f"#!{name}: its expression is not a name: replaced only in strings"))

    def _code(self, text: str) -> str:
        """Without its comments, names replaced."""
        out: list[str] = []
        at = 0
        while at < len(text):
            if self._in_comment:
                end = text.find("*/", at)
                if end < 0:
                    return "".join(out)
                self._in_comment = False
                at = end + 2
                out.append(" ")
                continue
            match = (_ENDS[self._quote] if self._quote else _PIECES).match(text, at)
            assert match is not None  # some part always matches
            piece = match[0]
            at = match.end()
            if self._quote:
                out.append(self._in_string(piece))
                self._quote = "" if _CLOSED[self._quote].fullmatch(piece) else self._quote
                continue
            if piece == "/*":
                self._in_comment = True
            elif piece in ("//", "#"):
                break
            elif piece[0] in "\"'":
                out.append(self._in_string(piece))
                self._quote = "" if _CLOSED[piece[0]].fullmatch(piece, 1) else piece[0]
            else:
                out.append(self._expand(piece))
        return "".join(out)

    def _expand(self, code: str) -> str:
        for _ in range(MOST_EXPANSIONS):
            replaced = _NAME.sub(lambda match: self._defines.get(match[0]) or match[0], code)
            if replaced == code or len(replaced) > LONGEST_LINE:
                break
            code = replaced
        return code

    def _in_string(self, text: str) -> str:
        for substitution in self._substitutions:
            text = substitution.replaced(text)[:LONGEST_LINE]
        return text


def without_strings(expression: str) -> str:
    """Only names and operators: a string may be a password."""
    return _STRING.sub('"..."', expression)


def without_detail(error: ValueError) -> str:
    """Without RE2's text after the last colon, which repeats a part of the expression."""
    return str(error).rpartition(": ")[0] or str(error)


def read_lines(path: Path) -> list[bytes]:
    """Raises ConvertError."""
    try:
        return path.read_bytes().removeprefix(BYTE_ORDER_MARK).split(b"\n")
    except OSError as error:
        raise ConvertError(f"{quotable(str(path))}: cannot be read: {in_words(error)}") from None
    except ValueError:  # a NUL byte in the name
        raise ConvertError(f"{quotable(str(path))!r}: cannot be read: not a file name") from None
