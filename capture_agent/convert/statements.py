"""Tokens of a route to statements and conditions: as much of the language as decides whether something is reached."""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.convert.reading import ConvertError, Place
from capture_agent.convert.tokens import Token

DEEPEST = 100  # blocks and parentheses in each other
ENDS = {"exit", "return", "drop", "break"}
OPEN, CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, each as its tokens."""

    name: str
    arguments: tuple[tuple[Token, ...], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Assignment:
    variable: str
    value: tuple[Token, ...]
    place: Place


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


Condition = Atom | Not | Both
Statement = Call | Assignment | End | If


class Parser:
    """Reads on from `at`. Whatever is not understood is passed over up to its end."""

    def __init__(self, tokens: list[Token], at: int = 0) -> None:
        self.tokens = tokens
        self.at = at
        self._depth = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.tokens)

    def is_sign(self, *texts: str) -> bool:
        return not self.ended and self.tokens[self.at].is_sign(*texts)

    def is_name(self, *texts: str) -> bool:
        return not self.ended and self.tokens[self.at].kind == "name" and self.tokens[self.at].text in texts

    def enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            place = self.tokens[min(self.at, len(self.tokens) - 1)].place
            raise ConvertError(f"{place}: blocks in each other more than {DEEPEST} deep")

    def block(self) -> tuple[Statement, ...]:
        """Behind an opening brace, up to the one that closes it."""
        self.enter()
        found: list[Statement] = []
        while not self.ended and not self.is_sign("}"):
            found += self.statement()
        self.at += 1
        self._depth -= 1
        return tuple(found)

    def statement(self) -> tuple[Statement, ...]:
        token = self.tokens[self.at]
        if token.is_sign("{"):
            self.at += 1
            return self.block()
        if token.kind == "name" and token.text in ("if", "while", "switch"):
            return self.branching()
        if token.kind == "name" and token.text in ("case", "default"):
            while not self.ended and not self.is_sign(":", ";", "}"):
                self.at += 1
            self.at += self.is_sign(":")
            return ()
        if token.kind == "name" and token.text in ENDS:
            self.skip()
            return (End(token.text, token.place),)
        if token.kind == "name" and self.next_is("("):
            call = self.call()
            self.skip()
            return (call,)
        if token.kind == "variable" and (self.next_is("=") or self.next_is(":=")):
            start = self.at + 2
            self.skip()
            return (Assignment(token.text, tuple(self.tokens[start : self.at - 1]), token.place),)
        self.skip()
        return ()

    def branching(self) -> tuple[Statement, ...]:
        """if; of while and switch nothing is known but that what is in them may be done."""
        token = self.tokens[self.at]
        self.at += 1
        if not self.is_sign("("):
            self.skip()
            return ()
        opening = self.at
        if token.text == "if":
            self.at += 1
            condition = self.condition()
        else:
            condition = Atom((token,), token.place)
        self.at = opening
        self.skip_group()
        then = self.statement() if not self.ended else ()
        if token.text == "switch":
            then = tuple(each for each in then if not (isinstance(each, End) and each.how == "break"))
        otherwise: tuple[Statement, ...] = ()
        if self.is_name("else"):
            self.at += 1
            otherwise = self.statement() if not self.ended else ()
        return (If(condition, then, otherwise, token.place),)

    def condition(self) -> Condition:
        """Up to the parenthesis that closes it."""
        self.enter()
        left = self.conjunction()
        while self.is_sign("||") or self.is_name("or"):
            self.at += 1
            left = Both(left, self.conjunction(), is_and=False)
        self._depth -= 1
        return left

    def conjunction(self) -> Condition:
        left = self.negation()
        while self.is_sign("&&") or self.is_name("and"):
            self.at += 1
            left = Both(left, self.negation(), is_and=True)
        return left

    def negation(self) -> Condition:
        if self.is_sign("!") or self.is_name("not"):
            self.enter()
            self.at += 1
            inner = Not(self.negation())
            self._depth -= 1
            return inner
        if self.is_sign("("):
            self.at += 1
            inner_condition = self.condition()
            self.at += 1
            return inner_condition
        return self.atom()

    def atom(self) -> Atom:
        start = self.at
        while not self.ended and not self.is_sign("&&", "||", ")", ";", "}") and not self.is_name("and", "or"):
            if self.is_sign("(", "["):
                self.skip_group()
            else:
                self.at += 1
        place = self.tokens[min(start, len(self.tokens) - 1)].place
        return Atom(tuple(self.tokens[start : self.at]), place)

    def call(self) -> Call:
        """NAME(ARGUMENT, ...)"""
        name = self.tokens[self.at]
        self.at += 2
        arguments: list[tuple[Token, ...]] = []
        start = self.at
        while not self.ended and not self.is_sign(")"):
            if self.is_sign(","):
                arguments.append(tuple(self.tokens[start : self.at]))
                start = self.at + 1
            if self.is_sign("(", "["):
                self.skip_group()
            else:
                self.at += 1
        if self.at > start or arguments:
            arguments.append(tuple(self.tokens[start : self.at]))
        self.at += 1
        return Call(name.text, tuple(arguments), name.place)

    def skip(self) -> None:
        """Past the end of the statement: a semicolon, or a block; a brace that closes an outer one stays."""
        while not self.ended:
            if self.is_sign(";"):
                self.at += 1
                return
            if self.is_sign("}"):
                return
            if self.is_sign("{"):
                self.skip_group()
                return
            if self.is_sign("(", "["):
                self.skip_group()
            else:
                self.at += 1

    def skip_group(self) -> None:
        """Past what this opening sign opens."""
        depth = 0
        while not self.ended:
            token = self.tokens[self.at]
            if token.kind == "sign" and token.text in OPEN:
                depth += 1
            elif token.kind == "sign" and token.text in CLOSE:
                depth -= 1
            self.at += 1
            if depth == 0:
                return

    def next_is(self, text: str) -> bool:
        return self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].is_sign(text)
