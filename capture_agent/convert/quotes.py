"""The content of a script's quoted strings."""

from __future__ import annotations

import re

# Kamailio 5.6, core/cfg.lex: an octal number has at least two digits, because of back-references.
_ESCAPE = re.compile(r"\\(?:([nrta\"\\])|x([0-9a-fA-F]{1,2})|([0-7]{2,3})|(\n))")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", '"': '"', "\\": "\\"}


def unquoted(text: str) -> str:
    """The text in the quotes. A backslash before any other character is kept: `\\.` in a regular expression."""
    if text[0] == "'":
        return text[1:-1]
    return _ESCAPE.sub(unescaped, text[1:-1])


def unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return ESCAPES[match[1]]
    if match[2] or match[3]:
        return chr(int(match[2], 16) if match[2] else int(match[3], 8) & 0xFF)
    return ""  # a continued line
