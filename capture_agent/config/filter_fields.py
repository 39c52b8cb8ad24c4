"""Fields of filters, and comparisons compiled into functions: once, however many messages they decide about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar

from capture_agent.config.filter_text import Comparison, FilterError, Negated, Tree
from capture_agent.config.matchers import ANY, compiled

T = TypeVar("T")
Predicate = Callable[[T], bool]
LONGEST_VALUE = 65_536  # bytes of a value that are looked at
NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
HEADER = "header"


@dataclass(frozen=True, slots=True)
class FilterField:
    """What a field is called, means and holds.

    kind   text; folded (text that ignores case); number; address; flag
    values a function from the message or call to the field's values: str, number, packed address
    """

    kind: str
    meaning: str
    values: Callable[[Any], Sequence[Any]]


Fields = Mapping[str, FilterField]


def compile_filter(tree: Tree, fields: Fields, header: Callable[[str], FilterField] | None = None) -> Predicate[T]:
    """A function that says whether the filter matches. `header`: the field of `header:NAME`. Raises FilterError."""
    if isinstance(tree, Comparison):
        return comparison(tree, field_named(tree, fields, header))
    if isinstance(tree, Negated):
        inner: Predicate[T] = compile_filter(tree.one, fields, header)
        return lambda subject: not inner(subject)
    parts: list[Predicate[T]] = [compile_filter(one, fields, header) for one in tree.parts]
    if len(parts) == 1:
        return parts[0]
    if tree.all:
        return lambda subject: all(part(subject) for part in parts)
    return lambda subject: any(part(subject) for part in parts)


def field_named(one: Comparison, fields: Fields, header: Callable[[str], FilterField] | None) -> FilterField:
    name, colon, rest = one.field.partition(":")
    if colon and name.lower() == HEADER and header is not None:
        return header(rest)
    found = fields.get(one.field.lower())
    if found is None:
        near = get_close_matches(one.field.lower(), fields, n=1, cutoff=0.6)
        hint = f", did you mean {near[0]}?" if near else ""
        raise FilterError(f"unknown field {one.field[:60]!a}{hint}", one.column)
    return found


def comparison(one: Comparison, field: FilterField) -> Predicate[T]:
    values = field.values
    if one.operator == "present":
        return lambda subject: any(values(subject))
    if field.kind == "flag":
        raise FilterError(f"{one.field} is yes or no: write `{one.field}` or `not {one.field}`", one.column)
    negative = one.operator in ("!=", "!~")
    operator = {"!=": "=", "!~": "~"}.get(one.operator, one.operator)
    tests = [
        test_of(field.kind, operator, value, column)
        for value, column in zip(one.values, one.value_columns, strict=True)
    ]
    if len(tests) == 1:
        test = tests[0]
        if negative:
            return lambda subject: not any(map(test, values(subject)))
        return lambda subject: any(map(test, values(subject)))
    if all(isinstance(one, Exact) for one in tests):
        known = frozenset(one.value for one in tests if isinstance(one, Exact))
        fold = field.kind == "folded"
        return lambda subject: any((value.lower() if fold else value) in known for value in values(subject))
    return lambda subject: any(test(value) for value in values(subject) for test in tests)


Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Exact:
    value: Any
    fold: bool = False

    def __call__(self, value: Any) -> bool:
        return bool((value.lower() if self.fold else value) == self.value)


def test_of(kind: str, operator: str, value: str, column: int) -> Test:
    """From one of the field's values to whether it matches."""
    if operator == "~":
        return matching(kind, value, column)
    if kind == "number":
        return number_test(operator, value, column)
    if operator not in ("=", "in"):
        raise FilterError(f"{operator} compares numbers, expected =, !=, ~, !~ or in", column)
    if kind == "address":
        return address_test(value, column)
    wanted = value.lower() if kind == "folded" else value
    if ANY not in wanted:
        return Exact(wanted, kind == "folded")
    parts = wanted.split(ANY)
    return lambda text: like(text.lower() if kind == "folded" else text, parts)


def like(text: str, parts: Sequence[str]) -> bool:
    """Whether it is these parts with anything between them: each byte is looked at a bounded number of times."""
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def matching(kind: str, value: str, column: int) -> Test:
    """RE2: its time is linear, whatever a peer sends."""
    if kind == "number":
        raise FilterError("~ compares text, and this field is a number", column)
    try:
        search = compiled(f"(?i){value}" if kind == "folded" else value).search
    except ValueError as error:
        raise FilterError(str(error), column) from None
    if kind == "address":
        return lambda packed: bool(packed) and search(str(ip_address(packed)).encode()) is not None
    return lambda text: search(text.encode("utf-8", "surrogateescape")[:LONGEST_VALUE]) is not None


def number_test(operator: str, value: str, column: int) -> Test:
    if re.fullmatch(r"[1-6][xX]{2}", value) and operator in ("=", "in"):  # 4xx
        hundred = int(value[0])
        return lambda number: number // 100 == hundred
    low_text, dash, high_text = value.partition("-")
    if dash and low_text and operator in ("=", "in"):
        low, high = number_of(low_text, column), number_of(high_text, column)
        return lambda number: low <= number <= high
    wanted = number_of(value, column)
    if operator in ("=", "in"):
        return Exact(wanted)
    tests: dict[str, Test] = {
        "<": lambda number: number < wanted,
        "<=": lambda number: number <= wanted,
        ">": lambda number: number > wanted,
        ">=": lambda number: number >= wanted,
    }
    return tests[operator]


def number_of(value: str, column: int) -> float:
    if NUMBER.fullmatch(value) is None:
        raise FilterError(f"{value[:40]!a} is no number", column)
    return float(value) if "." in value else int(value)


def address_test(value: str, column: int) -> Test:
    """An address or a network."""
    try:
        network = ip_network(value.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        raise FilterError(f"{value[:60]!a} is neither an address nor a network", column) from None
    if network.prefixlen == network.max_prefixlen:
        return Exact(network.network_address.packed)
    size = len(network.network_address.packed)
    return lambda packed: len(packed) == size and ip_address(packed) in network
