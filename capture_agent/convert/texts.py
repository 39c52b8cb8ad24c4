"""Writes the texts that a script compares with in a rule's syntax: exact, with `*`, or as a regular expression."""

from __future__ import annotations

import re

from capture_agent.config.matchers import parse_header, parse_text
from capture_agent.convert.regexes import Untranslatable, translated
from capture_agent.convert.rule_matchers import Matcher

HEADER = "header:"
# A rule ignores case in these, unless a regular expression says otherwise.
CASELESS = {"request_uri", "from_uri", "to_uri", "pai_uri", "request_host", "from_host", "to_host"}
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_@:;=<>\" -]|\\[^\w\s]|\.\*)+")


def equal(field: str, text: str, ignores_case: bool = False) -> Matcher | None:
    """The whole value equals this text."""
    folds = field in CASELESS or field.startswith(HEADER)
    exact = folds == ignores_case or text.lower() == text.upper()
    if exact and "*" not in text and text == text.strip() and not (text[0] == text[-1] == "/"):
        return checked(field, text)
    return checked(field, f"/{'(?i)' * ignores_case}^{quoted(text)}$/")


def like(field: str, expression: str) -> Matcher | None:
    """Kamailio's expression matches a part of the value."""
    folds = field in CASELESS or field.startswith(HEADER)
    simple = pattern(expression)
    if simple is not None and (folds or simple.lower() == simple.upper()):
        return checked(field, simple)
    try:
        return checked(field, f"/{translated(expression)}/")
    except Untranslatable:
        return None


def begins(field: str, text: str) -> Matcher | None:
    return checked(field, f"/^{quoted(text)}/")


def any_value(field: str) -> Matcher | None:
    """The value exists."""
    return Matcher("header", (field.removeprefix(HEADER),)) if field.startswith(HEADER) else checked(field, "*")


def filled(field: str) -> Matcher | None:
    """The value exists and is not empty; for fields other than headers these are the same."""
    return checked(field, "/./") if field.startswith(HEADER) else checked(field, "*")


def checked(field: str, text: str) -> Matcher | None:
    """None if no rule can express it, for example without RE2."""
    if not text.isprintable():
        return None
    try:
        if not field.startswith(HEADER):
            parse_text(text)
            return Matcher(field, (text,))
        value = f"{field.removeprefix(HEADER)}: {text}"
        parse_header(value)
    except (ValueError, UnicodeError):
        return None
    return Matcher("header", (value,))


def quoted(text: str) -> str:
    """Quoted for RE2, which accepts a backslash only before punctuation."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def pattern(expression: str) -> str | None:
    """A simple regular expression as text with `*`; None for others."""
    body = expression.removeprefix("^")
    if body.endswith("$") and not body.endswith("\\$"):
        body = body[:-1]
    if _PLAIN.fullmatch(body) is None or "\\*" in body:
        return None
    text = re.sub(r"\.\*|\\(.)", lambda match: match[1] or "*", body)
    ends = expression.endswith("$") and not expression.endswith("\\$")
    text = ("" if expression.startswith("^") else "*") + text + ("" if ends else "*")
    text = re.sub(r"\*+", "*", text)
    return None if text in ("", "*") or text != text.strip() or text[0] == text[-1] == "/" else text
