"""Evaluates #!ifexp as far as the file allows: numbers, texts, defined names and comparisons."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import add, eq, ge, gt, le, lt, mul, ne, sub
from typing import Any

_TOKEN = re.compile(r"\s*(?:(\d+)|\"([^\"]*)\"|'([^']*)'|([A-Za-z_]\w*)|(&&|\|\||==|!=|<=|>=|[-+*/%<>!()]))")
DEEPEST = 50
LONGEST_NUMBER = 18  # digits
COMPARING: dict[str, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
CALCULATING: list[dict[str, Callable[[Any, Any], Any]]] = [
    {"+": add, "-": sub},
    {"*": mul, "/": lambda a, b: a // b, "%": lambda a, b: a % b},
]

Value = int | str | None  # None: not known


class Unreadable(Exception):
    """Not valid in Kamailio."""


def is_true(text: str, defines: Mapping[str, str]) -> bool | None:
    """None: unknown."""
    try:
        expression = _Expression(text, defines)
        value = expression.either()
        return None if value is None or not expression.ended else bool(value)
    except Unreadable:
        return None


class _Expression:
    """Three values: `x && false` is false, whatever x is."""

    def __init__(self, text: str, defines: Mapping[str, str]) -> None:
        self._defines = defines
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._tokens)

    def _take(self, *signs: str) -> str:
        """The next token, if it is one of these signs."""
        if not self.ended and self._tokens[self._at][0] == "sign" and self._tokens[self._at][1] in signs:
            self._at += 1
            return str(self._tokens[self._at - 1][1])
        return ""

    def either(self) -> Value:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = 1 if value or other else None if value is None or other is None else 0
        return value

    def _both(self) -> Value:
        value = self._compared()
        while self._take("&&"):
            other = self._compared()
            false = any(each is not None and not each for each in (value, other))
            value = 0 if false else None if value is None or other is None else 1
        return value

    def _compared(self) -> Value:
        value = self._calculated(0)
        while sign := self._take(*COMPARING):
            value = _applied(COMPARING[sign], value, self._calculated(0))
        return value

    def _calculated(self, level: int) -> Value:
        if level == len(CALCULATING):
            return self._single()
        value = self._calculated(level + 1)
        while sign := self._take(*CALCULATING[level]):
            other = self._calculated(level + 1)
            if isinstance(value, str) or isinstance(other, str):  # "%999999999s" % "x" is a gigabyte
                value = None
            else:
                value = _applied(CALCULATING[level][sign], value, other)
        return value

    def _single(self) -> Value:
        self._depth += 1
        if self.ended or self._depth > DEEPEST:
            raise Unreadable
        if sign := self._take("!", "-", "("):
            value = self.either() if sign == "(" else self._single()
            if sign == "(" and not self._take(")"):
                raise Unreadable
            value = value if sign == "(" or value is None else int(not value) if sign == "!" else _negative(value)
        else:
            kind, text = self._tokens[self._at]
            self._at += 1
            if kind == "sign":
                raise Unreadable
            value = self._named(text) if kind == "name" else number(text) if kind == "number" else text
        self._depth -= 1
        return value

    def _named(self, name: str) -> Value:
        """A name without a value only says that it is defined."""
        text = self._defines.get(name, "").strip().strip("\"'")
        return number(text) if text.isdecimal() else text or None


def number(text: str) -> Value:
    return int(text) if len(text) <= LONGEST_NUMBER else None


def _negative(value: int | str) -> Value:
    return -value if isinstance(value, int) else None


def _applied(do: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        return None
    try:
        value = do(left, right)
    except (TypeError, ZeroDivisionError):
        return None
    return int(value) if abs(value) < 10**LONGEST_NUMBER else None


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable
        at = match.end()
        kind = ("number", "text", "text", "name", "sign")[(match.lastindex or 1) - 1]
        found.append((kind, match[match.lastindex or 1]))
    return found
