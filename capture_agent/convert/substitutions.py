"""#!subst, #!substdef and #!substdefs: replacements in the strings of a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capture_agent.config.matchers import compiled

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\\(.)", re.DOTALL)
CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}  # any other character after a backslash means itself
FLAGS = re.compile(r"[gi]*")
LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Substitution:
    """`name`: the whole expression, if it is only a name."""

    name: str
    value: str
    replaced: Callable[[str], str]


def parse(text: str) -> Substitution:
    """`/expression/text/flags`, with any character for the slash. Raises ValueError.

    Names are searched literally; other expressions use RE2, which takes linear time.
    """
    parts = split(text)
    if len(parts) != 4 or parts[0] or not parts[1] or FLAGS.fullmatch(parts[3]) is None:
        raise ValueError("not as /expression/text/flags")
    _, expression, value, flags = parts
    count = 0 if "g" in flags else 1
    if _NAME.fullmatch(expression) and "i" not in flags:
        value = _REFERENCE.sub(
            lambda escape: "" if escape[1].isdecimal() else CONTROLS.get(escape[1], escape[1]), value
        )
        return Substitution(expression, value, lambda text: text.replace(expression, value, count or -1))
    pattern = compiled(f"(?i){expression}" if "i" in flags else expression)
    return Substitution("", value, lambda text: replaced(pattern, value, count, text))


def split(text: str) -> list[str]:
    """Split at its first character, which a backslash escapes."""
    if not text:
        return []
    parts = [""]
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] == text[0]:
            parts[-1] += text[0]
            at += 1
        elif text[at] == text[0]:
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    return parts


def replaced(pattern: Any, value: str, count: int, text: str) -> str:
    """In the replacement, \\1 is the first group."""

    def expand(match: Any) -> bytes:
        def part(reference: re.Match[str]) -> str:
            if not reference[1].isdecimal():
                return CONTROLS.get(reference[1], reference[1])
            number = int(reference[1])
            found = match.group(number) if number <= len(match.groups()) else None
            return (found or b"").decode(errors="replace")

        return _REFERENCE.sub(part, value)[:LONGEST].encode()

    out: bytes = pattern.sub(expand, text.encode(), count)
    return out[:LONGEST].decode(errors="replace")
