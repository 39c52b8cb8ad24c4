"""Functions in conditions that examine the message, with their equivalents in rules.

A text is a regular expression for the status of the transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network

from capture_agent.convert import texts
from capture_agent.convert.outcomes import Formula, Negation
from capture_agent.convert.rule_matchers import Matcher
from capture_agent.convert.values import Field, NotKnown, Parts, Scope, formatted
from capture_agent.convert.variables import REQUEST

Read = Callable[[list[str], Scope], Formula | str | None]
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


def in_dialog(arguments: list[str], scope: Scope) -> Formula | None:
    """From outside, a response's To tag says nothing: its request may have had none."""
    return Matcher("kind", ("in-dialog",)) if not arguments and scope.packet == REQUEST else None


def of_kind(kind: str) -> Read:
    return lambda arguments, scope: None if arguments else Matcher("kind", (kind,))


def is_method(arguments: list[str], scope: Scope) -> Formula | None:
    words = [word.strip().upper() for word in "".join(arguments).split("|")]
    return Matcher("method", tuple(words)) if len(arguments) == 1 and all(map(_TOKEN.fullmatch, words)) else None


def is_present_hf(arguments: list[str], scope: Scope) -> Formula | None:
    if len(arguments) != 1 or not _TOKEN.fullmatch(arguments[0]):
        return None
    return Matcher("header", (arguments[0],))


def search_hf(arguments: list[str], scope: Scope) -> Formula | None:
    if len(arguments) != 3 or not _TOKEN.fullmatch(arguments[0]):
        return None
    return texts.like(f"header:{arguments[0]}", arguments[1])


def t_check_status(arguments: list[str], scope: Scope) -> str | None:
    return arguments[0] if len(arguments) == 1 else None


def value_of(text: str, scope: Scope) -> Parts | None:
    try:
        return formatted(text, scope)
    except NotKnown:
        return None


def field_in(text: str, scope: Scope) -> str:
    """The message's field named by an argument, if any."""
    parts = value_of(text, scope)
    if not parts or len(parts) != 1 or not isinstance(parts[0], Field):
        return ""
    name = parts[0].name
    return name if name.startswith(texts.HEADER) or name.endswith(("_uri", "_user", "_host")) else ""


def starts_with(arguments: list[str], scope: Scope) -> Formula | None:
    if len(arguments) != 2 or not (field := field_in(arguments[0], scope)) or "$" in arguments[1]:
        return None
    return texts.begins(field, arguments[1]) if arguments[1] else None


def strempty(arguments: list[str], scope: Scope) -> Formula | None:
    if len(arguments) != 1 or not (field := field_in(arguments[0], scope)):
        return None
    something = texts.filled(field)
    return None if something is None else Negation(something)


def is_avp_set(arguments: list[str], scope: Scope) -> Formula | None:
    parts = value_of(arguments[0], scope) if len(arguments) == 1 else None
    return None if parts is None else bool(parts)


def is_in_subnet(arguments: list[str], scope: Scope) -> Formula | None:
    parts = value_of(arguments[0], scope) if len(arguments) == 2 else None
    if parts not in ((Field("source"),), (Field("destination"),)):
        return None
    try:
        return Matcher(parts[0].name, (str(ip_network(arguments[1], strict=False)),))
    except ValueError:
        return None


FUNCTIONS: dict[str, Read] = {
    "has_totag": in_dialog,
    "loose_route": in_dialog,  # a request with our Route: in practice, inside a dialog
    "is_request": of_kind("request"),
    "is_reply": of_kind("response"),
    "is_method": is_method,
    "is_present_hf": is_present_hf,
    "search_hf": search_hf,
    "t_check_status": t_check_status,
    "starts_with": starts_with,
    "strempty": strempty,
    "is_avp_set": is_avp_set,
    "is_in_subnet": is_in_subnet,
}
