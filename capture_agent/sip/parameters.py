"""Parameters of header values: tags and branches. Hot: compiled with parameters.pxd, or plain Python."""

from __future__ import annotations

import re

import cython

BLANKS = b" \t\r\n"

# What the plain build searches for at once, where the compiled one looks at each byte.
SPECIAL = re.compile(rb"[;,\"<]")
VALUE_END = re.compile(rb"[;,> \t\r\n]")


@cython.cfunc
@cython.exceptval(-2)
def next_special(value: bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the next of ; , " < is, or the end."""
    if not cython.compiled:
        match = SPECIAL.search(value, i)
        return match.start() if match else len(value)
    while i < len(value) and not (value[i] <= 0x3C and value[i] in (0x3B, 0x2C, 0x22, 0x3C)):
        i += 1
    return i


@cython.cfunc
@cython.exceptval(-2)
def value_end(value: bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    if not cython.compiled:
        match = VALUE_END.search(value, i)
        return match.start() if match else len(value)
    while i < len(value) and not (value[i] <= 0x3E and value[i] in (0x3B, 0x2C, 0x3E, 0x20, 0x09, 0x0D, 0x0A)):
        i += 1
    return i


@cython.cfunc
@cython.exceptval(-2)
def skip_blanks(value: bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while i < len(value) and value[i] in (0x20, 0x09, 0x0D, 0x0A):
        i += 1
    return i


@cython.cfunc
@cython.exceptval(-2)
def closing_quote(value: bytes, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The quote that closes the quoted string which opens at start (RFC 3261 25.1), or -1."""
    escapes: cython.Py_ssize_t
    close: cython.Py_ssize_t = start
    while True:
        close = value.find(b'"', close + 1)
        if close < 0:
            return -1
        escapes = 0
        while value[close - 1 - escapes] == 0x5C:  # ends at the opening quote
            escapes += 1
        if escapes % 2 == 0:
            return close


def parameter(value: bytes, name: bytes, first_value_only: cython.bint = False) -> bytes | None:
    """The value of `;name=value` in a header value, or None. `name` is in lower case.

    Quoted strings and <...> are passed over. Where one is not closed, its bracket or quote is a byte like any other,
    and so are all behind it: to look for the end of each would take the square of the value's length.
    `first_value_only`: only before the first comma (a Via may hold several values).
    """
    i: cython.Py_ssize_t = next_special(value, 0)
    end: cython.Py_ssize_t
    close: cython.Py_ssize_t
    quotes: cython.bint = True
    brackets: cython.bint = True
    c: cython.uchar
    while i < len(value):
        c = value[i]
        close = -1
        if c == 0x22 and quotes:
            close = closing_quote(value, i)
            quotes = close >= 0
        elif c == 0x3C and brackets:
            close = value.find(b">", i)
            brackets = close >= 0
        elif c == 0x2C and first_value_only:
            return None
        elif c == 0x3B:
            i = skip_blanks(value, i + 1)
            end = i + len(name)
            if value[i:end].lower() == name:
                close = skip_blanks(value, end)
                if close < len(value) and value[close] == 0x3D:
                    i = skip_blanks(value, close + 1)
                    return value[i : value_end(value, i)] or None
            i = next_special(value, i)
            continue
        i = next_special(value, (i if close < 0 else close) + 1)
    return None
