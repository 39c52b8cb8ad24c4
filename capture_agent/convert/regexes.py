"""Converts Kamailio's regular expressions (POSIX extended, ignoring case) to RE2's, which rules use.

Kamailio calls GNU's regcomp: in brackets a backslash has no special meaning. Outside them `\\w \\s \\b \\< \\>` are
supported, and a backslash before any other character means that character.
"""

from __future__ import annotations

import re
from functools import cache

_BOUND = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_CLASS = re.compile(r"\[:([a-z]+):\]")
MOST_REPEATED = 1000  # RE2's own limit
DEEPEST = 50
LONGEST = 2000  # characters; the result is a few times as long
CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "a-zA-Z", "lower": "a-zA-Z", "space": r"\t-\r ",
    "blank": r"\t ", "xdigit": "0-9a-fA-F", "punct": r"!-/:-@\[-`{-~", "cntrl": r"\x00-\x1f\x7f", "graph": "!-~",
    "print": " -~",
}  # fmt: skip
# RE2 does not distinguish a word's start and end: it has only boundaries.
KNOWN_ESCAPES = {"w": r"[0-9A-Za-z_]", "W": r"[^0-9A-Za-z_]", "s": r"\s", "S": r"\S", "b": r"\b", "B": r"\B"}
KNOWN_ESCAPES |= {"<": r"\b", ">": r"\b", "`": "^", "'": "$"}


class Untranslatable(Exception):
    """RE2 cannot express it, or Kamailio refuses it, too."""


def translated(expression: str) -> str:
    """The equivalent RE2 expression, which needs (?is) before it. Raises Untranslatable."""
    if len(expression) > LONGEST:
        raise Untranslatable
    parser = _Parser(expression)
    found = parser.either(0)
    if not parser.ended:
        raise Untranslatable
    return f"(?is){found}"


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def either(self, depth: int) -> str:
        if depth > DEEPEST:
            raise Untranslatable
        branches = [self._sequence(depth)]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            branches.append(self._sequence(depth))
        return "|".join(branches)

    def _sequence(self, depth: int) -> str:
        out: list[str] = []
        while not self.ended and self._text[self._at] != "|":
            if self._text[self._at] == ")" and depth:
                break
            single = self._single(depth)
            repeats = self._repeats()
            if repeats and single in ("^", "$"):
                raise Untranslatable
            # RE2 refuses or misinterprets two in a row.
            for repeat in repeats[:-1]:
                single = f"(?:{single}{repeat})"
            out.append(single + (repeats[-1] if repeats else ""))
        return "".join(out)

    def _single(self, depth: int) -> str:
        character = self._next()
        if character == "(":
            inner = self.either(depth + 1)
            if self.ended or self._next() != ")":
                raise Untranslatable
            return f"(?:{inner})"
        if character == "[":
            return self._bracket()
        if character == "\\":
            return self._escape()
        if character in "*+?{":
            raise Untranslatable
        return character if character in ".^$" else re.escape(character)

    def _escape(self) -> str:
        if self.ended:
            raise Untranslatable
        character = self._next()
        if character.isdigit() and character != "0":
            raise Untranslatable  # a back-reference
        return KNOWN_ESCAPES.get(character) or re.escape(character)

    def _repeats(self) -> list[str]:
        found = []
        while not self.ended and self._text[self._at] in "*+?{":
            if self._text[self._at] != "{":
                found.append(self._next())
                continue
            bound = _BOUND.match(self._text, self._at)
            if bound is None or not (bound[1] or bound[3]):
                raise Untranslatable
            low, high = int(bound[1] or 0), int(bound[3]) if bound[3] else None
            if max(low, high or 0) > MOST_REPEATED or (high is not None and high < low):
                raise Untranslatable
            self._at = bound.end()
            found.append(f"{{{low}{',' if bound[2] else ''}{'' if high is None else high}}}")
        return found

    def _bracket(self) -> str:
        """Up to its `]`, which is a plain character if it comes first."""
        out = ["["]
        if self._text[self._at : self._at + 1] == "^":
            self._at += 1
            out.append("^")
        start = self._at
        while True:
            if self.ended:
                raise Untranslatable
            if (named := _CLASS.match(self._text, self._at)) is not None:
                if named[1] not in CLASSES:
                    raise Untranslatable
                out.append(CLASSES[named[1]])
                self._at = named.end()
                continue
            if self._text[self._at : self._at + 2] in ("[.", "[="):
                raise Untranslatable  # a character by its name in the locale
            character = self._next()
            if character == "]" and self._at > start + 1:
                return "".join(out) + "]"
            out.append(self._in_bracket(character, start))

    def _in_bracket(self, character: str, start: int) -> str:
        is_range = character == "-" and self._at - 1 > start and not self.ended and self._text[self._at] != "]"
        return character if is_range else re.escape(character) if character in "\\]-^[&~|" else character


@cache
def as_python(expression: str) -> re.Pattern[str] | None:
    """For texts known during conversion; None if it is not understood."""
    try:
        return re.compile(translated(expression))
    except (Untranslatable, re.error, RecursionError):
        return None


def finds(expression: str, text: str) -> bool | None:
    """Whether it matches anywhere in this text; None if it is not understood."""
    pattern = as_python(expression)
    return None if pattern is None else pattern.search(text) is not None


def is_anchored(expression: str) -> bool:
    return "^" in expression or "$" in expression or "\\" in expression
