"""Patterns of file names that sinks write to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

STANDARD_OUTPUT = "-"
PLACEHOLDER = re.compile(r"\{(date|time|call_id)\}")


def is_file_name(text: str) -> bool:
    return text not in ("", STANDARD_OUTPUT)


def check_pattern(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """The problems of `file`: (option, expected, reason)."""
    text = entry.get("file")
    if not isinstance(text, str):
        return
    rest = PLACEHOLDER.sub("x", text)
    if not text or rest.endswith("/") or "\0" in text or "{" in rest or "}" in rest:
        yield "file", "the name of a file, with {date}, {time} or {call_id}", ""
