"""Converts strings that a script composes from texts, pseudo-variables and earlier assignments to templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from capture_agent.convert.tokens import Token
from capture_agent.convert.variables import REQUEST, field_of, is_stored, plain, variable

_FORMAT = re.compile(r"\$(?:(\$)|(\((?:[^()]|\([^()]*\))*\)|[A-Za-z_]\w*(?:\([^()]*\))?))")
MOST_PARTS = 64
MOST_VALUES = 16  # an AVP's


@dataclass(frozen=True, slots=True)
class Field:
    """A part of the message, by its name in templates."""

    name: str


Parts = tuple[str | Field, ...]
NULL: Parts = ()


class NotKnown(Exception):
    """It contains something that is not a part of the message, given as text."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Values of variables on a path through the script, the last assigned first. None: an unknown value."""

    values: tuple[tuple[str, tuple[Parts | None, ...]], ...] = ()

    def get(self, name: str) -> tuple[Parts | None, ...] | None:
        """None if nothing has been assigned."""
        return next((values for known, values in self.values if known == name), None)

    def set(self, name: str, values: tuple[Parts | None, ...]) -> Stored:
        others = tuple(each for each in self.values if each[0] != name)
        return Stored(tuple(sorted((*others, (name, values[:MOST_VALUES])), key=lambda each: each[0])))


NONE_STORED = Stored()


@dataclass(frozen=True, slots=True)
class Scope:
    """The meaning of names at one place in the script.

    packet  the message that a variable refers to: one of variables.PACKET
    unset   AVPs that only assignments can set: without one they are $null
    failed  in a failure_route: the transaction's status is available
    """

    stored: Stored = NONE_STORED
    packet: str = REQUEST
    unset: frozenset[str] = frozenset()
    failed: bool = False

    def value(self, text: str) -> Parts:
        """The template of a variable in script syntax. Raises NotKnown."""
        given = variable(text)
        name = plain(given)
        if not name:
            raise NotKnown(text)
        if is_stored(name):
            values = self.stored.get(name)
            if values is None and name in self.unset:
                return NULL
            if values is not None:
                found = values[0] if values else NULL
                if found is None:
                    raise NotKnown(text)
                return found
        if name == "null":
            return NULL
        field = field_of(name, self.packet)
        if not field:
            raise NotKnown(text)
        return (Field(field),)


def evaluated(tokens: tuple[Token, ...], scope: Scope) -> Parts:
    """The template of an expression such as `"sip:" + $fU + "@" + $fd`. Raises NotKnown."""
    found: list[str | Field] = []
    expects_value = True
    for token in tokens:
        if token.is_sign("(", ")"):
            continue
        if token.is_sign("+"):
            if expects_value:
                raise NotKnown("+")
            expects_value = True
            continue
        if not expects_value:
            raise NotKnown(token.text)
        expects_value = False
        if token.kind in ("string", "number"):
            found.append(token.text)
        elif token.kind == "variable":
            found += scope.value(token.text)
        else:
            raise NotKnown(token.text)
    if expects_value or len(found) > MOST_PARTS or added_up(tokens):
        raise NotKnown("".join(token.text for token in tokens))
    return joined(found)


def added_up(tokens: tuple[Token, ...]) -> bool:
    """Numbers with a plus between them are added."""
    return len(tokens) > 1 and next(token.kind for token in tokens if not token.is_sign("(")) == "number"


def formatted(text: str, scope: Scope) -> Parts:
    """The template of a function's argument such as `corr-$ci`. Raises NotKnown with all unknown parts."""
    found: list[str | Field] = []
    unknown: list[str] = []
    at = 0
    for match in _FORMAT.finditer(text):
        found.append(text[at : match.start()])
        at = match.end()
        if match[1]:
            found.append("$")
            continue
        try:
            found += scope.value(match[0])
        except NotKnown as error:
            unknown.append(str(error))
    if unknown or len(found) > MOST_PARTS:
        raise NotKnown(", ".join(unknown))
    return joined([*found, text[at:]])


def joined(parts: list[str | Field]) -> Parts:
    """Joins adjacent texts."""
    found: list[str | Field] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part:
            found.append(part)
    return tuple(found)


def constant(parts: Parts) -> str | None:
    """The text, if it contains no part of a message."""
    return "".join(part for part in parts if isinstance(part, str)) if not any(fields(parts)) else None


def fields(parts: Parts) -> Iterator[Field]:
    return (part for part in parts if isinstance(part, Field))


def template(parts: Parts) -> str:
    """`sip:{from_user}@{from_host}`"""
    return "".join(
        f"{{{part.name}}}" if isinstance(part, Field) else part.replace("{", "{{").replace("}", "}}") for part in parts
    )
