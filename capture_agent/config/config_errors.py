"""One line for each problem of the configuration: its place, the option, what was found and what was expected."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from capture_agent.config.option_list import Option, element, in_words, options
from capture_agent.config.precedence import Layers, Path, Precedence
from capture_agent.config.secrets import quotable, quotable_name, reason_for
from capture_agent.config.spool_options import SinkSpool

SHOWN = 80  # characters of a wrong value
_FILE_LINE = re.compile(r".+?:(\d+): ")


class ConfigError(Exception):
    """The configuration cannot be used. `problems`: one line each, without secrets."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def wrong(layers: Layers, path: Path, value: object, expected: str, reason: object = "") -> str:
    """`agent.toml:3: capture.buffer_mib: value 0, expected a whole number from 1 to 2047`

    The value is left out if the option may hold a secret; `reason` may repeat a part of the quoted value.
    """
    said = reason_for(str(value), reason) if reason and not is_hidden(path) else ""
    return f"{where(layers, path)}:{quoted(path, value)} expected {expected}{said}"


def refused(layers: Layers, path: Path, value: object, reason: object) -> str:
    """The same with a parser's own message, which does not repeat the value."""
    return f"{where(layers, path)}:{quoted(path, value)} {reason}"


def where(layers: Layers, path: Path) -> str:
    origin = layers.origin(path)
    if layers.layer(path) > Precedence.FILE:
        return origin  # a variable or an option names itself
    known = [option.name for option in options().values()]
    name = ".".join(quotable_name(part, known) for part in path if isinstance(part, str))
    return f"{origin}: {name}" if name else origin


def is_hidden(path: Path) -> bool:
    """May the option hold a secret? An unknown option may."""
    section, *inner = [part for part in path if isinstance(part, str)] or [""]
    return not inner or (option := options().get((section, inner[0]))) is None or option.hidden


def quoted(path: Path, value: object) -> str:
    """` value 0,`; empty where the option may hold a secret."""
    if is_hidden(path):
        return ""
    text = repr(quotable(value)) if isinstance(value, str) else quotable(str(value))
    text = {"True": "true", "False": "false"}.get(text, text)
    return f" value {text}," if len(text) <= SHOWN else f" value {text[:SHOWN]}...,"


def expected(option: Option, path: Path) -> str:
    """The type of the option, or of one element if it is a list."""
    return in_words(element(option.annotation)) if isinstance(path[-1], int) else option.expected


def in_order(problems: Iterable[str]) -> list[str]:
    """Problems of the file in the order of its lines, then the others."""

    def line(problem: str) -> int:
        match = _FILE_LINE.match(problem)
        return int(match[1]) if match else sys.maxsize

    return sorted(problems, key=line)


def nearest(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` or nothing."""
    from difflib import get_close_matches  # imported only after a mistake

    match = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {match[0]!r}?" if match else ""


def of_pydantic(layers: Layers, errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """The problems that validation found, one for each option."""
    found: dict[str, None] = {}
    for error in errors:
        path: Path = tuple(error["loc"])
        names = [str(part) for part in path if isinstance(part, str)]
        # Without a name it is of Config itself, which compares sections with one another.
        option = options().get((names[0], names[-1])) if names else None
        if len(path) == 4 and path[2] == "spool":
            found[of_sink_spool(layers, path, error)] = None
            continue
        if option is not None and error["type"] == "missing":
            found[f"{where(layers, path[:-1])}: {option.name} is missing, expected {option.expected}"] = None
        elif option is None:
            # Raised by __post_init__ of the target, which compares its options with one another.
            reason = error.get("ctx", {}).get("error", error["msg"])
            found[f"{where(layers, path)}: {reason}"] = None
        elif error["type"] == "value_error":
            reason = error["ctx"]["error"]
            found[wrong(layers, path, error["input"], expected(option, path), reason)] = None
        else:
            found[wrong(layers, path, error["input"], expected(option, path))] = None
    return list(found)


def of_sink_spool(layers: Layers, path: Path, error: Mapping[str, Any]) -> str:
    """An option in `spool` of a sink."""
    name = str(path[3])
    known = [field.name for field in fields(SinkSpool)]
    if name not in known:
        return f"{where(layers, path)}: unknown option{nearest(name, known)}"
    expected = "true or false" if name == "on" else options()["spool", name].expected
    return wrong(layers, path, error["input"], expected)
