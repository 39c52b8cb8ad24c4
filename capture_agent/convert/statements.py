"""Parses a route's tokens to statements and conditions: the part of the language that decides what is reached."""

from __future__ import annotations

from dataclasses import replace

from capture_agent.convert.reading import ConvertError, ScriptPlace
from capture_agent.convert.syntax import (
    Assignment,
    Atom,
    Both,
    Breakable,
    Condition,
    End,
    FunctionCall,
    If,
    Not,
    Statement,
)
from capture_agent.convert.tokens import Token

MOST_CASES = 50  # cases of a switch, each one level deeper in the tree
DEEPEST = 100  # nested blocks and parentheses
ENDS = {"exit", "return", "drop", "break"}
OPEN, CLOSE = "([{", ")]}"


class Parser:
    """Parses from `at` on. Skips statements that it does not understand."""

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
            raise ConvertError(f"{place}: blocks nested more than {DEEPEST} deep")

    def block(self) -> tuple[Statement, ...]:
        """After an opening brace, up to the closing one."""
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
            return self.branching(token)
        if token.kind == "name" and token.text in ENDS:
            self.skip()
            return (End(token.text, token.place),)
        if token.kind == "name" and self.next_is("("):
            call = self.call()
            self.skip()
            return (call,)
        if token.kind == "variable" and (self.next_is("=") or self.next_is(":=")):
            start = self.at + 2
            replaces = self.next_is(":=")
            self.skip()
            end = self.at - self.tokens[self.at - 1].is_sign(";")
            return (Assignment(token.text, tuple(self.tokens[start:end]), token.place, replaces),)
        self.skip()
        return ()

    def branching(self, token: Token) -> tuple[Statement, ...]:
        self.at += 1
        if not self.is_sign("("):
            self.skip()
            return ()
        opening = self.at
        if token.text == "if":
            self.at += 1
            condition = self.condition()
        self.at = opening
        self.skip_group()
        inside = tuple(self.tokens[opening + 1 : self.at - 1])
        if token.text == "switch":
            return (Breakable(self.switch(token, inside)),)
        then = self.statement() if not self.ended else ()
        if token.text == "while":
            # The number of iterations is unknown: for tracing, once or never covers all.
            return (If(Atom((token, *inside), token.place), (Breakable(then),), (), token.place),)
        otherwise: tuple[Statement, ...] = ()
        if self.is_name("else"):
            self.at += 1
            self.enter()
            otherwise = self.statement() if not self.ended else ()
            self._depth -= 1
        return (If(condition, then, otherwise, token.place),)

    def switch(self, token: Token, value: tuple[Token, ...]) -> tuple[Statement, ...]:
        """As ifs: a case continues into the next one, up to its break."""
        self.enter()
        cases: list[tuple[Condition | None, tuple[Statement, ...]]] = []
        self.at += self.is_sign("{")
        while not self.ended and not self.is_sign("}"):
            if self.is_name("case", "default"):
                cases.append((self.label(value), ()))
            elif cases:
                condition, statements = cases[-1]
                cases[-1] = condition, statements + self.statement()
            else:
                self.statement()
        self.at += 1
        self._depth -= 1
        if len(cases) <= MOST_CASES:
            return chain_of(cases)
        # Then we only know that each may run.
        every = tuple(each for _, some in cases for each in some if not (isinstance(each, End) and each.how == "break"))
        return (If(Atom((token, *value), token.place), every, (), token.place),)

    def label(self, value: tuple[Token, ...]) -> Condition | None:
        """`case VALUE:`, or None for `default:`."""
        first = self.tokens[self.at]
        self.at += 1
        start = self.at
        while not self.ended and not self.is_sign(":", ";", "{", "}"):
            self.at += 1
        wanted = tuple(self.tokens[start : self.at])
        self.at += self.is_sign(":")
        if first.text == "default":
            return None
        if len(wanted) == 1:
            return Atom((*value, replace(first, kind="sign", text="=="), *wanted), first.place)
        if len(wanted) > 2 and wanted[0].is_sign("/") and wanted[-1].is_sign("/"):
            expression = replace(first, kind="string", text=spaced(wanted[1:-1]))
            return Atom((*value, replace(first, kind="sign", text="=~"), expression), first.place)
        return Atom((first, *wanted), first.place)

    def condition(self) -> Condition:
        """Up to the closing parenthesis."""
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

    def call(self) -> FunctionCall:
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
        return FunctionCall(name.text, tuple(arguments), name.place)

    def skip(self) -> None:
        """Past the end of the statement: a semicolon, or a block; stops before an outer block's closing brace."""
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
        """Past the group that this sign opens."""
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


def spaced(tokens: tuple[Token, ...]) -> str:
    """In the order of the file."""
    text, end = "", tokens[0].start
    for token in tokens:
        text += " " * (token.start - end) + token.text
        end = token.end
    return text


def chain_of(cases: list[tuple[Condition | None, tuple[Statement, ...]]]) -> tuple[Statement, ...]:
    """The default covers the rest, wherever it is."""
    last: tuple[Statement, ...] = ()
    reached: tuple[Statement, ...] = ()
    inside: list[tuple[Condition, tuple[Statement, ...]]] = []
    next_is_case = False
    for condition, statements in reversed(cases):
        if not any(isinstance(each, End) for each in statements):
            # It continues into the next case, and ends at that one's break.
            statements = (*statements, Breakable(reached)) if statements and reached else statements or reached  # noqa: PLW2901
        if condition is None:
            last = statements
        elif next_is_case and statements is reached:  # labels of one case
            inside[-1] = Both(condition, inside[-1][0], is_and=False), reached
        else:
            inside.append((condition, statements))
        reached = statements
        next_is_case = condition is not None
    for condition, statements in inside:
        last = (If(condition, statements, last, place_of(condition)),)
    return last


def place_of(condition: Condition) -> ScriptPlace:
    while not isinstance(condition, Atom):
        condition = condition.inner if isinstance(condition, Not) else condition.left
    return condition.place
