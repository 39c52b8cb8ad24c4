"""Parses the matchers of a rule: each text becomes a record, or raises a ValueError that names the problem."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from capture_agent.config.endpoints import AUTO, LocalAddress, parse_local
from capture_agent.config.field_types import Parsed
from capture_agent.config.uris import is_table_name

ANY: Final = "*"
LARGEST_REGEX: Final = 8 << 20  # bytes of memory: the program, and the states it caches
NO_LIBRARY: Final = "regular expressions need google-re2: pip install 'capture-agent[regex]'"
_TOKEN = re.compile(r"[-.!%*_+`'~0-9A-Za-z]+")  # RFC 3261 25.1


@dataclass(frozen=True, slots=True)
class Numbers:
    """From `low` to `high`, both included."""

    low: int
    high: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class TextPattern:
    """A text, in which `*` matches anything; or a regular expression between slashes, which may match anywhere."""

    text: str

    @property
    def regex(self) -> str | None:
        text = self.text
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "/" else None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class HeaderPattern:
    """A header name and the value it must have; `*`: any value, but the header must exist."""

    name: str
    value: TextPattern

    def __str__(self) -> str:
        return self.name if self.value.text == ANY else f"{self.name}: {self.value}"


def parse_method(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a valid method")
    return text.upper()


def parse_status(text: str) -> Numbers:
    """`486`, `4xx`, `400-499`."""
    if re.fullmatch(r"[1-6]xx", text, re.IGNORECASE):
        return Numbers(int(text[0]) * 100, int(text[0]) * 100 + 99, text)
    return parse_numbers(text, 100, 699)


def parse_vlans(text: str) -> Numbers:
    return parse_numbers(text, 0, 4095)


def parse_capture_ids(text: str) -> Numbers:
    return parse_numbers(text, 0, 0xFFFFFFFF)


def parse_numbers(text: str, least: int, most: int) -> Numbers:
    low, dash, high = text.partition("-")
    for part in (low, high) if dash else (low,):
        if not (part.isascii() and part.isdigit() and len(part) <= 10 and least <= int(part) <= most):
            raise ValueError(f"{part!r}: expected {least} to {most}")
    numbers = Numbers(int(low), int(high if dash else low), text)
    if numbers.low > numbers.high:
        raise ValueError(f"{low} is more than {high}")
    return numbers


def parse_place(text: str) -> LocalAddress | TextPattern:
    """An address, a network or an address with a port; or a regular expression for the address as text."""
    if TextPattern(text).regex is not None:
        return parse_text(text)
    place = parse_local(text)
    if isinstance(place, str):
        raise ValueError(f"{AUTO!r} is allowed only in capture.local")
    return place


def parse_text(text: str) -> TextPattern:
    pattern = TextPattern(text)
    if not text:
        raise ValueError("empty text")
    if pattern.regex is not None:
        compiled(pattern.regex)
    return pattern


def parse_header(text: str) -> HeaderPattern:
    """`Name` or `Name: value`."""
    name, colon, value = text.partition(":")
    name = parse_header_name(name.strip())
    if colon and not value.strip():
        raise ValueError("nothing after the colon")
    return HeaderPattern(name, parse_text(value.strip() or ANY))


def parse_header_name(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a valid header name")
    return text


def parse_table(text: str) -> str:
    if text and not is_table_name(text):
        raise ValueError(f"{text!r} is not a valid table name")
    return text


def compiled(regex: str) -> Any:
    """RE2's expression over bytes: its time is linear in the value, for any value and any expression."""
    try:
        import re2
    except ImportError:
        raise ValueError(NO_LIBRARY) from None
    options = re2.Options()
    options.log_errors = False  # to standard error
    options.max_mem = LARGEST_REGEX
    try:
        return re2.compile(regex.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"invalid regular expression: {text}") from None


Method = Annotated[str, Parsed(parse_method, "a method")]
Status = Annotated[Numbers, Parsed(parse_status, 'a status, "4xx" or "400-499"')]
Vlans = Annotated[Numbers, Parsed(parse_vlans, 'a VLAN or "100-199"')]

CaptureIds = Annotated[Numbers, Parsed(parse_capture_ids, 'a capture id or "100-199"')]

Place = Annotated[
    LocalAddress | TextPattern,
    Parsed(parse_place, "an address, a network, ADDRESS:PORT, [IPv6]:PORT or /regular expression/"),
]

Text = Annotated[TextPattern, Parsed(parse_text, 'text, "text*" or "/regular expression/"')]
Header = Annotated[HeaderPattern, Parsed(parse_header, '"Name", "Name: text*" or "Name: /regular expression/"')]
Table = Annotated[str, Parsed(parse_table, "letters, digits and underscores, at most 32")]
