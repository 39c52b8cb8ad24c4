"""Converts the script's conditions to combined matchers of a rule. Only conditions on the message have matchers.

They follow Kamailio 5.6: `=~` ignores case and `==` does not, except for the core's keywords; a missing value equals an
empty text, and $null.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from operator import eq, ge, gt, le, lt, ne

from capture_agent.addresses import TRANSPORTS
from capture_agent.config.matchers import parse_place
from capture_agent.convert import texts
from capture_agent.convert.functions import FUNCTIONS
from capture_agent.convert.outcomes import BothOutcomes, Formula, Negation
from capture_agent.convert.regexes import Untranslatable, finds, is_anchored, translated
from capture_agent.convert.rule_matchers import NUMBERS, Matcher, ranges
from capture_agent.convert.tokens import Token
from capture_agent.convert.values import Field, NotKnown, Parts, Scope, constant, evaluated
from capture_agent.convert.variables import EVENT, KEYWORDS, PACKET, REPLY, REQUEST, variable

WORDS = {"eq": "==", "ne": "!=", "ieq": "==", "ine": "!="}
NUMERIC: dict[str, Callable[[int, int], bool]] = {"==": eq, "!=": ne, "<": lt, ">": gt, "<=": le, ">=": ge}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
TRUE, FALSE = {"yes", "true", "on", "enable"}, {"no", "false", "off", "disable"}
METHODS = (
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "UPDATE", "INFO", "MESSAGE", "SUBSCRIBE",
    "NOTIFY", "PUBLISH", "REFER",
)  # fmt: skip
DOMAINS = {"method": METHODS, "transport": TRANSPORTS, "direction": ("in", "out")}
FAMILIES = {"INET": "0.0.0.0/0", "INET6": "::/0"}
STATUS = "status"
STATUSES = {"rs", "T_reply_code", "T_rpl($rs)", "T(reply_code)"}
TEXTS = set(texts.CASELESS) | {"request_user", "from_user", "to_user"}
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_INTEGER = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True, slots=True)
class Operand:
    """The left side of a comparison.

    parts    its value; values only available in conditions have a separate field: status, family
    keyword  whether it is a keyword of the core, whose == ignores case
    """

    parts: Parts
    keyword: bool = False
    upper: bool = False


def formula(tokens: tuple[Token, ...], scope: Scope) -> Formula | None:
    """None if it is unknown."""
    if len(tokens) == 1:
        return truth(tokens[0], scope)
    if len(tokens) == 2 and tokens[0].text == "defined" and tokens[1].kind == "variable":
        found = compared(tokens[1:], "==", (), scope)
        return None if found is None else negated(found)
    depth = 0
    for at, token in enumerate(tokens):
        depth += token.is_sign("(") - token.is_sign(")")
        operator = WORDS.get(token.text, "") if token.kind == "name" else token.text if token.kind == "sign" else ""
        if depth == 0 and at and operator in (*NUMERIC, "=~"):
            if at == len(tokens) - 1:
                return None
            return compared(tokens[:at], operator, tokens[at + 1 :], scope)
    if len(tokens) >= 3 and tokens[0].kind == "name" and tokens[1].is_sign("("):
        return of_function(tokens, scope)
    return None


def truth(token: Token, scope: Scope) -> Formula | None:
    """A value alone is true if it is a number other than 0."""
    text: str | None = token.text
    if token.kind == "name":
        return True if text in TRUE else False if text in FALSE else None
    if token.kind == "variable":
        try:
            text = constant(scope.value(token.text))
        except NotKnown:
            return None
    return None if text is None else bool(_INTEGER.fullmatch(text)) and int(text) != 0


def of_function(tokens: tuple[Token, ...], scope: Scope) -> Formula | None:
    arguments = [token.text for token in tokens[2:-1] if token.kind in ("string", "variable")]
    read = FUNCTIONS.get(tokens[0].text)
    if read is None or not tokens[-1].is_sign(")") or sum(token.is_sign(",") for token in tokens) > len(arguments):
        return None
    found = read(arguments, scope)
    if isinstance(found, str):  # a comparison in another form
        return like_status(found) if scope.packet == REPLY or scope.failed else None
    return found


def compared(left: tuple[Token, ...], operator: str, right: tuple[Token, ...], scope: Scope) -> Formula | None:
    if not left:
        return None
    turned = len(right) == 1 and right[0].kind == "variable" and left[0].kind in ("string", "number")
    if operator in MIRRORED and turned and right[0].text != "$null":
        left, operator, right = right, MIRRORED[operator], left
    operand = read_operand(left, scope)
    wanted = wanted_value(operand, right, scope) if operand else None
    if operand is None or wanted is None:
        return None
    is_null = not right or (len(right) == 1 and right[0].text == "$null")
    if operator == "!=":
        found = decided(operand, "==", wanted, is_null, scope)
        return None if found is None else negated(found)
    return decided(operand, operator, wanted, is_null, scope)


def read_operand(left: tuple[Token, ...], scope: Scope) -> Operand | None:
    keyword = len(left) == 1 and left[0].kind == "name"
    if keyword and left[0].text not in KEYWORDS:
        return None
    text = f"${KEYWORDS[left[0].text]}" if keyword else left[0].text
    name = variable(text).name if keyword or left[0].kind == "variable" else ""
    if len(left) == 1 and name in STATUSES:
        known = scope.packet in (REPLY, EVENT) or (name == "rs") != scope.failed
        return Operand((Field(STATUS),), keyword) if known else None
    if len(left) == 1 and (option := PACKET[scope.packet].get(name)) is not None:
        return Operand((Field(option),), keyword, name == "rP")
    try:
        if keyword:
            return Operand(scope.value(text), True)
        return Operand(evaluated(left, scope))
    except NotKnown:
        return None


def wanted_value(operand: Operand, right: tuple[Token, ...], scope: Scope) -> str | None:
    """The text that it is compared with; for keywords, quotes are optional."""
    if not right:
        return ""
    if any(token.kind in ("name", "sign") and not token.is_sign("(", ")", "+") for token in right):
        text = "".join(token.text for token in right)
        is_place = operand.parts in ((Field("source"),), (Field("destination"),)) and text != "myself"
        named = operand.parts in ((Field("method"),), (Field("transport"),), (Field("family"),))
        return text if is_place or (named and len(right) == 1 and right[0].kind == "name") else None
    if operand.keyword and operand.parts == (Field("transport"),):
        return None
    try:
        return constant(evaluated(right, scope))
    except NotKnown:
        return None


def decided(operand: Operand, operator: str, wanted: str, is_null: bool, scope: Scope) -> Formula | None:
    text = constant(operand.parts)
    if text is not None:
        return decided_now(operand.parts, text, operator, wanted, is_null)
    if len(operand.parts) != 1 or not isinstance(operand.parts[0], Field):
        return False if operator == "==" and not wanted else None  # it contains some text
    field = operand.parts[0].name
    if field == STATUS:
        return of_status(operator, wanted, is_null)
    if field in DOMAINS:
        return of_domain(field, operator, wanted, operand)
    if field in NUMBERS:
        return of_port(field, operator, wanted)
    if field == "family":
        return Matcher("source", (FAMILIES[wanted],)) if wanted in FAMILIES and operator == "==" else None
    if field in ("source", "destination"):
        return of_place(field, operator, wanted, operand.keyword)
    if field == "to_tag":
        found = Matcher("kind", ("in-dialog",))
        return Negation(found) if scope.packet == REQUEST and operator == "==" and not wanted else None
    if field == "call_id":
        field = "header:Call-ID"
    if field in TEXTS or field == "pai_uri" or field.startswith(texts.HEADER):
        return of_text(field, operator, wanted, is_null, operand.keyword)
    return None


def decided_now(parts: Parts, text: str, operator: str, wanted: str, is_null: bool) -> Formula | None:
    """Both are known during conversion."""
    if operator == "=~":
        return finds(wanted, text)
    if operator == "==" and is_null:
        return not parts
    if operator == "==" and not parts:
        return wanted in ("", "0")
    if _INTEGER.fullmatch(text) and _INTEGER.fullmatch(wanted):
        return NUMERIC[operator](int(text), int(wanted))
    return text == wanted if operator == "==" else None


def of_status(operator: str, wanted: str, is_null: bool) -> Formula | None:
    if operator == "=~":
        return like_status(wanted)
    if operator == "==" and is_null:
        return Negation(Matcher("kind", ("response",)))
    return of_number(STATUS, operator, wanted)


def like_status(expression: str) -> Formula | None:
    found = [finds(expression, str(status)) for status in range(100, 700)]
    if None in found:
        return None
    return one_of(STATUS, tuple(ranges({100 + at for at, holds in enumerate(found) if holds})))


def of_number(option: str, operator: str, wanted: str) -> Formula | None:
    least, most = NUMBERS[option]
    if not _INTEGER.fullmatch(wanted) or operator not in NUMERIC:
        return None
    holds = NUMERIC[operator]
    found = {number for number in range(least, most + 1) if holds(number, int(wanted))}
    return one_of(option, tuple(ranges(found)))


def of_port(option: str, operator: str, wanted: str) -> Formula | None:
    return of_number(option, operator, wanted)


def of_domain(option: str, operator: str, wanted: str, operand: Operand) -> Formula | None:
    """For fields with few values: the values for which it holds."""
    values = {value.upper() if operand.upper else value: value for value in DOMAINS[option]}
    if operator == "=~":
        found = [(value, finds(wanted, written)) for written, value in values.items()]
        return None if any(holds is None for _, holds in found) else one_of(option, tuple(v for v, yes in found if yes))
    if operator != "==":
        return None
    if operand.keyword:
        wanted = wanted.upper() if option == "method" else wanted.lower()
    if option == "method" and wanted == wanted.upper() and _TOKEN.fullmatch(wanted):
        return Matcher(option, (wanted,))
    return one_of(option, (values[wanted],) if wanted in values else ())


def of_place(option: str, operator: str, wanted: str, keyword: bool) -> Formula | None:
    if operator == "=~":
        try:
            text = f"/{translated(wanted)}/"
            parse_place(text)
        except (Untranslatable, ValueError):
            return None
        return Matcher(option, (text,))
    try:
        if keyword:
            network = ip_network(wanted.strip("[]"), strict=False)
            single = network.num_addresses == 1
            return Matcher(option, (str(network.network_address) if single else str(network),))
        return Matcher(option, (str(ip_address(wanted.strip("[]"))),))
    except ValueError:
        return None


def of_text(field: str, operator: str, wanted: str, is_null: bool, ignores_case: bool) -> Formula | None:
    """A missing value is an empty text."""
    if operator == "==" and not wanted:
        there = texts.any_value(field) if is_null else texts.filled(field)
        return None if there is None else Negation(there)
    if operator == "==":
        return texts.equal(field, wanted, ignores_case)
    if operator != "=~":
        return None
    found = texts.like(field, wanted)
    if not finds(wanted, ""):
        return found
    if not is_anchored(wanted):
        return True
    something = texts.filled(field)
    return None if found is None or something is None else BothOutcomes(found, Negation(something), is_and=False)


def one_of(option: str, values: tuple[str, ...]) -> Formula:
    return Matcher(option, values) if values else False


def negated(found: Formula) -> Formula:
    return not found if isinstance(found, bool) else found.inner if isinstance(found, Negation) else Negation(found)
