"""Splits lines of a Kamailio script into tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from capture_agent.convert.quotes import unquoted
from capture_agent.convert.reading import Line, ScriptPlace

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*"|'[^']*')
  | (?P<variable>\$(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[A-Za-z_][A-Za-z0-9_]*(?:\((?:[^()]|\([^()]*\))*\))?))
  | (?P<number>0[xX][0-9a-fA-F]+|[0-9]+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>=>|==|!=|=~|!~|:=|>=|<=|&&|\|\||[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # string, variable, number, name, sign
    text: str  # for a string: its content
    place: ScriptPlace
    start: int
    end: int  # offset in the text of all lines: adjacent tokens belong together

    def is_sign(self, *texts: str) -> bool:
        return self.kind == "sign" and self.text in texts


def tokens(lines: Iterable[Line]) -> list[Token]:
    lines = list(lines)
    starts: list[int] = []
    length = 0
    for line in lines:
        starts.append(length)
        length += len(line.text) + 1
    text = "\n".join(line.text for line in lines)
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        place = lines[bisect_right(starts, match.start()) - 1].place
        value = unquoted(match[0]) if kind == "string" else match[0]
        token = Token(kind, value, place, match.start(), match.end())
        if found and continues(found[-1], token, text):
            found[-1] = replace(found[-1], text=found[-1].text + value, end=token.end)
        else:
            found.append(token)
    return found


def continues(before: Token, token: Token, text: str) -> bool:
    """Joins double-quoted strings that are separated only by blanks."""
    return (
        token.kind == before.kind == "string"
        and text[token.start] == text[before.end - 1] == '"'
        and text[before.end : token.start].isspace() | (before.end == token.start)
    )
