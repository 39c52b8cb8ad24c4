"""The grammar of filters: a text becomes a tree of comparisons. Nothing in it is executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

LONGEST = 4000  # characters of a filter
DEEPEST = 50  # brackets and `not` within each other
MOST_VALUES = 1000  # of a list

GRAMMAR = r"""
    start: either
    ?either: both (_OR both)*
    ?both: one (_AND one)*
    ?one: _NOT one -> negated
        | "(" either ")" -> grouped
        | comparison
    comparison: NAME OPERATOR value
        | NAME _IN "(" value ("," value)* ")" -> listed
        | NAME _NOT _IN "(" value ("," value)* ")" -> not_listed
        | NAME -> present
    value: QUOTED | BARE | NAME
    _OR.3: /or\b|\|\|/i
    _AND.3: /and\b|&&/i
    _NOT.3: /not\b|!(?![=~])/i
    _IN.3: /in\b/i
    OPERATOR: "==" | "!=" | "<=" | ">=" | "!~" | "=" | "<" | ">" | "~"
    QUOTED: /"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'/
    NAME.2: /[A-Za-z][A-Za-z_]*+(?::[-.!%*_+`'~0-9A-Za-z]++)?(?![-.*+@:\/\[\]0-9A-Za-z])/
    BARE: /[-.*+@:\/\[\]_%0-9A-Za-z]++/
    %ignore /[ \t\r\n]++/
"""

MESSAGES = {
    "OPERATOR": "a comparison (= != < <= > >= ~ !~ in)",
    "QUOTED": "a value",
    "BARE": "a value",
    "NAME": "a field",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "_AND": "and",
    "_OR": "or",
    "_NOT": "not",
    "_IN": "in",
    "$END": "the end",
}


class FilterError(ValueError):
    """What is wrong with a filter. `column`: where, from 1."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(f"column {column}: {problem}")
        self.problem = problem
        self.column = column


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operator`: = != < <= > >= ~ !~ in; `present` without values. Columns are of the field, and of each value."""

    field: str
    operator: str
    values: tuple[str, ...]
    column: int
    value_columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    one: Tree
    depth: int


@dataclass(frozen=True, slots=True)
class Joined:
    """All of them (`and`), or one of them."""

    all: bool
    parts: tuple[Tree, ...]
    depth: int


Tree = Comparison | Negated | Joined


def parse_filter(text: str) -> Tree:
    """Raises FilterError."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

    if len(text) > LONGEST:
        raise FilterError(f"{len(text)} characters, at most {LONGEST}", LONGEST + 1)
    try:
        tree: Tree = parser().parse(text)
    except UnexpectedCharacters as error:
        place = error.pos_in_stream or 0
        raise FilterError(f"{text[place]!a} is not expected here", place + 1) from None
    except (UnexpectedToken, UnexpectedEOF) as error:
        token: Any = getattr(error, "token", None)
        at: int = len(text) if token is None or token.type == "$END" else token.start_pos
        expected = sorted({MESSAGES[one] for one in error.expected if one in MESSAGES})
        got = "the end" if at >= len(text) else repr(str(token)[:40])
        raise FilterError(f"got {got}, expected {' or '.join(expected) or 'something else'}", at + 1) from None
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError):
            raise error.orig_exc from None
        raise
    return tree


@cache
def parser() -> Any:
    from lark import Lark, Transformer

    class Builder(Transformer[Any, Any]):
        """Called from the inside to the outside, while it is parsed: no tree of lark's is built."""

        def start(self, parts: Sequence[Any]) -> Tree:
            found: Tree = parts[0]
            return found

        def either(self, parts: Sequence[Any]) -> Tree:
            return joined(False, parts)

        def both(self, parts: Sequence[Any]) -> Tree:
            return joined(True, parts)

        def negated(self, parts: Sequence[Any]) -> Tree:
            return Negated(parts[0], deeper(parts))

        def grouped(self, parts: Sequence[Any]) -> Tree:
            return joined(True, parts)

        def comparison(self, parts: Sequence[Any]) -> Tree:
            return compared(parts[0], str(parts[1]).replace("==", "="), parts[2:])

        def listed(self, parts: Sequence[Any]) -> Tree:
            return compared(parts[0], "in", parts[1:])

        def not_listed(self, parts: Sequence[Any]) -> Tree:
            return Negated(compared(parts[0], "in", parts[1:]), 1)

        def present(self, parts: Sequence[Any]) -> Tree:
            return compared(parts[0], "present", ())

        def value(self, parts: Sequence[Any]) -> tuple[str, int]:
            token = parts[0]
            text = str(token)
            if token.type == "QUOTED":
                text = unquoted(text)
            return text, token.start_pos + 1

    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=Builder(), maybe_placeholders=False)


def unquoted(text: str) -> str:
    r"""A backslash before a quote or a backslash stands for that character; elsewhere it is one: "\d" is \d."""
    quote, found, escaped = text[0], [], False
    for character in text[1:-1]:
        if escaped:
            found.append(character if character in (quote, "\\") else f"\\{character}")
        elif character != "\\":
            found.append(character)
        escaped = character == "\\" and not escaped
    return "".join(found)


def compared(field: Any, operator: str, values: Sequence[tuple[str, int]]) -> Comparison:
    if len(values) > MOST_VALUES:
        raise FilterError(f"{len(values)} values, at most {MOST_VALUES}", field.start_pos + 1)
    texts, columns = tuple(text for text, _ in values), tuple(column for _, column in values)
    return Comparison(str(field), operator, texts, field.start_pos + 1, columns)


def joined(all_of_them: bool, parts: Sequence[Tree]) -> Joined:
    return Joined(all_of_them, tuple(parts), deeper(parts))


def deeper(parts: Sequence[Tree]) -> int:
    depth = 1 + max(0 if isinstance(one, Comparison) else one.depth for one in parts)
    if depth > DEEPEST:
        raise FilterError(f"more than {DEEPEST} brackets within each other", 1)
    return depth
