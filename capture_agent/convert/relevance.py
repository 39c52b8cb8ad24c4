"""Finds the variables and flags of a script that affect tracing, which a walk has to follow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capture_agent.convert.script import Route, Script
from capture_agent.convert.script_paths import BRANCH_FAILURES, BRANCHES, FAILURES, REPLIES
from capture_agent.convert.syntax import Assignment, Atom, Both, Breakable, Condition, FunctionCall, If, Not, Statement
from capture_agent.convert.tokens import Token
from capture_agent.convert.variables import is_stored, variable

TRACING = {"sip_trace", "sip_trace_mode"}
SENDING = {"sip_trace_msg", "hlog"}  # they send something other than the message
ARMING = {
    "t_on_reply": REPLIES, "t_on_branch": BRANCHES, "t_on_failure": FAILURES, "t_on_branch_failure": BRANCH_FAILURES,
}  # fmt: skip
SETTING, RESETTING, ASKING = {"setflag", "setbflag"}, {"resetflag", "resetbflag"}, {"isflagset", "isbflagset"}
# Functions that take a variable, but do not change it.
READERS = TRACING | {
    "xlog", "xlogl", "xlogm", "xdbg", "xinfo", "xnotice", "xwarn", "xerr", "xalert", "xcrit", "xbug", "log",
    "is_avp_set", "setflag", "resetflag", "isflagset", "setbflag", "resetbflag", "isbflagset", "route",
    "is_in_subnet", "starts_with", "strempty", "append_hf",
    "append_to_reply", "remove_hf", "is_present_hf", "is_method", "avp_check", "sl_send_reply", "send_reply", "t_reply",
}  # fmt: skip
_IN_TEXT = re.compile(r"\$(?:\((?:[^()]|\([^()]*\))*\)|[A-Za-z_]\w*(?:\([^()]*\))?)")
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Relevance:
    """`unset`: AVPs that have no value unless the script has assigned one."""

    names: frozenset[str]
    flags: frozenset[str]
    unset: frozenset[str]


def relevance(script: Script, parameters: Iterable[str], trace_flag: str, conditions: bool = True) -> Relevance:
    """`parameters`: the variables of siptrace's AVPs. Without conditions: only functions' arguments."""
    statements = list(every_statement(each for route in script.routes for each in route.statements))
    names = {variable(text).name for text in parameters if text}
    flags = {trace_flag} if trace_flag else set()
    for call in calls(statements):
        if call.name in TRACING:
            names |= set(names_in(token for argument in call.arguments for token in argument))
        elif call.name in ASKING and conditions:
            flags.add(flag_in(call))
    if conditions:
        for statement in statements:
            if isinstance(statement, If):
                names |= set(names_in(token for atom in atoms(statement.condition) for token in atom.tokens))
    for _ in range(ROUNDS):
        more = set(names_in(token for each in assignments(statements, names) for token in each))
        if more <= names:
            break
        names |= more
    mentioned = set(script.mentioned)
    for call in calls(statements):
        if call.name not in READERS | SENDING | {"avp_printf", "avp_delete"}:
            mentioned |= set(names_in(token for argument in call.arguments for token in argument))
    stored = frozenset(name for name in names if is_stored(name))
    return Relevance(stored, frozenset(flags), frozenset(n for n in stored if n.startswith("avp(")) - mentioned)


def assignments(statements: Iterable[Statement], names: set[str]) -> Iterator[tuple[Token, ...]]:
    """The values assigned to these."""
    for statement in statements:
        if isinstance(statement, Assignment) and variable(statement.variable).name in names:
            yield statement.value
        elif isinstance(statement, FunctionCall) and statement.name == "avp_printf" and len(statement.arguments) == 2:
            yield statement.arguments[1]


def names_in(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.kind == "variable":
            yield variable(token.text).name
        elif token.kind == "string" and "$" in token.text:
            yield from (variable(found).name for found in _IN_TEXT.findall(token.text))


def every_statement(statements: Iterable[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, If):
            yield from every_statement((*statement.then, *statement.otherwise))
        elif isinstance(statement, Breakable):
            yield from every_statement(statement.statements)


def calls(statements: Iterable[Statement]) -> Iterator[FunctionCall]:
    """All calls, also in conditions."""
    for statement in statements:
        if isinstance(statement, FunctionCall):
            yield statement
        elif isinstance(statement, If):
            yield from (call for atom in atoms(statement.condition) if (call := call_in(atom)))


def atoms(condition: Condition) -> Iterator[Atom]:
    if isinstance(condition, Not):
        yield from atoms(condition.inner)
    elif isinstance(condition, Both):
        yield from atoms(condition.left)
        yield from atoms(condition.right)
    else:
        yield condition


def call_in(atom: Atom) -> FunctionCall | None:
    """A condition that consists of a call only."""
    tokens = atom.tokens
    if len(tokens) < 3 or tokens[0].kind != "name" or not tokens[1].is_sign("(") or not tokens[-1].is_sign(")"):
        return None
    arguments: list[tuple[Token, ...]] = []
    start = 2
    for at in range(2, len(tokens)):
        if tokens[at].is_sign(",") or at == len(tokens) - 1:
            arguments.append(tokens[start:at])
            start = at + 1
    return FunctionCall(tokens[0].text, tuple(arguments) if len(tokens) > 3 else (), tokens[0].place)


def flag_in(call: FunctionCall) -> str:
    """`5`, or `b5` for a branch; empty for branches other than the first."""
    if len(call.arguments) != 1:
        return ""
    return "b" * ("bflag" in call.name) + "".join(token.text for token in call.arguments[0])


def shown(tokens: tuple[Token, ...]) -> str:
    text = "".join(f'"{token.text}"' if token.kind == "string" else token.text for token in tokens)
    return text if len(text) <= 60 else f"{text[:60]}..."


def traces(route: Route, script: Script) -> bool:
    """Whether it calls one of siptrace's functions, directly or through routes."""
    seen: set[int] = set()
    waiting = [route]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for call in calls(every_statement(current.statements)):
            if call.name in TRACING:
                return True
            if call.name == "route" and call.arguments:
                found = script.route("".join(token.text for token in call.arguments[0]))
                waiting += [found] if found else []
    return False


def arms(route: Route) -> bool:
    return any(call.name in ARMING for call in calls(every_statement(route.statements)))
