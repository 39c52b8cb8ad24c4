"""Statements and conditions of a route, as a tree."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.convert.reading import ScriptPlace
from capture_agent.convert.tokens import Token


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function with its arguments, each as tokens."""

    name: str
    arguments: tuple[tuple[Token, ...], ...]
    place: ScriptPlace


@dataclass(frozen=True, slots=True)
class Assignment:
    variable: str
    value: tuple[Token, ...]
    place: ScriptPlace
    replaces: bool = False  # with := all existing values


@dataclass(frozen=True, slots=True)
class End:
    how: str  # exit, return, drop, break
    place: ScriptPlace


@dataclass(frozen=True, slots=True)
class Atom:
    """A condition without operators between conditions: its tokens."""

    tokens: tuple[Token, ...]
    place: ScriptPlace


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
    place: ScriptPlace


@dataclass(frozen=True, slots=True)
class Breakable:
    """The body of switch or while, which `break` leaves."""

    statements: tuple[Statement, ...]


Condition = Atom | Not | Both
Statement = FunctionCall | Assignment | End | If | Breakable
