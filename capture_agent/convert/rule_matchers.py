"""Matchers of a rule, and the conjunction of two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

NARROWER = {"request": {"initial", "in-dialog"}}
EXACT = ("method", "direction", "kind", "transport", "status")  # no message matches two different values
LISTED = ("method", "direction", "transport")
PORTS = ("source_port", "destination_port")
NUMBERS = {"status": (100, 699), **dict.fromkeys(PORTS, (1, 65535))}


@dataclass(frozen=True, slots=True)
class Matcher:
    """An option of [[rule]]: a message matches if one of the values does, for headers one per name."""

    option: str
    values: tuple[str, ...]


Matchers = tuple[Matcher, ...]


class Inexpressible(Exception):
    """Both may hold, but no rule can require both."""


def narrowed(matchers: Matchers, more: Matcher) -> Matchers | None:
    """The conjunction; None: no message can match. Raises Inexpressible."""
    kept = []
    for each in matchers:
        if each.option != more.option or (each.option == "header" and not same_header(each, more)):
            kept.append(each)
            continue
        values = tuple(dict.fromkeys(common(each, more)))
        if not values:
            return None
        more = Matcher(more.option, values)
    found = (*kept, more)
    return None if contradict(found) else found


def narrowed_by_all(matchers: Matchers, more: Iterable[Matcher]) -> Matchers | None:
    """Raises Inexpressible."""
    found: Matchers | None = matchers
    for each in more:
        if found is None:
            return None
        if each not in found:
            found = narrowed(found, each)
    return found


def contradict(matchers: Matchers) -> bool:
    """False: requests have no status, and responses no URI."""
    kinds = next((each.values for each in matchers if each.option == "kind"), ())
    options = {each.option for each in matchers}
    if "status" in options and kinds and "response" not in kinds:
        return True
    return kinds == ("response",) and bool(options & {"request_uri", "request_user", "request_host"})


def same_header(one: Matcher, other: Matcher) -> bool:
    return header_name(one.values[0]) == header_name(other.values[0])


def common(one: Matcher, other: Matcher) -> list[str]:
    if one.option == "kind":
        return [value for value in one.values if value in other.values or narrows(value, other)] + [
            value for value in other.values if narrows(value, one)
        ]
    if one.option in LISTED:
        return [value for value in one.values if value in other.values]
    if one.option in NUMBERS:
        return list(ranges(numbers(one) & numbers(other)))
    if one.values == other.values:
        return list(one.values)
    if one.option in ("source", "destination"):
        return common_places(one.values, other.values)
    if any_value(one):
        return list(other.values)
    if any_value(other):
        return list(one.values)
    if is_plain(one) and is_plain(other):
        return [value for value in one.values if value in other.values]
    if is_plain(one) or is_plain(other):
        texts, patterns = (one, other) if is_plain(one) else (other, one)
        return [text for text in texts.values if any(fits(text, pattern) for pattern in patterns.values)]
    raise Inexpressible


def fits(text: str, pattern: str) -> bool:
    """Whether this text matches a rule's pattern. Raises Inexpressible if that depends on case."""
    text, pattern = (each.partition(":")[2].strip() if ": " in each else each for each in (text, pattern))
    if pattern[0] == pattern[-1] == "/":
        if not pattern.startswith("/(?is)") and text.lower() != text.upper():
            raise Inexpressible
        return re.search(pattern[1:-1], text) is not None
    parts = map(re.escape, pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), text.lower(), re.DOTALL) is not None


def common_places(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """The narrower of two networks if one contains the other."""
    found = []
    for here in one:
        for there in other:
            try:
                a, b = ip_network(here), ip_network(there)
            except ValueError:
                raise Inexpressible from None
            if a.overlaps(b):
                found.append(here if a.prefixlen >= b.prefixlen else there)
    return found


def any_value(matcher: Matcher) -> bool:
    """Whether it only tests for presence."""
    return matcher.values == ("*",) or (matcher.option == "header" and ":" not in matcher.values[0])


def is_plain(matcher: Matcher) -> bool:
    """Whether all are plain texts, not patterns."""
    return not any("*" in value or value.endswith("/") for value in matcher.values)


def numbers(matcher: Matcher) -> set[int]:
    """All numbers in the values of a status or port."""
    found: set[int] = set()
    for value in matcher.values:
        if re.fullmatch(r"[1-6]xx", value):
            found.update(range(int(value[0]) * 100, int(value[0]) * 100 + 100))
            continue
        low, _, high = value.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def ranges(found: set[int]) -> Iterator[str]:
    """`200`, `5xx`, `400-407`: the fewest texts for exactly these numbers."""
    waiting = sorted(found)
    while waiting:
        low = high = waiting[0]
        count = 1
        while count < len(waiting) and waiting[count] == high + 1:
            high += 1
            count += 1
        waiting = waiting[count:]
        if low % 100 == 0 and high % 100 == 99 and high < 700:
            yield from (f"{digit}xx" for digit in range(low // 100, high // 100 + 1))
        else:
            yield str(low) if low == high else f"{low}-{high}"


def header_name(value: str) -> str:
    return value.partition(":")[0].lower()


def narrows(value: str, other: Matcher) -> bool:
    return any(value in NARROWER.get(wider, ()) for wider in other.values)


def implies(narrow: Matcher, wide: Matcher) -> bool:
    if narrow.option != wide.option:
        return False
    if narrow.option == "header" and not same_header(narrow, wide):
        return False
    if any_value(wide):
        return True
    if narrow.option in NUMBERS:
        return numbers(narrow) <= numbers(wide)
    return all(value in wide.values or narrows(value, wide) for value in narrow.values)


def covers(wide: Matchers, narrow: Matchers) -> bool:
    """Whether the first matches everything that the second does."""
    return all(any(implies(theirs, matcher) for theirs in narrow) for matcher in wide)
