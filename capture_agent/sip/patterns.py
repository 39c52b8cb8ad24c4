"""scan.py's loops over bytes as regular expressions: for the plain build, where a loop takes several times as long.

Each function gives the same result as the loop in scan.py; tests/builds compares both over damaged messages.
None of the patterns backtracks, so none reads a byte more than once.
"""

import re
from itertools import repeat
from operator import contains

BLANK = b" \t\r\n"
COLONS = repeat(0x3A)
LONGEST_NUMBER = 20  # digits: a longer number never fits, and int() of very many digits is slow

# They start at the line end before the header, and treat folded lines (RFC 3261 7.3.1) as one.
_NO_NAME = rb"(?::|[^:\n]*+(?:\n[ \t][^:\n]*+)*+(?:\n(?![ \t])|\Z))"
FIRST_WITHOUT_NAME = re.compile(rb"\n" + _NO_NAME)
WITHOUT_NAME = re.compile(rb"\n(?![ \t])" + _NO_NAME)
ROUTINE_HEADERS = re.compile(
    rb"\n(?i:(v(?:ia)?|f(?:rom)?|to?|i|l|c(?:seq|all-id|ontent-length)))[ \t]*+:"
    rb"(?:[ \t\r]++|\n(?=[ \t]))*+([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)
TOKEN = re.compile(rb"[-.!%*_+`'~0-9A-Za-z]*+")
UP_TO_BLANK = re.compile(rb"[^ \t\r\n]*+")


def headers_end(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The offset where the last header ends, without its line end, and the body's: -1 if nothing ends the headers."""
    at = data.find(b"\n\r\n", start - 1, end)
    bare = data.find(b"\n\n", start - 1, end if at < 0 else at + 1)
    if bare >= 0:
        return bare, bare + 2
    if at >= 0:
        return at, at + 3
    return end - data.endswith(b"\n", start - 1, end), -1


def has_line_without_name(data: bytes, start: int, end: int) -> bool:
    if all(map(contains, data[start:end].split(b"\n"), COLONS)) and data.find(b"\n:", start - 1, end) < 0:
        return False  # nearly always; a folded line needs no colon
    return bool(FIRST_WITHOUT_NAME.match(data, start - 1, end) or WITHOUT_NAME.search(data, start - 1, end))


def byte_at(data: bytes, at: int, end: int) -> int:
    return data[at] if 0 <= at < end else 0


def token_end(data: bytes, start: int, end: int) -> int:
    match = TOKEN.match(data, start, end)
    return match.end() if match else start


def blank_after(data: bytes, start: int, end: int) -> int:
    match = UP_TO_BLANK.match(data, start, end)
    return match.end() if match else start


def status(data: bytes, start: int, end: int) -> int:
    """Exactly three digits, or 0."""
    digits = data[start : min(start + 4, end)]
    if digits[:3].isdigit() and len(digits) >= 3 and not digits[3:].isdigit():
        return int(digits[:3])
    return 0


def number(data: bytes, start: int, end: int, limit: int) -> int:
    """All of data[start:end] as a decimal number, or -2 if it is not one below the limit."""
    digits = data[start:end]
    if not digits.isdigit():
        return -2
    if len(digits) > LONGEST_NUMBER:
        digits = digits.lstrip(b"0")[:LONGEST_NUMBER] or b"0"
    found = int(digits)
    return found if found < limit else -2
