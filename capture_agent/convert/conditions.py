"""Conditions of the script as matchers of a rule. What is no fact of the message alone has none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network

from capture_agent.convert.tokens import Token

# Pseudo-variables and keywords, by the option of a rule that compares the same.
TEXTS = {
    "$ru": "request_uri", "uri": "request_uri", "$rU": "request_user", "$fu": "from_uri", "from_uri": "from_uri",
    "$fU": "from_user", "$tu": "to_uri", "to_uri": "to_uri", "$tU": "to_user", "$ai": "pai_uri",
}  # fmt: skip
PLACES = {
    "$si": "source", "src_ip": "source", "$Ri": "destination", "dst_ip": "destination",
    "$siptrace(src_hostip)": "source", "$siptrace(src_host)": "source", "$siptrace(dst_hostip)": "destination",
    "$siptrace(dst_host)": "destination",
}  # fmt: skip
PORTS = {
    "$sp": "source_port", "src_port": "source_port", "$Rp": "destination_port", "dst_port": "destination_port",
    "$siptrace(src_port)": "source_port", "$siptrace(dst_port)": "destination_port",
}  # fmt: skip
TRANSPORTS = {"$proto", "$pr", "proto", "$siptrace(src_proto)", "$siptrace(dst_proto)"}
METHODS = {"$rm", "method"}
STATUSES = {"$rs", "status"}
FUNCTIONS = {
    "has_totag": ("kind", "in-dialog"),
    # A request with a Route of ours: in practice one inside of a dialog.
    "loose_route": ("kind", "in-dialog"),
    "is_request": ("kind", "request"),
    "is_reply": ("kind", "response"),
}  # fmt: skip
NARROWER = {"request": {"initial", "in-dialog"}}

_HEADER = re.compile(r"\$\(?hdr\(([A-Za-z0-9.!%*_+`'~-]+)\)")
_NAME = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_STATUS_CLASS = re.compile(r"\^?([1-6])(?:\.\.|\[0-9\]\[0-9\])?\$?")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_@:;=<>\" -]|\\.|\.\*?)+")


@dataclass(frozen=True, slots=True)
class Matcher:
    """An option of [[rule]]: the message matches if one of the values does, of headers one for each name."""

    option: str
    values: tuple[str, ...]


Read = tuple[Matcher, bool]  # and whether it must hold or must not


def matcher(tokens: tuple[Token, ...]) -> Read | None:
    """The matcher of a condition; None where there is none."""
    if len(tokens) >= 3 and tokens[0].kind == "name" and tokens[1].is_sign("("):
        return of_function(tokens[0].text, [token.text for token in tokens[2:-1] if token.kind == "string"])
    for at, token in enumerate(tokens):
        if token.is_sign("==", "!=", "=~", "!~"):
            left = "".join(each.text for each in tokens[:at])
            right = tokens[at + 1 :]
            if not right or any(each.kind == "variable" for each in right):
                return None
            if any(each.kind == "name" for each in right) and left not in METHODS | TRANSPORTS:
                return None  # a keyword: uri == myself
            found = compared(left, "".join(each.text for each in right), token.text in ("=~", "!~"))
            return None if found is None else (found, not token.text.startswith("!"))
    return None


def of_function(name: str, arguments: list[str]) -> Read | None:
    if name in FUNCTIONS and not arguments:
        option, value = FUNCTIONS[name]
        return Matcher(option, (value,)), True
    if len(arguments) != 1:
        return None
    words = tuple(word.strip() for word in arguments[0].split("|"))
    if name == "is_method" and all(_NAME.fullmatch(word) for word in words):
        return Matcher("method", words), True
    if name == "is_present_hf" and _NAME.fullmatch(arguments[0]):
        return Matcher("header", (arguments[0],)), True
    if name == "t_check_status" and all(status(word) for word in words):
        return Matcher("status", tuple(map(status, words))), True
    return None


def compared(left: str, right: str, is_regex: bool) -> Matcher | None:
    if left in STATUSES:
        value = status(right) if is_regex or right.isdecimal() else ""
        return Matcher("status", (value,)) if value else None
    if left in METHODS and is_regex:
        words = right.strip("^$()").split("|")
        return Matcher("method", tuple(words)) if all(_NAME.fullmatch(word) for word in words) else None
    text = pattern(right) if is_regex else literal(right)
    if text is None:
        return None
    if left in TEXTS:
        return Matcher(TEXTS[left], (text,))
    if header := _HEADER.fullmatch(left):
        return Matcher("header", (f"{header[1]}: {text}",))
    return None if is_regex else of_fact(left, right)


def of_fact(left: str, right: str) -> Matcher | None:
    """What is told by the packet, not by the text in it."""
    if left in METHODS and _NAME.fullmatch(right):
        return Matcher("method", (right,))
    if left in PLACES and (network := place(right)):
        return Matcher(PLACES[left], (network,))
    if left in PORTS and right.isdecimal() and 1 <= int(right) <= 65535:
        return Matcher(PORTS[left], (right,))
    if left in TRANSPORTS and right.lower() in ("udp", "tcp", "tls", "sctp", "ws", "wss"):
        return Matcher("transport", (right.lower(),))
    if left == "$siptrace(direction)" and right in ("in", "out"):
        return Matcher("direction", (right,))
    return None


def place(text: str) -> str:
    try:
        network = ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return ""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def status(text: str) -> str:
    """`486`, `4xx` for `4..`; empty for what is neither."""
    if re.fullmatch(r"[1-6][0-9][0-9]", text):
        return text
    found = _STATUS_CLASS.fullmatch(text)
    return f"{found[1]}xx" if found else ""


def literal(text: str) -> str | None:
    """As a rule writes it; there `*` stands for anything, and slashes around make a regular expression."""
    return None if not text or "*" in text or (text[0] == "/" and text[-1] == "/") else text


def pattern(regex: str) -> str | None:
    """A simple regular expression with `*`; None for one that is more than that."""
    body = regex.removeprefix("^").removesuffix("$")
    if _PLAIN.fullmatch(body) is None:
        return None
    text = re.sub(r"\.\*|\\(.)", lambda match: match[1] or "*", body)
    text = ("" if regex.startswith("^") else "*") + text + ("" if regex.endswith("$") else "*")
    return re.sub(r"\*+", "*", text)


def narrowed(matchers: tuple[Matcher, ...], more: Matcher) -> tuple[Matcher, ...] | None:
    """Both must hold; None: no message can match."""
    kept = []
    for each in matchers:
        if each.option != more.option:
            kept.append(each)
            continue
        values = tuple(dict.fromkeys(common(each, more)))
        if not values:
            return None
        more = Matcher(more.option, values)
    return (*kept, more)


def common(one: Matcher, other: Matcher) -> list[str]:
    if one.option == "kind":
        return [value for value in one.values if value in other.values or narrows(value, other)] + [
            value for value in other.values if narrows(value, one)
        ]
    if one.option in ("method", "direction", "transport", "source_port", "destination_port", "kind"):
        return [value for value in one.values if value in other.values]
    if one.option == "header":  # of several names all must be there
        names = {header_name(value) for value in other.values}
        return [value for value in one.values if header_name(value) not in names] + list(other.values)
    if not any(set("*/:") & set(value) for value in (*one.values, *other.values)):
        return [value for value in one.values if value in other.values]
    # Patterns and networks may overlap in ways that only a message tells: the later one is the narrower.
    return list(other.values)


def header_name(value: str) -> str:
    return value.partition(":")[0].lower()


def narrows(value: str, other: Matcher) -> bool:
    return any(value in NARROWER.get(wider, ()) for wider in other.values)
