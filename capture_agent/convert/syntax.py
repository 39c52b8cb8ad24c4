"""Statements and conditions of a route, as a tree."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.convert.reading import Place
from capture_agent.convert.tokens import Token


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, each as tokens."""

    name: str
    arguments: tuple[tuple[Token, ...], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Assignment:
    variable: str
    value: tuple[Token, ...]
    place: Place
    replaces: bool = False  # with := all existing values


@dataclass(frozen=True, slots=True)
class End:
    how: str  # exit, return, drop, break
    place: Place


@dataclass(frozen=True, slots=True)
class Atom:
    """A condition without operators between conditions: its tokens."""

    tokens: tuple[Token, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Left and right, or left or right."""

    left: Condition
    right: Condition
    is_and: bool


@dataclass(frozen=True, slots=True)
class If:
    condition: Condition
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Breakable:
    """The body of switch or while, which `break` leaves."""

    statements: tuple[Statement, ...]


Condition = Atom | Not | Both
Statement = Call | Assignment | End | If | Breakable
